"""One session of an agent: a connection to the relay, and the streams on it."""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol

from hookloop.clock import Clock
from hookloop.errors import ProtocolError
from hookloop.exchange import Exchange, Headers, ResponseHead
from hookloop.tunnel.carrier import Carrier
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire import events
from hookloop.tunnel.wire.handshake import Carriage
from hookloop.tunnel.wire.messages import Bind, Bound, Goaway, Hello, Refused, ResetCode
from hookloop.tunnel.wire.session import Role, Session

from .catch_boxes import CatchBoxes
from .catch_forward import CatchForward
from .config import AgentConfig
from .dial import Opened
from .forward import Forward, ForwardSession
from .gate import Gate
from .holding import Holding
from .lane_dial import LANES_MAX, dial_lane
from .raw_forward import RawConnection, RawUpstream
from .tunnel import Tunnel
from .upstream_dial import why_not_connected

__all__ = ["AgentSession", "SessionHost"]

logger = logging.getLogger("hookloop.agent")

# GOAWAY of these means "not you": another session of ours has the names, the token has ended,
# or we broke the contract. After any other the names are to be had elsewhere, and at once.
STAYS_AWAY = frozenset({"replaced", "revoked", "protocol_error"})


class SessionHost(Protocol):
    """What a session needs of its agent. None of these may raise."""

    def greeted(self, hello: Hello) -> None: ...

    def bound(self, session: "AgentSession", bound: Bound) -> None: ...

    def bind_refused(self, session: "AgentSession", refused: Refused) -> None: ...

    def latency_measured(self, session: "AgentSession", seconds: float) -> None: ...

    def tunnel_called(self, name: str) -> Tunnel | None:
        """Return the tunnel that the relay calls so."""
        ...

    def exchange_ended(self, exchange: Exchange) -> None: ...

    def connection_ended(self, connection: RawConnection) -> None: ...


class AgentSession:
    """
    Forwards the streams of its connection, each to its tunnel's upstream.

    It is the owner of its wire session, and the `ForwardSession` of its streams.
    """

    def __init__(
        self,
        host: SessionHost,
        config: AgentConfig,
        hello: Hello,
        *,
        via: Carriage,
        clock: Clock,
        catch_boxes: CatchBoxes,
        held: Room,
        keep_max: int,
    ) -> None:
        """
        *held* is the memory that all sessions share for requests a guard has yet to judge;
        *keep_max*: bytes of each body that an `Exchange` holds on to.
        """
        self.wire = Session(Role.AGENT, hello, clock.monotonic())
        self.carrier = Carrier(self.wire, self, clock)
        self.is_sent_away = False
        """The relay opens no more streams here, and another session would get them."""
        self._host = host
        self._config = config
        self._via = via
        self._clock = clock
        self._catch_boxes = catch_boxes
        self._keep_max = keep_max
        self._forwards: dict[int, Forward | CatchForward] = {}
        self._tunnel_of: dict[int, Tunnel] = {}
        """The tunnel of each stream in `_forwards`."""
        self._gate = Gate(self, clock, held, keep_max=keep_max)
        self._raw_forwards: dict[int, RawUpstream] = {}
        self._connects: dict[int, asyncio.Task[None]] = {}
        self._dialed: set[asyncio.Task[None]] = set()
        """Lanes on their way."""
        self._tasks: asyncio.TaskGroup | None = None
        self._left = asyncio.Event()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self, opened: Opened) -> str:
        """Serve *opened* to its end, and return why it ended."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self.carrier.take_over(opened.transport, opened.rest)
                opened.transport.resume_reading()
                reason = await self._lost
                for connect in [*self._connects.values(), *self._dialed]:
                    connect.cancel()  # nobody waits for it, and the next session waits for us
        finally:
            self.carrier.drop("the agent is leaving")
            self._tasks = None
        return reason

    async def wait_left(self) -> None:
        """Return once no new stream will come here: it is lost, or the relay sends us away."""
        await self._left.wait()

    async def wait_lost(self) -> None:
        """Return once its connection has ended."""
        await asyncio.wait({self._lost})

    @property
    def is_lost(self) -> bool:
        return self._lost.done()

    @property
    def exchanges_open(self) -> int:
        return len(self._tunnel_of) + len(self._raw_forwards)

    def go_away(self) -> None:
        """Say that the agent leaves: the relay closes once the open streams have ended."""
        self.wire.go_away("shutdown", "the agent is leaving")
        self.carrier.flush_soon()

    def bind(self, bind: Bind) -> None:
        if not self.is_lost:
            self.wire.bind(bind)
            self.carrier.flush_soon()

    def unbind(self, name: str) -> None:
        if not self.is_lost:
            self.wire.unbind(name)
            self.carrier.flush_soon()

    # --- SessionOwner -----------------------------------------------------------------------

    def session_event(self, event: events.Event) -> None:
        match event:
            case events.RequestReceived():
                self._request(event)
            case events.DataReceived():
                self._data(event)
            case events.TrailersReceived(stream, trailers):
                if taking := self._forwards.get(stream) or self._gate.holding(stream):
                    taking.request_ended(trailers)
            case events.StreamReset(stream, _, message):
                if served := self._served(stream):
                    served.stream_reset(message)
            case events.RawStreamReceived():
                self._raw_stream(event)
            case events.LaneInvited():
                self._lane_invited(event)
            case _:
                self._session_itself(event)

    def _session_itself(self, event: events.Event) -> None:
        """Take what is about no stream."""
        match event:
            case events.BindAccepted(bound):
                self._host.bound(self, bound)
            case events.BindRefused(refused):
                self._host.bind_refused(self, refused)
            case events.LatencyMeasured(seconds):
                self._host.latency_measured(self, seconds)
            case events.GoawayReceived(goaway):
                self._goaway(goaway)
            case events.HelloReceived(hello):
                self._host.greeted(hello)
            case _:
                pass

    def session_unblocked(self, stream: int) -> None:
        if served := self._served(stream):
            served.may_send_again()

    def session_flushed(self) -> None:
        """The relay deals out the lanes."""

    def session_lost(self, reason: str) -> None:
        served: list[Forward | CatchForward | Holding | RawUpstream] = [*self._forwards.values()]
        served += self._gate.holdings()
        served += self._raw_forwards.values()
        for forward in served:
            forward.stream_reset("the session with the relay was lost")
        if not self._lost.done():
            self._lost.set_result(reason)
        self._left.set()

    def _goaway(self, goaway: Goaway) -> None:
        logger.info("relay says goodbye code=%s", goaway.code)
        if goaway.code not in STAYS_AWAY:
            self.is_sent_away = True
            self._left.set()

    # --- streams ----------------------------------------------------------------------------

    def _request(self, request: events.RequestReceived) -> None:
        tunnel = self._host.tunnel_called(request.tunnel)
        if tunnel is None:  # it was removed while the request was on its way
            why = f"the agent has no tunnel {request.tunnel!r} any more"
            self.reset_stream(request.stream, ResetCode.INTERNAL, why)
            self.consumed(request.stream, len(request.body))
            return
        self._tunnel_of[request.stream] = tunnel
        tunnel.exchanges_open += 1
        if self._gate.admits(request, tunnel.pipeline):
            self._forward(request, tunnel)

    def _forward(
        self,
        request: events.RequestReceived,
        tunnel: Tunnel,
        trailers: Headers = (),
        *,
        is_paid: bool = False,
    ) -> None:
        try:
            forward = self._forward_of(request, tunnel, is_paid=is_paid)
        except ProtocolError as error:
            self.reset_stream(request.stream, ResetCode.INTERNAL, str(error))
            self.consumed(request.stream, 0 if is_paid else len(request.body))
            self.forget(request.stream)
            return
        self._forwards[request.stream] = forward
        if trailers:
            forward.request_ended(trailers)
        if isinstance(forward, CatchForward) and forward.is_queued:
            forward.begin()
            return
        connection = tunnel.pool.take()
        if connection is not None:
            forward.connected(connection, response_seconds=tunnel.config.response_seconds)
        else:
            self.run_for(request.stream, self._connect(forward, tunnel))

    def _forward_of(
        self, request: events.RequestReceived, tunnel: Tunnel, *, is_paid: bool
    ) -> Forward | CatchForward:
        upstream, pipeline = str(tunnel.config.upstream), tunnel.pipeline

        def make(session: ForwardSession) -> Forward:
            return Forward(
                request,
                session,
                self._clock,
                upstream,
                pipeline,
                is_paid=is_paid,
                keep_max=self._keep_max,
            )

        box = self._catch_boxes.of(tunnel.label)
        if box is None or not box.rules.want(request.head):
            return make(self)
        room = self._catch_boxes.room
        return CatchForward(
            request,
            self,
            box,
            room,
            self._clock,
            make,
            is_paid=is_paid,
            keep_max=self._keep_max,
        )

    def _data(self, event: events.DataReceived) -> None:
        if forward := self._forwards.get(event.stream):
            forward.request_data(event.data, is_ended=event.is_ended, digest=event.digest)
        elif holding := self._gate.holding(event.stream):
            holding.request_data(event.data, is_ended=event.is_ended, digest=event.digest)
        elif raw := self._raw_forwards.get(event.stream):
            raw.raw_data(event.data, is_ended=event.is_ended)
        else:
            self.consumed(event.stream, len(event.data))

    def _served(self, stream: int) -> Forward | CatchForward | Holding | RawUpstream | None:
        return (
            self._forwards.get(stream)
            or self._gate.holding(stream)
            or self._raw_forwards.get(stream)
        )

    def _lane_invited(self, invited: events.LaneInvited) -> None:
        if self._tasks is not None and len(self.wire.lanes) < LANES_MAX:
            self._dialed.add(task := self._tasks.create_task(self._open_lane(invited)))
            task.add_done_callback(self._dialed.discard)

    async def _open_lane(self, invited: events.LaneInvited) -> None:
        opened = await dial_lane(self._config, invited, self._via)
        if opened is not None:
            self.carrier.add_lane(invited.lane, opened.transport, opened.rest)
            opened.transport.resume_reading()

    def _raw_stream(self, opened: events.RawStreamReceived) -> None:
        stream, connect = opened.stream, opened.connect
        tunnel = self._host.tunnel_called(connect.tunnel)
        if tunnel is None or tunnel.config.protocol == "http" or self._tasks is None:
            message = f"this agent serves no raw tunnel {connect.tunnel!r}"
            self.reset_stream(stream, ResetCode.UPSTREAM_REFUSED, message)
            return
        raw = RawUpstream(
            stream,
            connect,
            tunnel.config,
            self,
            partial(self._raw_connection_ended, tunnel),
            public_url=tunnel.url,
            clock=self._clock,
        )
        self._raw_forwards[stream] = raw
        tunnel.exchanges_open += 1
        self.run_for(stream, raw.connect())

    def _raw_connection_ended(self, tunnel: Tunnel, connection: RawConnection) -> None:
        tunnel.exchanges_open -= 1
        tunnel.exchanges += 1
        self._host.connection_ended(connection)

    async def _connect(self, forward: Forward | CatchForward, tunnel: Tunnel) -> None:
        try:
            async with asyncio.timeout(tunnel.config.connect_seconds):
                connection = await tunnel.pool.connect()
        except TimeoutError:
            forward.not_connected(
                ResetCode.UPSTREAM_TIMEOUT, "no answer to the connection. Is the app running?"
            )
        except (OSError, UnicodeError) as error:
            forward.not_connected(ResetCode.UPSTREAM_REFUSED, why_not_connected(error))
        else:
            forward.connected(connection, response_seconds=tunnel.config.response_seconds)

    # --- GateSession ------------------------------------------------------------------------

    def run_for(self, stream: int, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None or self.is_lost:
            work.close()
            return
        task = self._connects[stream] = self._tasks.create_task(work)
        task.add_done_callback(lambda _: self._connects.pop(stream, None))

    def passed(self, request: events.RequestReceived, trailers: Headers) -> None:
        self._forward(request, self._tunnel_of[request.stream], trailers, is_paid=True)

    def forget(self, stream: int) -> None:
        self._tunnel_of.pop(stream).exchanges_open -= 1

    # --- ForwardSession ---------------------------------------------------------------------

    def respond(
        self, stream: int, head: ResponseHead, body: bytes, *, is_ended: bool, digest: bytes
    ) -> bool:
        if self.is_lost:
            return True
        self.carrier.flush_soon()
        return self.wire.respond(stream, head, body, is_ended=is_ended, digest=digest)

    def send_data(self, stream: int, data: bytes) -> bool:
        if self.is_lost:
            return True
        self.carrier.flush_soon()
        return self.wire.send_data(stream, data)

    def end_stream(self, stream: int, trailers: Headers = (), *, digest: bytes = b"") -> None:
        if not self.is_lost:
            self.wire.end_stream(stream, trailers, digest=digest)
            self.carrier.flush_soon()

    def reset_stream(self, stream: int, code: ResetCode, message: str) -> None:
        if not self.is_lost:
            self.wire.reset_stream(stream, code, message)
            self.carrier.flush_soon()

    def consumed(self, stream: int, length: int) -> None:
        if not self.is_lost:
            self.wire.consumed(stream, length)
            self.carrier.flush_soon()

    def raw_ended(self, stream: int) -> None:
        self._raw_forwards.pop(stream, None)

    def forward_ended(self, stream: int, exchange: Exchange) -> None:
        self._forwards.pop(stream, None)
        self._tunnel_of[stream].exchanges += 1
        self.forget(stream)
        self._host.exchange_ended(exchange)
