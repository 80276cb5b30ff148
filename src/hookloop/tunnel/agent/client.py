"""The agent: tunnels over one session at a time, opened again whenever it is lost."""

import asyncio
import logging
from collections.abc import Callable
from random import SystemRandom

from hookloop.clock import Clock, SystemClock
from hookloop.errors import RefusedError, RemoteError
from hookloop.exchange import CaptureSink, Exchange, discard
from hookloop.ids import new_id
from hookloop.tunnel.catch.box import CatchStatistics
from hookloop.tunnel.catch.observer import CatchObserver, nobody
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire.messages import Bind, Bound, Hello, Refused
from hookloop.version import __version__

from .backoff import Backoff
from .catch_boxes import CatchBoxes
from .config import AgentConfig, TunnelConfig
from .dial import NotNowError, Opened, dial
from .holding import HELD_BYTES_MAX
from .lookout import Lookout, Route
from .observer import AgentObserver, QuietObserver
from .raw_forward import RawConnection
from .route import local_address
from .session import AgentSession
from .statistics import AgentStatistics
from .trust import UntrustedError
from .tunnel import Tunnel
from .tunnels import Tunnels

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

    It has one session, and beside it those whose relay has said goodbye: their streams run to
    their end while new ones come by the next. It is the `SessionHost` of all of them.
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
        self._session: AgentSession | None = None
        """Where new streams come, while there is one."""
        self._sent_away: set[AgentSession] = set()
        """The relay opens no more streams on these, and those that are open run to their end."""
        self._held = Room(HELD_BYTES_MAX)
        self._is_leaving = False
        self._asked_to_wait = 0.0
        self._patience: asyncio.Timeout | None = None
        """Of a dial, or of the wait before it: at its end when something disturbs us."""
        self._is_disturbed = False
        """Something may have cut us off, and no answer has shown yet that it did not."""
        self._lookout = Lookout(self._clock, self._disturbed, route=route)
        self._refused: RefusedError | None = None
        self._exchanges = 0
        self._sessions_opened = 0
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
            refused = None
            async with asyncio.TaskGroup() as serving:
                try:
                    await self._keep_session(serving)
                except RefusedError as error:
                    refused = error  # not from here: a group would wrap it
                    for session in self._sent_away:
                        session.carrier.drop("the relay refused the agent")
            if refused is not None:
                raise refused
        finally:
            self._lookout.stop()
            self._tunnels.close()

    async def wait_settled(self) -> None:
        """
        Return once the relay has given or refused each tunnel the agent began with.

        Raises `RefusedError` where it refused all of them, as `run` does.
        """
        await self._tunnels.wait_settled()
        if self._refused is not None:
            raise self._refused

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
        self._tunnels.give_back_all()
        sessions = self._sessions_open()
        for session in sessions:
            session.go_away()
        if sessions:
            # The relay closes once the open streams have ended (SPEC.md section 5).
            waits = [asyncio.ensure_future(session.wait_lost()) for session in sessions]
            await asyncio.wait(waits, timeout=CLOSE_SECONDS)
            for wait in waits:
                wait.cancel()
        if left := sum(session.exchanges_open for session in sessions):
            logger.info("left with exchanges open count=%d", left)

    def catch_statistics(self) -> dict[str, CatchStatistics]:
        """Return a moment's counts of catch mode, by the label of each tunnel in it."""
        return self._catch_boxes.statistics()

    async def stop_catching(self) -> None:
        """Close the files of catch mode, once `run` has ended; what waits in them stays."""
        await self._catch_boxes.close()

    def statistics(self) -> AgentStatistics:
        return AgentStatistics(
            exchanges=self._exchanges,
            exchanges_open=sum(each.exchanges_open for each in self._sessions_open()),
            sessions=self._sessions_opened,
            latency_seconds=self._latency,
            relay_software=self._relay_software,
        )

    # --- sessions ---------------------------------------------------------------------------

    async def _keep_session(self, serving: asyncio.TaskGroup) -> None:
        """Open a session, and another when it is lost or sent away, until the agent leaves."""
        while True:
            reason = await self._try_session(serving)
            if self._is_leaving:
                return
            wait = 0.0
            if not self._is_disturbed:
                wait = max(self._backoff.next_seconds(), self._asked_to_wait)
            logger.info("session lost reason=%r retry_seconds=%.2f", reason, wait)
            self._observer.session_down(reason, wait)
            await self._pause(wait)

    async def _try_session(self, serving: asyncio.TaskGroup) -> str:
        """Open a session, and return, once no new streams come there, why they do not."""
        self._asked_to_wait = 0.0
        self._is_disturbed = False
        opened = await self._dial()
        if isinstance(opened, str):
            return opened
        self._sessions_opened += 1
        self._latency = opened.latency_seconds
        self._lookout.watch(opened.transport.get_extra_info("peername"))
        session = self._session = AgentSession(
            self,
            self.config,
            self._hello(),
            via=opened.via,
            clock=self._clock,
            catch_boxes=self._catch_boxes,
            held=self._held,
            keep_max=self._keep_max,
        )
        self._tunnels.bind_all()
        served = serving.create_task(self._serve(session, opened))
        try:
            await session.wait_left()
            if not session.is_lost:
                self._sent_away.add(session)
                return "the relay is going away"
        finally:
            self._session = None
            self._tunnels.session_lost()
        reason = await served
        if self._refused is not None:
            raise self._refused
        return reason

    async def _serve(self, session: AgentSession, opened: Opened) -> str:
        try:
            return await session.run(opened)
        finally:
            self._sent_away.discard(session)

    async def _dial(self) -> Opened | str:
        """Return a connection for a session, or why there is none. Raises `RefusedError`."""
        config = self.config
        try:
            async with asyncio.timeout(None) as self._patience:
                return await dial(
                    config.relay_url,
                    config.token,
                    timeout=config.connect_seconds,
                    via=config.via,
                    trust=config.trust,
                )
        except RefusedError:
            raise
        except UntrustedError as error:
            if self._sessions_opened == 0:
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

    def _sessions_open(self) -> list[AgentSession]:
        current = [self._session] if self._session is not None else []
        return [*current, *self._sent_away]

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
        for session in self._sessions_open():
            session.carrier.probe()

    def _hello(self) -> Hello:
        return Hello(
            id=self._id,
            software=f"hookloop/{__version__}",
            stream_credit=STREAM_CREDIT,
            session_credit=SESSION_CREDIT,
            streams_max=STREAMS_MAX,
        )

    # --- SessionHost ------------------------------------------------------------------------

    def greeted(self, hello: Hello) -> None:
        self._relay_software = hello.software
        self._observer.session_up()
        if not self.tunnels:
            self._backoff.reset()  # no answer to a BIND will say that all is well

    def bound(self, session: AgentSession, bound: Bound) -> None:
        if session is self._session:
            self._backoff.reset()
            self._tunnels.bound(bound)

    def bind_refused(self, session: AgentSession, refused: Refused) -> None:
        if session is not self._session:
            return
        self._backoff.reset()
        self._refused = self._tunnels.refused(refused)
        if self._refused is not None:
            session.carrier.drop(f"the relay refused every tunnel: {refused.message}")

    def latency_measured(self, session: AgentSession, seconds: float) -> None:
        if session is self._session:
            self._latency = seconds
            self._is_disturbed = False

    def tunnel_called(self, name: str) -> Tunnel | None:
        return self._tunnels.by_name.get(name)

    def exchange_ended(self, exchange: Exchange) -> None:
        self._exchanges += 1
        self._sink.captured(exchange)

    def connection_ended(self, connection: RawConnection) -> None:
        self._exchanges += 1
        self._connection_ended(connection)

    # --- TunnelSession ----------------------------------------------------------------------

    def send_bind(self, bind: Bind) -> None:
        if self._session is not None:
            self._session.bind(bind)

    def send_unbind(self, name: str) -> None:
        if self._session is not None:
            self._session.unbind(name)
