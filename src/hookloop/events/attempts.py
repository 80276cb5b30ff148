"""
One event and its handlers: run each, note how it ended, and find the worst.

A handler that fails never stops the others. The answer tells the worst outcome, so that
whatever is not done comes again.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .event import Event
from .log import logger
from .outcomes import Drop, Reject, Reply, Retry
from .recent import Claim, RecentEvents
from .result import JSON_HEADERS, Result, short_result
from .router import Handler
from .running import Runner, Waiting

if TYPE_CHECKING:
    from .observer import Observer

__all__ = ["HANDLED", "SYNCHRONOUS_SECONDS", "reply_result", "run_handlers"]

SYNCHRONOUS_SECONDS = {"issuing_authorization.request": 1.6}
"""Types whose sender waits for the answer, and how long ours may take: Stripe allows 2 s."""

_API_VERSION = re.compile(r"[0-9A-Za-z._-]{1,64}", re.ASCII)  # 2026-10-28.endive

RETRY_AFTER_SECONDS_MAX = 86_400.0  # a day; what is larger is a mistake of units


HANDLED = short_result(200, "handled")


class Ended:
    """How one handler's attempt ended, where it did more than its work."""

    __slots__ = ("after", "handler", "outcome", "reply")

    def __init__(
        self,
        handler: Handler,
        outcome: str,
        *,
        reply: Reply | None = None,
        after: float | None = None,
    ) -> None:
        self.handler = handler
        self.outcome = outcome
        """``handled``, ``dropped``, ``rejected``, ``retry`` or ``handler_failed``."""
        self.reply = reply
        self.after = after

    @property
    def is_done(self) -> bool:
        """Whether it need not run again for this event."""
        return self.outcome in ("handled", "dropped")


_STATUS = {"handler_failed": 500, "retry": 503, "rejected": 422, "dropped": 200, "handled": 200}
"""From the worst to the best: the worst one is what the sender is told."""


async def run_handlers(
    event: Event[Any],
    claim: Claim,
    recent: RecentEvents | None,
    runner: Runner,
    observers: "list[Observer]",
    answer: list[Result],
) -> None:
    """Run the handlers of *claim*, one after the other, settle it, and fill in the *answer*."""
    handlers = claim.handlers
    synchronous = SYNCHRONOUS_SECONDS.get(event.type)
    ended: list[Ended] = []  # those alone that say something: most do their work and no more
    done: tuple[Handler, ...] = ()
    reply: Reply | None = None
    try:
        for handler in handlers:
            seconds = handler.deadline_seconds or synchronous
            try:
                if observers:
                    returned = await _observed(event, handler, runner, seconds, observers)
                else:
                    returned = runner.call(handler.function, event, handler.is_async, seconds)
                    if isinstance(returned, Waiting):
                        returned = await returned
            except Exception as error:
                ended.append(_ended_badly(event, handler, error))
            else:
                if returned is not None or handler.default is not None:
                    ended.append(_ended(event, handler, returned))
        if ended:
            result, reply = _combined(event, ended)
            left = [one.handler for one in ended if not one.is_done]
            done = tuple([handler for handler in handlers if handler not in left])
        else:
            result, done = HANDLED, handlers
    finally:
        if recent is not None:
            recent.settle(claim, done, reply)
    answer.append(result)


def _combined(event: Event[Any], ended: Sequence[Ended]) -> tuple[Result, Reply | None]:
    """Return the answer for all attempts of *event*, and the reply in it if there is one."""
    reply = next((one.reply for one in ended if one.reply is not None), None)
    if reply is not None and any(one.handler.default is not None for one in ended):
        # Its sender acts on the answer and asks once: a failure of another handler must not
        # take the answer's place.
        return reply_result(event, reply), reply
    worst = _worst(ended)
    if worst.outcome == "handled" and reply is not None:
        return reply_result(event, reply), reply
    if worst.outcome == "retry" and worst.after is not None:
        after = min(max(worst.after, 0.0), RETRY_AFTER_SECONDS_MAX)
        headers = (*JSON_HEADERS, ("Retry-After", str(round(after))))
        return Result(503, "retry", headers), None
    return short_result(_STATUS[worst.outcome], worst.outcome), None


def reply_result(event: Event[Any], reply: Reply) -> Result:
    """Return *reply* as a result; Stripe wants the API version of the event named in it."""
    headers = {"Content-Type": "application/json"}
    version = event.api_version
    # It becomes a header: what is no version could end the line and start another.
    if version and _API_VERSION.fullmatch(version):
        headers["Stripe-Version"] = version
    headers.update(reply.headers)
    return Result(reply.status, "handled", tuple(headers.items()), reply.body)


async def _observed(
    event: Event[Any],
    handler: Handler,
    runner: Runner,
    seconds: float | None,
    observers: "list[Observer]",
) -> object:
    with ExitStack() as stack:
        for observer in observers:
            stack.enter_context(observer.attempt(event, handler.name))
        returned = runner.call(handler.function, event, handler.is_async, seconds)
        if isinstance(returned, Waiting):
            returned = await returned
        if isinstance(returned, (Retry, Reject, Drop)):
            raise returned
        return returned


def _ended(event: Event[Any], handler: Handler, returned: object) -> Ended:
    if isinstance(returned, (Retry, Reject, Drop)):
        return _ended_badly(event, handler, returned)
    reply = returned if isinstance(returned, Reply) else handler.default
    return Ended(handler, "handled", reply=reply)


def _ended_badly(event: Event[Any], handler: Handler, error: Exception) -> Ended:
    """Tell the log, by ids alone, and turn what was raised into an outcome."""
    names = {"event_id": event.id, "event_type": event.type, "handler": handler.name}
    told = (handler.name, event.id, event.type)
    if isinstance(error, Retry):
        logger().info("handler asks for a retry handler=%s event=%s type=%s", *told, extra=names)
        return Ended(handler, "retry", after=error.after, reply=handler.default)
    if isinstance(error, (Reject, Drop)):
        outcome = "rejected" if isinstance(error, Reject) else "dropped"
        line = "event %s handler=%s event=%s type=%s: %s"
        logger().error(line, outcome, *told, error.reason or "no reason given", extra=names)
        return Ended(handler, outcome, reply=handler.default)
    line = "handler failed handler=%s event=%s type=%s"
    logger().error(line, *told, exc_info=error, extra=names)
    return Ended(handler, "handler_failed", reply=handler.default)


def _worst(ended: Sequence[Ended]) -> Ended:
    for outcome in _STATUS:
        for one in ended:
            if one.outcome == outcome:
                return one
    raise AssertionError("at least one handler has run")
