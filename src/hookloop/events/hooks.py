"""`Hooks`: the door of the handler library."""

import inspect
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.signing import TOLERANCE_SECONDS

from .event import Event
from .receive import BODY_BYTES_MAX, Accepted, HeadersLike, Rejected, judge
from .router import Handler, HandlerFunction, Router

if TYPE_CHECKING:
    from fastapi import APIRouter

    from .asgi import AsgiFace

__all__ = ["ASYNC_HANDLER_SECONDS", "SECRETS_MAX", "Hooks", "Result"]

logger = logging.getLogger("hookloop")

SECRETS_MAX = 16  # each costs an HMAC on every forged request
ASYNC_HANDLER_SECONDS = 20.0  # Stripe gives up soon after; an answer that late is a retry anyway

FunctionT = TypeVar("FunctionT", bound=HandlerFunction)


@dataclass(frozen=True, slots=True)
class Result:
    """What to answer the sender."""

    status: int
    outcome: str
    """One word for logs and metrics: ``handled``, ``ignored``, ``invalid_signature``, ..."""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)

    @property
    def body(self) -> bytes:
        """A short JSON object; it never tells a forger why a signature was refused."""
        return json.dumps({"outcome": self.outcome}).encode()


class Hooks:
    """
    Handlers and the secrets their events must be signed with.

        hooks = Hooks(secrets="whsec_...")

        @hooks.on("customer.updated")
        def renamed(event): ...

    *secrets*: one, or several while one is being rolled. *tolerance*: seconds a
    signature may be old, or ahead of our clock. Raises `ConfigError` for secrets that
    cannot work.
    """

    def __init__(
        self,
        secrets: str | Iterable[str],
        *,
        tolerance: float = TOLERANCE_SECONDS,
        body_bytes_max: int = BODY_BYTES_MAX,
        clock: Clock | None = None,
    ) -> None:
        self._secrets = _checked_secrets(secrets)
        self._tolerance = tolerance
        self.body_bytes_max = body_bytes_max
        self._clock = clock or SystemClock()
        self._router = Router()
        self._asgi: AsgiFace | None = None

    def __repr__(self) -> str:
        return f"<Hooks with {len(self._secrets)} secrets>"

    # --- registering ------------------------------------------------------------------------

    def on(self, *types: str) -> Callable[[FunctionT], FunctionT]:
        """Run the function below for events of these exact *types*."""

        def register(function: FunctionT) -> FunctionT:
            self._router.add(function, types)
            return function

        return register

    def on_prefix(self, prefix: str) -> Callable[[FunctionT], FunctionT]:
        """Run the function below for every type that starts with *prefix*, as in ``customer.``."""

        def register(function: FunctionT) -> FunctionT:
            self._router.add_prefix(function, prefix)
            return function

        return register

    def on_any(self, function: FunctionT) -> FunctionT:
        """Run the function below for every event."""
        self._router.add_any(function)
        return function

    # --- receiving --------------------------------------------------------------------------

    def receive(self, body: bytes, headers: HeadersLike) -> Result:
        """
        Verify a request, run the handlers of its event, and return what to answer.

        The caller's duty: *body* is the raw body, the very bytes that were signed. All
        handlers run, whatever the others do; one that raises makes the answer a 500, so
        that the event is sent again. Async handlers run on a loop of their own.
        """
        verdict = self._judge(body, headers)
        if isinstance(verdict, Rejected):
            return Result(verdict.status, verdict.outcome)
        handlers = self._router.handlers_for(verdict.event.type)
        return _result([self._run(handler, verdict.event) for handler in handlers])

    async def areceive(self, body: bytes, headers: HeadersLike) -> Result:
        """Do what `receive` does, from async code: sync handlers run in a thread."""
        verdict = self._judge(body, headers)
        if isinstance(verdict, Rejected):
            return Result(verdict.status, verdict.outcome)
        handlers = self._router.handlers_for(verdict.event.type)
        return _result([await self._arun(handler, verdict.event) for handler in handlers])

    def _judge(self, body: bytes, headers: HeadersLike) -> Accepted | Rejected:
        verdict = judge(
            body,
            headers,
            self._secrets,
            now=self._clock.wall(),
            tolerance=self._tolerance,
            body_bytes_max=self.body_bytes_max,
        )
        if isinstance(verdict, Rejected):
            logger.warning("webhook refused status=%d %s", verdict.status, verdict.reason)
        return verdict

    def _run(self, handler: Handler, event: Event) -> bool:
        try:
            returned = handler.function(event)
            if inspect.iscoroutine(returned):
                from .background import run_in_background

                run_in_background(returned, seconds=ASYNC_HANDLER_SECONDS)
        except Exception as error:
            _log_failure(handler, event, error)
            return False
        return True

    async def _arun(self, handler: Handler, event: Event) -> bool:
        import asyncio

        try:
            if _is_async(handler.function):
                async with asyncio.timeout(ASYNC_HANDLER_SECONDS):
                    await handler.function(event)
            else:
                await asyncio.to_thread(handler.function, event)
        except Exception as error:
            _log_failure(handler, event, error)
            return False
        return True

    # --- faces ------------------------------------------------------------------------------

    @property
    def asgi(self) -> "AsgiFace":
        """An ASGI application: run it, mount it, or route to it."""
        if self._asgi is None:
            from .asgi import AsgiFace

            self._asgi = AsgiFace(self)
        return self._asgi

    def fastapi_router(self) -> "APIRouter":
        """Return a router for ``app.include_router(..., prefix="/webhooks/stripe")``."""
        from .fastapi import router_for

        return router_for(self)


def _checked_secrets(secrets: str | Iterable[str]) -> tuple[str, ...]:
    given = (secrets,) if isinstance(secrets, str) else tuple(secrets)
    if not all(isinstance(secret, str) for secret in given):
        raise ConfigError("a signing secret must be a string")
    # A newline from a file or a shell is not part of the secret, and hard to see.
    kept = tuple(secret.strip() for secret in given if secret and secret.strip())
    if not kept:
        raise ConfigError(
            "Hooks needs a signing secret: Stripe shows the endpoint's, whsec_..., in its dashboard"
        )
    if len(kept) > SECRETS_MAX:
        raise ConfigError(f"Hooks takes at most {SECRETS_MAX} secrets, and was given {len(kept)}")
    if not all(secret.startswith("whsec_") for secret in kept):
        logger.warning("a signing secret does not start with whsec_: is it one of Stripe's?")
    return kept


def _is_async(function: HandlerFunction) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  # an object with an async __call__
    )


def _result(successes: list[bool]) -> Result:
    if not successes:
        return Result(200, "ignored")
    return Result(200, "handled") if all(successes) else Result(500, "handler_failed")


def _log_failure(handler: Handler, event: Event, error: Exception) -> None:
    logger.error(
        "handler failed handler=%s event=%s type=%s",
        handler.name,
        event.id,
        event.type,
        exc_info=error,
    )
