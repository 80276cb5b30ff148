"""The path of a request: judge it, find its handlers, run them, answer."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.signing import TOLERANCE_SECONDS

from .attempts import Ended, combine, reply_result, run_handlers
from .event import Event, as_event
from .faces import Faces
from .incoming import HeadersLike, Incoming
from .keyring import Keyring, SecretsLike
from .log import RefusalLog, logger
from .receive import BODY_BYTES_MAX, Accepted, Rejected, judge, judge_head
from .recent import RECENT_MAX, RecentEvents
from .registration import Registration
from .result import Result
from .router import Handler, is_async
from .running import AsyncRunner, Runner, SyncRunner, finish

if TYPE_CHECKING:
    from .observer import Observer
    from .providers import Provider

__all__ = ["Receiver", "SecretsLookup"]

SecretsLookup: TypeAlias = Callable[[Incoming], Any]

_SYNC = SyncRunner()
_ASYNC = AsyncRunner()


class Receiver(Registration, Faces):
    """
    Handlers, and the requests that make them run.

    Everything of a request happens here once, for every face: the sync ones run `_answer`
    over a runner that never waits.
    """

    def __init__(
        self,
        secrets: SecretsLike | SecretsLookup,
        *,
        provider: "Provider",
        tolerance: float = TOLERANCE_SECONDS,
        livemode: bool | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
        recent_max: int = RECENT_MAX,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        if not 0 < tolerance < float("inf"):
            raise ConfigError(f"a tolerance of {tolerance!r} s is not a positive number of seconds")
        if body_bytes_max <= 0:
            raise ConfigError(f"body_bytes_max is {body_bytes_max!r}, and no body is that small")
        self.provider = provider
        self.tolerance = tolerance
        self.body_bytes_max = body_bytes_max
        self._livemode = livemode
        self._clock = clock or SystemClock()
        self._lookup = secrets if callable(secrets) else None
        self._lookup_is_async = callable(secrets) and is_async(secrets)
        self._keyring = Keyring(() if callable(secrets) else secrets or (), provider)
        if self._lookup is None and self._needs_secrets and not self._keyring.secrets:
            raise ConfigError(
                f"{type(self).__name__} needs a signing secret and none is set: Stripe shows the "
                "endpoint's, whsec_..., in its dashboard"
            )
        self._recent = RecentEvents(recent_max) if recent_max > 0 else None
        self._observers: list[Observer] = []
        self._refusals = RefusalLog()

    _needs_secrets = True

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.provider.name}, {len(self.router.handlers())} handlers>"
        )

    # --- receiving --------------------------------------------------------------------------

    def receive(
        self, body: bytes, headers: HeadersLike, *, method: str = "POST", path: str = ""
    ) -> Result:
        """
        Verify a request, run the handlers of its event, and return what to answer.

        The caller's duty: *body* is the raw body, the very bytes that were signed. All
        handlers run, whatever the others do; one that raises makes the answer a 500, so
        that the event is sent again. Sync handlers run in this thread, async ones on one
        loop in the background. Never raises, whatever the request holds.
        """
        request = Incoming(_checked_body(body), headers, method=method, path=path)
        return finish(self._answer(request, _SYNC))

    async def areceive(
        self, body: bytes, headers: HeadersLike, *, method: str = "POST", path: str = ""
    ) -> Result:
        """Do what `receive` does, from async code: sync handlers run in a thread."""
        request = Incoming(_checked_body(body), headers, method=method, path=path)
        return await self._answer(request, _ASYNC)

    def receive_trusted(self, event: Event[Any]) -> Result:
        """
        Run the handlers of an event that needs no signature, and return what to answer.

        The caller's duty: to know where *event* comes from.
        """
        return finish(self._answer_event(event, _SYNC, self._clock.monotonic()))

    def refuse(self, rejected: Rejected) -> Result:
        """Log and observe a request that a face refused before its body was read."""
        now = self._clock.monotonic()
        return self._refused(rejected, now)

    # --- looking in -------------------------------------------------------------------------

    def observe(self, observer: "Observer") -> None:
        """Tell *observer* of every attempt and every answer from now on."""
        self._observers.append(observer)

    def secrets_needed_at(self) -> dict[str, float | None]:
        """
        Return when each secret was last needed in this process, in Unix seconds, by label.

        A secret is needed where none before it in the list signed the request too: put the
        newest first, and an old one that shows None for a day can go.
        """
        return self._keyring.needed_at()

    def forget_recent(self) -> None:
        """Forget which events have come, as a new process would: for tests."""
        if self._recent is not None:
            self._recent.clear()

    @property
    def keyring(self) -> Keyring:
        """The secrets; empty where a callable finds them."""
        return self._keyring

    # --- the path of a request ----------------------------------------------------------------

    async def _answer(self, request: Incoming, runner: Runner) -> Result:
        started = self._clock.monotonic()
        try:
            verdict = await self._judge(request, runner)
        except Exception as error:  # a secrets lookup of the user's
            return self._failed(error, started)
        if isinstance(verdict, Rejected):
            return self._refused(verdict, started)
        return await runner.unbroken(self._answer_event(verdict.event, runner, started))

    async def _answer_event(self, event: Event[Any], runner: Runner, started: float) -> Result:
        try:
            result = await self._handle(event, runner)
        except Exception as error:  # a filter of the user's
            return self._failed(error, started)
        self._observe(result, started, event=event)
        return result

    async def _judge(self, request: Incoming, runner: Runner) -> Accepted | Rejected:
        refused = judge_head(request.method, None, body_bytes_max=self.body_bytes_max)
        if refused is not None:
            return refused
        keyring = self._keyring
        if self._lookup is not None:
            found = await runner.call(self._lookup, request, is_async=self._lookup_is_async)
            keyring = Keyring(found or (), self.provider)
        now = self._clock.wall()
        verdict = judge(
            request,
            self.provider,
            keyring.secrets,
            keyring.labels,
            now=now,
            tolerance=self.tolerance,
            body_bytes_max=self.body_bytes_max,
        )
        if isinstance(verdict, Accepted):
            keyring.note(verdict.secret, now)
        return verdict

    async def _handle(self, event: Event[Any], runner: Runner) -> Result:
        greeting = self.provider.greeting(event)
        if greeting is not None:
            return reply_result(event, greeting)
        if self._livemode is not None and event.livemode is not self._livemode:
            return Result(200, "ignored")
        for function, is_coroutine in self.filters():
            kept = await runner.call(function, event, is_async=is_coroutine)
            if kept is None:
                return Result(200, "ignored")
            event = as_event(kept)
        handlers = self.router.handlers_for(event.type)
        if not handlers:
            return Result(200, "ignored")
        return await self._run_once(event, handlers, runner)

    async def _run_once(
        self, event: Event[Any], handlers: tuple[Handler, ...], runner: Runner
    ) -> Result:
        recent = self._recent
        # The dashboard's test button sends every event under one id: each is a first one.
        if recent is None or event.is_placeholder:
            ended = await run_handlers(event, handlers, runner, self._observers)
            return combine(event, ended)[0]
        key = event.key
        claim = recent.claim(key, handlers, self._clock.monotonic())
        if claim.is_busy:
            return Result(409, "busy")
        if not claim.handlers:
            if claim.reply is not None:
                return reply_result(event, claim.reply)
            return Result(200, "duplicate")
        ended = []
        reply = None
        try:
            ended = await run_handlers(event, claim.handlers, runner, self._observers)
            result, reply = combine(event, ended)
        finally:
            recent.settle(key, claim, _done(ended), reply)
        return result

    def _failed(self, error: Exception, started: float) -> Result:
        logger().error("webhook failed before its handlers", exc_info=error)
        why = "a secrets lookup or a filter raised"
        return self._refused(Rejected(500, "failed", "failed", why), started)

    def _refused(self, rejected: Rejected, started: float) -> Result:
        self._refusals.tell(rejected, self._clock.monotonic())
        result = rejected.result()
        self._observe(result, started, reason=rejected.reason)
        return result

    def _observe(
        self,
        result: Result,
        started: float,
        *,
        event: Event[Any] | None = None,
        reason: str | None = None,
    ) -> None:
        if not self._observers:
            return
        from .observer import Answered

        seconds = self._clock.monotonic() - started
        answered = Answered(
            result, provider=self.provider.name, event=event, reason=reason, seconds=seconds
        )
        for observer in self._observers:
            try:
                observer.answered(answered)
            except Exception as error:
                # A metric must never cost an event.
                logger().error("an observer raised", exc_info=error)


def _done(ended: list[Ended]) -> tuple[Handler, ...]:
    return tuple([one.handler for one in ended if one.is_done])


def _checked_body(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, (bytearray, memoryview)):
        return bytes(body)
    raise ConfigError(
        f"receive() takes the raw bytes of the body and was given a {type(body).__name__}: text "
        "or parsed JSON is no longer what was signed"
    )
