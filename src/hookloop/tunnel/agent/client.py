"""The agent: tunnels over one session at a time, opened again whenever it is lost."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from random import SystemRandom
from typing import Any

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ProtocolError, RefusedError, RemoteError
from hookloop.exchange import (
    CaptureSink,
    Exchange,
    Headers,
    ResponseHead,
    discard,
)
from hookloop.ids import new_id
from hookloop.tunnel.carrier import Carrier
from hookloop.tunnel.catch.box import CatchStatistics
from hookloop.tunnel.catch.observer import CatchObserver, nobody
from hookloop.tunnel.wire import events
from hookloop.tunnel.wire.handshake import Carriage
from hookloop.tunnel.wire.messages import Bind, Hello, Refused, ResetCode
from hookloop.tunnel.wire.session import Role, Session
from hookloop.version import __version__

from .backoff import Backoff
from .catch_boxes import CatchBoxes
from .catch_forward import CatchForward
from .config import AgentConfig, TunnelConfig
from .dial import NotNowError, dial
from .forward import Forward, ForwardSession
from .gate import Gate
from .holding import Holding
from .lane_dial import LANES_MAX, dial_lane
from .lookout import Lookout, Route
from .observer import AgentObserver, QuietObserver
from .raw_forward import RawConnection, RawUpstream
from .route import local_address
from .statistics import AgentStatistics
from .trust import UntrustedError
from .tunnel import Tunnel
from .tunnels import Tunnels
from .upstream_dial import why_not_connected

__all__ = ["Agent", "AgentStatistics", "say_nothing"]

logger = logging.getLogger("hookloop.agent")

# What the relay may have on its way to us: of one request, and of all together.
STREAM_CREDIT = 256 * 1024
SESSION_CREDIT = 4 * 1024 * 1024
STREAMS_MAX = 1024  # exchanges at once; a development server serves a few
CLOSE_SECONDS = 0.4  # how long a leaving agent lets its exchanges end: Ctrl+C is over in a second


def say_nothing(_connection: RawConnection) -> None:
    """Nobody wants to know."""


class Agent:
    """
    Forwards the streams of its tunnels, each to its own upstream; use `running_agent`.

    It is the owner of its session, and the `ForwardSession` of its streams.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        clock: Clock | None = None,
        sink: CaptureSink = discard,
        observer: AgentObserver | None = None,
        catch_observer: CatchObserver = nobody,
        connection_ended: Callable[[RawConnection], None] = say_nothing,
        route: Route = local_address,
        keep_max: int = 0,
    ) -> None:
        """
        *connection_ended* is told of each connection of a tcp or tls tunnel, at its end.

        *keep_max*: bytes of each body that an `Exchange` holds on to, for *sink*.
        """
        self.config = config
        self._clock = clock or SystemClock()
        self._sink = sink
        self._keep_max = keep_max
        self._observer = observer or QuietObserver()
        self._connection_ended = connection_ended
        random = SystemRandom()
        self._id = new_id("agt_", random)
        self._backoff = Backoff(random)
        self._tunnels = Tunnels(config.tunnels, self, self._observer, self._clock)
        self._forwards: dict[int, Forward | CatchForward] = {}
        self._tunnel_of: dict[int, Tunnel] = {}
        """The tunnel of each stream in `_forwards`."""
        self._gate = Gate(self, self._clock, keep_max=keep_max)
        self._raw_forwards: dict[int, RawUpstream] = {}
        self._session: Session | None = None
        self._carrier: Carrier | None = None
        self._connects: dict[int, asyncio.Task[None]] = {}
        self._dialed: set[asyncio.Task[None]] = set()
        """Lanes on their way."""
        self._via = Carriage.UPGRADE
        self._lost: asyncio.Future[str] | None = None
        self._is_leaving = False
        self._asked_to_wait = 0.0
        self._patience: asyncio.Timeout | None = None
        """Of a dial, or of the wait before it: at its end when something disturbs us."""
        self._is_disturbed = False
        """Something may have cut us off, and no answer has shown yet that it did not."""
        self._lookout = Lookout(self._clock, self._disturbed, route=route)
        self._tasks: asyncio.TaskGroup | None = None
        self._refused: RefusedError | None = None
        self._exchanges = 0
        self._sessions = 0
        self._latency: float | None = None
        self._relay_software = ""
        self._catch_boxes = CatchBoxes(self._clock, sink, catch_observer, keep_max=keep_max)

    async def run(self) -> None:
        """
        Keep the tunnels up until cancelled or closed.

        Raises `RefusedError` when the relay says no in a way that trying again
        cannot change: to the session, or to every tunnel the agent began with; `ConfigError`
        or `StoreError` where catch mode has no place to keep what it catches.
        """
        self._lookout.start()
        try:
            for tunnel in self.tunnels:
                self._catch_boxes.add(tunnel.config)
            await self._catch_boxes.wait_looked()
            while True:
                reason = await self._try_session()
                if self._is_leaving:
                    return
                wait = 0.0
                if not self._is_disturbed:
                    wait = max(self._backoff.next_seconds(), self._asked_to_wait)
                logger.info("session lost reason=%r retry_seconds=%.2f", reason, wait)
                self._observer.session_down(reason, wait)
                await self._pause(wait)
        finally:
            self._lookout.stop()
            self._tunnels.close()

    async def wait_settled(self) -> None:
        """Return once the relay has given or refused each tunnel the agent began with."""
        await self._tunnels.wait_settled()

    # --- tunnels ----------------------------------------------------------------------------

    @property
    def tunnels(self) -> tuple[Tunnel, ...]:
        """Its tunnels, also those that were refused, in the order they were asked for."""
        return self._tunnels.all

    @property
    def url(self) -> str | None:
        """The public URL of its first tunnel, once that is up: for the many that have but one."""
        return next((tunnel.url for tunnel in self.tunnels), None)

    def add_tunnel(self, config: TunnelConfig) -> Tunnel:
        """
        Ask for one more tunnel, now or as soon as there is a session; see `Tunnel.wait_up`.

        Raises `ConfigError` where a tunnel of this agent has its label or its name already.
        """
        self._tunnels.check_free(config)
        self._catch_boxes.add(config)
        return self._tunnels.add(config)

    def remove_tunnel(self, label: str) -> None:
        """
        Give a tunnel back. Its exchanges run on to their end.

        Raises `ConfigError` where there is none of that label.
        """
        self._tunnels.remove(label)

    async def close(self) -> None:
        """Give the tunnels back, let open streams end for a second, and close the session."""
        self._is_leaving = True
        if self._session is None or self._carrier is None:
            return
        self._tunnels.give_back_all()
        self._session.go_away("shutdown", "the agent is leaving")
        self._carrier.flush_soon()
        if self._lost is not None:
            # The relay closes once the open streams have ended (SPEC.md section 5).
            await asyncio.wait({self._lost}, timeout=CLOSE_SECONDS)
        if self._forwards:
            logger.info("left with exchanges open count=%d", len(self._forwards))

    def catch_statistics(self) -> dict[str, CatchStatistics]:
        """Return a moment's counts of catch mode, by the label of each tunnel in it."""
        return self._catch_boxes.statistics()

    async def stop_catching(self) -> None:
        """Close the files of catch mode, once `run` has ended; what waits in them stays."""
        await self._catch_boxes.close()

    def statistics(self) -> AgentStatistics:
        return AgentStatistics(
            exchanges=self._exchanges,
            exchanges_open=len(self._tunnel_of) + len(self._raw_forwards),
            sessions=self._sessions,
            latency_seconds=self._latency,
            relay_software=self._relay_software,
        )

    # --- sessions ---------------------------------------------------------------------------

    async def _try_session(self) -> str:
        """Open a session, serve it to its end, and return why it ended."""
        config = self.config
        self._asked_to_wait = 0.0
        self._is_disturbed = False
        try:
            async with asyncio.timeout(None) as self._patience:
                opened = await dial(
                    config.relay_url,
                    config.token,
                    timeout=config.connect_seconds,
                    via=config.via,
                    trust=config.trust,
                )
        except RefusedError:
            raise
        except UntrustedError as error:
            if self._sessions == 0:
                raise RefusedError("untrusted_relay", str(error)) from error
            return str(error)  # we knew it once: a hotel's network may stand between us for now
        except NotNowError as error:
            self._asked_to_wait = error.retry_seconds
            return f"{config.relay_url} is not ready: {error}"
        except TimeoutError:
            if self._is_disturbed:
                return "the network changed while connecting"
            return f"{config.relay_url} did not answer within {config.connect_seconds:g} s"
        except (OSError, RemoteError, UnicodeError) as error:  # the last for a host like a..b
            return f"cannot reach {config.relay_url}: {error}"
        finally:
            self._patience = None
        self._sessions += 1
        self._via = opened.via
        self._lookout.watch(opened.transport.get_extra_info("peername"))
        self._lost = asyncio.get_running_loop().create_future()
        self._session = Session(Role.AGENT, self._hello(), self._clock.monotonic())
        self._carrier = Carrier(self._session, self, self._clock)
        self._tunnels.bind_all()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._carrier.take_over(opened.transport, opened.rest)
                opened.transport.resume_reading()
                reason = await self._lost
                for connect in [*self._connects.values(), *self._dialed]:
                    connect.cancel()  # nobody waits for it, and the next session waits for us
        finally:
            self._carrier.drop("the agent is leaving")
            self._session = self._carrier = self._tasks = None
            self._tunnels.session_lost()
        if self._refused is not None:
            raise self._refused
        return reason

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer once something changes that a try could make use of."""
        try:
            async with asyncio.timeout(seconds) as self._patience:
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        finally:
            self._patience = None

    def _disturbed(self, why: str) -> None:
        """Come back at once, unless the session shows that it still works."""
        logger.info("looking after the session reason=%r", why)
        self._is_disturbed = True
        self._backoff.reset()
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())
        elif self._carrier is not None:
            self._carrier.probe()

    def _hello(self) -> Hello:
        return Hello(
            id=self._id,
            software=f"hookloop/{__version__}",
            stream_credit=STREAM_CREDIT,
            session_credit=SESSION_CREDIT,
            streams_max=STREAMS_MAX,
        )

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
                self._backoff.reset()
                self._tunnels.bound(bound)
            case events.BindRefused(refused):
                self._bind_refused(refused)
            case events.LatencyMeasured(seconds):
                self._latency = seconds
                self._is_disturbed = False
            case events.GoawayReceived(goaway):
                logger.info("relay says goodbye code=%s", goaway.code)
            case events.HelloReceived(hello):
                self._relay_software = hello.software
                self._observer.session_up()
                if not self.tunnels:
                    self._backoff.reset()  # no answer to a BIND will say that all is well
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
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(reason)

    # --- TunnelSession ----------------------------------------------------------------------

    def send_bind(self, bind: Bind) -> None:
        if self._session is not None and self._carrier is not None:
            self._session.bind(bind)
            self._carrier.flush_soon()

    def send_unbind(self, name: str) -> None:
        if self._session is not None and self._carrier is not None:
            self._session.unbind(name)
            self._carrier.flush_soon()

    def _bind_refused(self, refused: Refused) -> None:
        self._backoff.reset()
        self._refused = self._tunnels.refused(refused)
        if self._refused is not None and self._carrier is not None:
            self._carrier.drop(f"the relay refused every tunnel: {refused.message}")

    # --- streams ----------------------------------------------------------------------------

    def _request(self, request: events.RequestReceived) -> None:
        tunnel = self._tunnels.by_name.get(request.tunnel)
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
        session = self._session
        if self._tasks is not None and session is not None and len(session.lanes) < LANES_MAX:
            self._dialed.add(task := self._tasks.create_task(self._open_lane(invited)))
            task.add_done_callback(self._dialed.discard)

    async def _open_lane(self, invited: events.LaneInvited) -> None:
        opened = await dial_lane(self.config, invited, self._via)
        if opened is not None and self._carrier is not None:
            self._carrier.add_lane(invited.lane, opened.transport, opened.rest)
            opened.transport.resume_reading()

    def _raw_stream(self, opened: events.RawStreamReceived) -> None:
        stream, connect = opened.stream, opened.connect
        tunnel = self._tunnels.by_name.get(connect.tunnel)
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
        self._exchanges += 1
        self._connection_ended(connection)

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
        if self._tasks is None:
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
        if self._session is None or self._carrier is None:
            return True
        self._carrier.flush_soon()
        return self._session.respond(stream, head, body, is_ended=is_ended, digest=digest)

    def send_data(self, stream: int, data: bytes) -> bool:
        if self._session is None or self._carrier is None:
            return True
        self._carrier.flush_soon()
        return self._session.send_data(stream, data)

    def end_stream(self, stream: int, trailers: Headers = (), *, digest: bytes = b"") -> None:
        if self._session is not None and self._carrier is not None:
            self._session.end_stream(stream, trailers, digest=digest)
            self._carrier.flush_soon()

    def reset_stream(self, stream: int, code: ResetCode, message: str) -> None:
        if self._session is not None and self._carrier is not None:
            self._session.reset_stream(stream, code, message)
            self._carrier.flush_soon()

    def consumed(self, stream: int, length: int) -> None:
        if self._session is not None and self._carrier is not None:
            self._session.consumed(stream, length)
            self._carrier.flush_soon()

    def raw_ended(self, stream: int) -> None:
        self._raw_forwards.pop(stream, None)

    def forward_ended(self, stream: int, exchange: Exchange) -> None:
        self._forwards.pop(stream, None)
        self._tunnel_of[stream].exchanges += 1
        self.forget(stream)
        self._exchanges += 1
        self._sink.captured(exchange)
