"""One agent's session, as the relay holds it: asks for its names, leads its streams to callers."""

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hookloop.clock import Clock
from hookloop.exchange import Headers, ResponseHead
from hookloop.tunnel.carrier import Carrier
from hookloop.tunnel.log_values import Values
from hookloop.tunnel.wire import events
from hookloop.tunnel.wire.messages import Bind, Bound, Hello, Refused, Request, ResetCode
from hookloop.tunnel.wire.raw import Connect
from hookloop.tunnel.wire.session import Role, Session

from .landlord import Landlord
from .lane_pool import LanePool, is_long_lived
from .lane_tickets import LaneTickets
from .tokens import Token

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AnsweredCaller", "Link", "RawCaller"]

logger = logging.getLogger("hookloop.relay")

LOOK_SECONDS = 5.0  # between two looks at lanes that nobody uses
REVOKED_SECONDS = 1.0  # for the agent to read why its session ends


class AnsweredCaller(Protocol):
    """What a stream needs of the caller it answers. None of these may raise."""

    def response_head(
        self, head: ResponseHead, body: bytes, *, is_ended: bool, digest: bytes
    ) -> None:
        """
        Take a head, and what came of the body with it.

        The duty: `Link.consumed` once the body's bytes are passed on or dropped. *digest*:
        its SHA-256 as the agent read it, where it is ended and the agent told it.
        """
        ...

    def response_data(self, data: bytes, *, is_ended: bool, digest: bytes) -> None:
        """Take more of the body, with the same duty."""
        ...

    def response_trailers(self, trailers: Headers) -> None: ...

    def stream_reset(self, code: ResetCode, message: str) -> None: ...

    def may_send_again(self) -> None: ...


class RawCaller(Protocol):
    """
    What a raw stream needs of the caller whose bytes it carries. None of these may raise.

    It sends by `Link.send_data`, and says by `Link.end_stream` that the caller sends no
    more. The stream is over once both halves have ended, or by `stream_reset` or
    `Link.cancel`; it may still be sent to after that, which does nothing.
    """

    def raw_data(self, data: bytes, *, is_ended: bool) -> None:
        """
        Bytes for the caller, none where only the end comes: *is_ended* is the half-close.

        The duty: `Link.consumed` once the bytes are passed on or dropped.
        """
        ...

    def stream_reset(self, code: ResetCode, message: str) -> None:
        """Both halves have ended before their time: the caller should see its connection cut."""
        ...

    def may_send_again(self) -> None: ...


@dataclass(slots=True)
class _RawStream:
    caller: RawCaller
    is_caller_ended: bool = False
    is_agent_ended: bool = False


class Link:
    """The owner of one `Session` in the relay's role."""

    def __init__(
        self,
        hello: Hello,
        token: Token,
        landlord: Landlord,
        on_lost: "Callable[[Link], None]",
        *,
        remote: str,
        clock: Clock,
        streams_max: int,
        lanes_max: int,
        tickets: "LaneTickets[Link]",
        on_granted: "Callable[[Link, Bind, str], None]" = lambda *_: None,
    ) -> None:
        """
        *remote* is the agent's address; *streams_max* is our limit beside its own;
        *on_granted* is told of each tunnel the agent gets, with the name it has.
        """
        self.token = token
        self.remote = remote
        self.agent_id = ""
        """Of its HELLO, which comes before all else."""
        self._session = Session(Role.RELAY, hello, clock.monotonic())
        self._carrier = Carrier(self._session, self, clock)
        self._landlord = landlord
        self._clock = clock
        self._tickets = tickets
        self._lanes_max = lanes_max
        self._pool: LanePool | None = None
        """From the first stream on that wants a lane."""
        self._look: asyncio.TimerHandle | None = None
        self._on_lost = on_lost
        self._on_granted = on_granted
        self._streams_max = streams_max
        self._is_revoked = False
        self._callers: dict[int, AnsweredCaller] = {}
        self._raw: dict[int, _RawStream] = {}

    def take_over(self, transport: asyncio.Transport, received: bytes) -> None:
        """Start the session on an upgraded connection."""
        self._carrier.take_over(transport, received)

    # --- for callers ----------------------------------------------------------------------

    @property
    def streams_open(self) -> int:
        return len(self._callers) + len(self._raw)

    @property
    def is_going_away(self) -> bool:
        """The agent, or we, opened the last stream of this session."""
        return self._session.is_going_away

    def open_stream(
        self,
        request: Request,
        body: bytes,
        caller: AnsweredCaller,
        *,
        is_ended: bool,
        digest: bytes = b"",
    ) -> int | None:
        """Pass a request on, with what is there of its body; None when the agent takes no more."""
        if not self._can_open_stream():
            return None
        stream = self._session.open_stream(request, body, is_ended=is_ended, digest=digest)
        self._callers[stream] = caller
        self._carrier.flush_soon()
        return stream

    def open_upgrade(self, request: Request, caller: AnsweredCaller) -> int | None:
        """
        Pass on a request that asks to leave HTTP; None when the agent takes no more now.

        Send nothing before its answer. A 101 is granted by `become_raw`, or refused by `cancel`.
        """
        if not self._can_open_stream():
            return None
        stream = self._session.open_upgrade(request)
        self._callers[stream] = caller
        self._carrier.flush_soon()
        return stream

    def become_raw(self, stream: int, caller: RawCaller, *, is_ended: bool) -> None:
        """The 101 of *stream* is passed on: from here it is raw. *is_ended*: the agent's half."""
        del self._callers[stream]
        self._raw[stream] = _RawStream(caller, is_agent_ended=is_ended)
        self._want_lane(stream, is_bulk=False)

    def open_raw_stream(self, connect: Connect, caller: RawCaller) -> int | None:
        """Pass a caller's connection on; None when the agent takes no more now."""
        if not self._can_open_stream():
            return None
        stream = self._session.open_raw_stream(connect)
        self._raw[stream] = _RawStream(caller)
        self._carrier.flush_soon()
        return stream

    def send_data(self, stream: int, data: bytes) -> bool:
        """Pass bytes on; False asks the caller to pause until `may_send_again`."""
        self._carrier.flush_soon()
        return self._session.send_data(stream, data)

    def end_stream(self, stream: int, trailers: Headers = (), *, digest: bytes = b"") -> None:
        """
        The request's body is complete, or the caller of a raw stream sends no more.

        *digest*: the SHA-256 of the body.
        """
        self._session.end_stream(stream, trailers, digest=digest)
        if raw := self._raw.get(stream):
            raw.is_caller_ended = True
            self._forget_ended(stream, raw)
        self._carrier.flush_soon()

    def cancel(self, stream: int, message: str) -> None:
        """Nobody wants the answer any more."""
        caller = self._callers.pop(stream, None) or self._raw.pop(stream, None)
        if caller is not None:
            self._session.reset_stream(stream, ResetCode.CANCELLED, message)
            self._carrier.flush_soon()

    def consumed(self, stream: int, length: int) -> None:
        """Bytes have left for the caller: let the agent send more."""
        self._session.consumed(stream, length)
        self._carrier.flush_soon()

    # --- for the server -------------------------------------------------------------------

    def go_away(self, code: str, message: str) -> None:
        """Take no new streams, and close once the open ones have ended."""
        self._session.go_away(code, message)
        self._carrier.flush_soon()

    def make_way(self) -> None:
        """
        The same agent came back on a new session: end with the streams that are open.

        The connection may well be dead, which is why the agent dialled anew, and callers
        would wait half a minute on it: so it has to show a sign of life soon.
        """
        if not self._session.is_going_away:
            self.go_away("replaced", "the same agent came back on a new session")
            self._carrier.probe()

    def drop(self, reason: str) -> None:
        """Close now; open exchanges end as broken."""
        self._carrier.drop(reason)

    def revoke(self) -> None:
        """Its token has ended: say so, give it a moment to read it, and keep no name for it."""
        if self._is_revoked:
            return
        self._is_revoked = True
        logger.info("token ended %s", Values(token=self.token.id, agent=self.agent_id))
        self.go_away("revoked", "the token of this session was revoked or has expired")
        loop = asyncio.get_running_loop()
        loop.call_later(REVOKED_SECONDS, self.drop, "the token was revoked or has expired")

    def add_lane(self, lane: int, transport: asyncio.Transport, received: bytes) -> None:
        """The agent has dialed the lane that it was invited to."""
        self._carrier.add_lane(lane, transport, received)

    # --- for the landlord -------------------------------------------------------------------

    def grant(self, bind: Bind, name: str, url: str) -> None:
        """Give the agent the tunnel it asked for."""
        self._session.accept_bind(Bound(bind.ref, name, url))
        self._carrier.flush_soon()
        self._on_granted(self, bind, name)
        values = Values(tunnel=name, url=url, token=self.token.id, agent=self.agent_id)
        logger.info("tunnel bound %s", values)

    def refuse(self, bind: Bind, code: str, message: str) -> None:
        """Do not give it."""
        self._session.refuse_bind(Refused(bind.ref, code, message))
        self._carrier.flush_soon()
        values = Values(code=code, token=self.token.id, agent=self.agent_id)
        logger.info("tunnel refused %s", values)

    # --- SessionOwner ----------------------------------------------------------------------

    def session_event(self, event: events.Event) -> None:
        match event:
            case events.DataReceived():
                self._data(event)
            case events.ResponseReceived():
                self._response(event)
            case events.TrailersReceived(stream, trailers):
                if caller := self._callers.pop(stream, None):
                    caller.response_trailers(trailers)
            case events.StreamReset():
                self._reset(event)
            case events.BindRequested(bind):
                self._landlord.bind(self, bind)
            case events.UnbindRequested(unbind):
                self._landlord.unbind(self, unbind.name)
            case events.HelloReceived(hello):
                self._hello(hello)
            case events.LaneOpened(lane):
                self._lane_opened(lane)
            case _:
                pass  # latency and GOAWAY need nothing of the relay

    def session_unblocked(self, stream: int) -> None:
        if caller := self._callers.get(stream):
            caller.may_send_again()
        elif raw := self._raw.get(stream):
            raw.caller.may_send_again()

    def session_flushed(self) -> None:
        for stream in self._session.lanes.bulk():
            self._want_lane(stream, is_bulk=True)
        if self._pool is not None and self._pool.has_waiting:
            self._settle_lanes()

    def session_lost(self, reason: str) -> None:
        self._tell_gone(reason)
        self._tickets.forget(self)
        self._pool = None
        if self._look is not None:
            self._look.cancel()
        self._landlord.lost(self, is_held=not self._is_revoked)
        callers: list[AnsweredCaller | RawCaller] = [*self._callers.values()]
        callers += [raw.caller for raw in self._raw.values()]
        self._callers, self._raw = {}, {}
        for caller in callers:
            caller.stream_reset(ResetCode.UPSTREAM_BROKEN, "the connection to the agent was lost")
        self._on_lost(self)

    # --- inside ---------------------------------------------------------------------------

    def _tell_gone(self, reason: str) -> None:
        values = Values(
            token=self.token.id, agent=self.agent_id, reason=reason, streams=self.streams_open
        )
        logger.info("agent gone %s", values)

    def _reset(self, event: events.StreamReset) -> None:
        if caller := self._callers.pop(event.stream, None):
            caller.stream_reset(event.code, event.message)
        elif raw := self._raw.pop(event.stream, None):
            raw.caller.stream_reset(event.code, event.message)

    def _hello(self, hello: Hello) -> None:
        self.agent_id = hello.id
        values = Values(
            token=self.token.id,
            label=self.token.label or None,
            agent=hello.id,
            remote=self.remote,
            software=hello.software,
        )
        logger.info("agent connected %s", values)

    def _lane_opened(self, lane: int) -> None:
        if self._pool is not None:
            self._pool.opened(lane)
            self._settle_lanes()

    def _want_lane(self, stream: int, *, is_bulk: bool) -> None:
        if self._pool is None:
            self._pool = LanePool(
                self._session.lanes,
                lambda lane: self._tickets.issue(self, lane),
                lanes_max=self._lanes_max,
            )
        self._pool.want(stream, is_bulk=is_bulk)

    def _settle_lanes(self) -> None:
        """Deal out the lanes there are, ask for more, let go what nobody needs; and look again."""
        if self._pool is None or self.is_going_away:
            return
        for lane in self._pool.settle(self._clock.monotonic()):
            self._carrier.close_lane(lane)
        self._carrier.flush_soon()
        if self._look is not None:
            self._look.cancel()
        self._look = None
        if self._session.lanes or self._pool.has_waiting:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(LOOK_SECONDS, self._settle_lanes)

    def _can_open_stream(self) -> bool:
        return self.streams_open < self._streams_max and self._session.can_open_stream()

    def _response(self, event: events.ResponseReceived) -> None:
        caller = self._callers.get(event.stream)
        if caller:
            if not event.is_ended and is_long_lived(event.head):
                self._want_lane(event.stream, is_bulk=False)
            if event.is_ended and event.head.status != 101:
                del self._callers[event.stream]
            caller.response_head(
                event.head, event.body, is_ended=event.is_ended, digest=event.digest
            )
        else:
            self.consumed(event.stream, len(event.body))

    def _data(self, event: events.DataReceived) -> None:
        caller = self._callers.get(event.stream)
        if caller is None:
            self._raw_data(event)
            return
        if event.is_ended:
            del self._callers[event.stream]
        caller.response_data(event.data, is_ended=event.is_ended, digest=event.digest)

    def _raw_data(self, event: events.DataReceived) -> None:
        raw = self._raw.get(event.stream)
        if raw is None:
            self.consumed(event.stream, len(event.data))
            return
        if event.is_ended:
            raw.is_agent_ended = True
            self._forget_ended(event.stream, raw)
        raw.caller.raw_data(event.data, is_ended=event.is_ended)

    def _forget_ended(self, stream: int, raw: _RawStream) -> None:
        if raw.is_caller_ended and raw.is_agent_ended:
            del self._raw[stream]
