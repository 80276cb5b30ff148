"""Stands before an agent's upstreams: turns requests away, or keeps them for a guard's word."""

import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

from hookloop.clock import Clock
from hookloop.exchange import Exchange, Headers, Objection, ResponseHead
from hookloop.tunnel.body_tally import BodyTally
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire.events import RequestReceived

from .holding import Holding
from .own_answer import own_answer
from .pipeline import Pipeline

__all__ = ["Gate", "GateSession"]

logger = logging.getLogger("hookloop.agent")


class GateSession(Protocol):
    """What the gate needs of its agent; each call may be made after the stream has ended."""

    def respond(
        self, stream: int, head: ResponseHead, body: bytes, *, is_ended: bool, digest: bytes
    ) -> bool: ...

    def consumed(self, stream: int, length: int) -> None: ...

    def run_for(self, stream: int, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* in a task, for no longer than the session lasts."""
        ...

    def passed(self, request: RequestReceived, trailers: Headers) -> None:
        """A request that was held may go to the upstream; its body is paid for."""
        ...

    def forward_ended(self, stream: int, exchange: Exchange) -> None: ...

    def forget(self, stream: int) -> None:
        """The stream ended before there was anything to tell of it."""
        ...


class Gate:
    """One session's. It is the `Holder` of the requests that wait here."""

    def __init__(
        self, session: GateSession, clock: Clock, room: Room, *, keep_max: int = 0
    ) -> None:
        """*room* is the memory for what waits, which the agent's sessions share."""
        self._session = session
        self._clock = clock
        self._keep_max = keep_max
        self._room = room
        self._waiting: dict[int, tuple[Holding, Pipeline]] = {}

    def admits(self, request: RequestReceived, pipeline: Pipeline) -> bool:
        """Say whether the request may go on at once; else the gate sees to it."""
        objection = pipeline.objection(request.head, request.remote)
        if objection is not None:
            self._session.consumed(request.stream, len(request.body))
            self._turn_away(request, pipeline, objection)
            return False
        if pipeline.policy.guard is None:
            return True
        holding = Holding(request, self, self._room)
        self._waiting[request.stream] = (holding, pipeline)
        holding.begin()
        return False

    def holding(self, stream: int) -> Holding | None:
        """Return the request of *stream*, if it waits here."""
        waiting = self._waiting.get(stream)
        return waiting[0] if waiting else None

    def holdings(self) -> Iterable[Holding]:
        return [holding for holding, _ in self._waiting.values()]

    # --- Holder -----------------------------------------------------------------------------

    def consumed(self, stream: int, length: int) -> None:
        self._session.consumed(stream, length)

    def held_whole(self, holding: Holding) -> None:
        self._session.run_for(holding.request.stream, self._judge(holding))

    def held_too_much(self, holding: Holding, objection: Objection) -> None:
        _, pipeline = self._waiting.pop(holding.request.stream)
        self._turn_away(holding.request, pipeline, objection)

    def held_for_nothing(self, holding: Holding, message: str) -> None:
        logger.debug("request ended before it was whole reason=%r", message)
        if self._waiting.pop(holding.request.stream, None) is not None:
            self._session.forget(holding.request.stream)

    # --- inside -----------------------------------------------------------------------------

    async def _judge(self, holding: Holding) -> None:
        request = holding.request
        _, pipeline = self._waiting[request.stream]
        guard = pipeline.policy.guard
        assert guard is not None  # noqa: S101  # it is why the request was held
        try:
            objection = await guard.judge(request.head, request.body)
        except Exception:
            # Closed, as a gate fails; and not the caller's fault, who may try again.
            logger.exception("the guard failed tunnel=%s", request.tunnel)
            objection = Objection(502, "guard_failed", "this tunnel could not verify the request")
        finally:
            holding.release()
        if self._waiting.pop(request.stream, None) is None:
            return  # the caller is gone
        if objection is not None:
            self._turn_away(request, pipeline, objection)
        else:
            self._session.passed(request, holding.trailers)

    def _turn_away(
        self, request: RequestReceived, pipeline: Pipeline, objection: Objection
    ) -> None:
        """Answer in place of the upstream."""
        head, body = own_answer(objection, request.head, challenge=pipeline.challenge())
        if request.head.method == b"HEAD":
            body = b""
        sent, answer = BodyTally(self._keep_max), BodyTally(self._keep_max)
        sent.add(request.body)
        answer.add(body)
        self._session.respond(request.stream, head, body, is_ended=True, digest=answer.digest())
        now = self._clock.monotonic()
        exchange = Exchange(
            hop="agent",
            tunnel=request.tunnel,
            remote=request.remote,
            request=request.head,
            response=head,
            request_body_bytes=sent.length,
            response_body_bytes=answer.length,
            started=now,
            responded=now,
            ended=now,
            failure=None,
            objection=objection,
            request_digest=sent.digest(),
            response_digest=answer.digest(),
            request_digest_told=request.digest if request.is_ended else b"",
            request_body=sent.short,
            request_kept=sent.kept,
            response_kept=answer.kept,
        )
        self._session.forward_ended(request.stream, exchange)
