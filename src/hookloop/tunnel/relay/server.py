"""The relay: one public port for callers and agents."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.exchange import CaptureSink, RequestHead, ResponseHead, discard
from hookloop.ids import RandomSource, new_id
from hookloop.tunnel.log_values import Values
from hookloop.tunnel.wire import handshake
from hookloop.tunnel.wire.handshake import Carriage
from hookloop.tunnel.wire.messages import Bind, Hello
from hookloop.version import __version__

from .admin import Admin, start_admin
from .config import RelayConfig
from .counts import Counts
from .downstream import Downstream
from .forwarded import Proxies
from .front import Page, Route, peer_name
from .gate import Gate
from .http_head import Admitted
from .landlord import Lettings, LocalLandlord
from .lane_tickets import LaneTickets
from .link import Link
from .listening import cannot_listen, listen
from .proxied import ProxiedArrivals, ProxiedListener
from .quotas import AddressQuota, RateQuota
from .raw_front import RawFront
from .refusal import Refusal
from .tokens import Tokens
from .waiting import WaitingLink, WaitingRoom

if TYPE_CHECKING:
    from .catch_link import CatchLink
    from .catching import Catching
    from .metrics import Gauges
    from .tls_service import TlsService

__all__ = ["Relay", "RelayStatistics", "running_relay"]

logger = logging.getLogger("hookloop.relay")

STREAMS_MAX = 1  # agents open none
BACKLOG = 1024  # connections the kernel holds while we are busy
HTTPS_PORT = 443
CHALLENGE_PATH = b"/.well-known/acme-challenge/"
ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104  # to recognise, not to listen on


@dataclass(frozen=True, slots=True)
class RelayStatistics:
    """A moment's counts; all zero once everything has ended."""

    sessions: int
    tunnels: int
    downstreams: int
    streams_open: int


class Relay:
    """
    Listens between `start` and `stop`; use `running_relay`, which does both.

    It is the `Front` of its callers' connections.
    """

    def __init__(
        self,
        config: RelayConfig,
        *,
        clock: Clock | None = None,
        random: RandomSource | None = None,
        sink: CaptureSink = discard,
        new_landlord: "Callable[[Relay], Lettings] | None" = None,
        is_shared: bool = False,
    ) -> None:
        """
        *new_landlord* makes another landlord than that of a relay of one process; *is_shared*:
        other processes listen on the port too.
        """
        self.config = config
        self.clock = clock or SystemClock()
        self.sink = sink
        self._own_scheme = "https" if config.tls else "http"
        self.scheme = (config.public_url or self._own_scheme).partition(":")[0]
        self._random = random or SystemRandom()
        self._id = new_id("rly_", self._random)
        self.counts = Counts()
        self._gate = Gate(config, self.clock)
        self._is_shared = is_shared
        self._landlord: Lettings = (new_landlord or _local_landlord)(self)
        self.proxies = Proxies(config.trusted_proxies)
        self._addresses = AddressQuota(config.limits.connections_per_address_max)
        self._rates = RateQuota(
            config.limits.requests_per_second_per_name, config.limits.requests_burst_per_name
        )
        self._entered: dict[Downstream, str] = {}
        """What to leave in `_addresses` when a connection ends."""
        self._raw = RawFront(
            config, self, self._landlord, clock=self.clock, random=self._random, is_shared=is_shared
        )
        self._links: set[Link] = set()
        self._tickets: LaneTickets[Link] = LaneTickets(self.clock, self._random)
        self._downstreams: set[Downstream] = set()
        self._server: asyncio.Server | TlsService | ProxiedListener | None = None
        self._arrivals: ProxiedArrivals | None = None
        self.tls = self._new_tls()
        self._all_gone = asyncio.Event()
        self._is_draining = False
        self.is_leaving = False
        self._waiting = WaitingRoom(self._landlord.find, seconds=config.agent_wait_seconds)
        self._returning_until = self.clock.monotonic() + config.return_seconds
        self._admin: Admin | None = None
        self._catching: Catching | None = None

    async def start(self) -> None:
        """
        Raises `ConfigError` if an address cannot be had, and that or `StoreError` where there is
        no place to catch in.
        """
        await self._start_catching()
        await self._start_admin()
        host, port = self.config.host, self.config.port
        try:
            await self._raw.start()
            self._server = await self._listen(host, port)
        except OSError as error:
            await self._stop_admin()
            await self._stop_catching()
            raise ConfigError(cannot_listen(host, port, error)) from error
        self._gate.watch()

    async def _start_catching(self) -> None:
        if self.config.catch_folder is None:
            return
        from .catching import Catching  # who does not catch needs no SQLite

        folder = self.config.catch_folder
        self._catching = Catching(folder, self._online_link, clock=self.clock)
        await self._catching.start()

    async def _stop_catching(self) -> None:
        if self._catching is not None:
            await self._catching.stop()
            self._catching = None

    async def _start_admin(self) -> None:
        if self.config.admin_port is None:
            return
        from .metrics import CONTENT_TYPE, Metrics  # who has no such listener need not load them

        metrics = Metrics(lambda: (self._gauges(), self.counts))
        self._admin = await start_admin(
            self.config,
            self.clock,
            why_not_ready=self.why_not_ready,
            metrics=lambda: (CONTENT_TYPE, metrics.render()),
        )

    async def _stop_admin(self) -> None:
        if self._admin is not None:
            await self._admin.close()
            self._admin = None

    async def stop(self) -> None:
        """
        Say that it is not ready, take nothing new, let what is under way end, then close.

        Cancelling it ends all at once.
        """
        if self._server is None:
            return
        self._is_draining = self.is_leaving = True
        try:
            await asyncio.sleep(self.config.unready_seconds)
            await self._drain(self._server)
        finally:
            self._server.close()
            self._raw.close()
            if self._arrivals is not None:
                self._arrivals.close()
            self._gate.close()
            self._cut_all()
        await self._all_gone.wait()  # told within a loop turn or two
        await self._server.wait_closed()
        self._server = None
        await self._stop_admin()
        await self._stop_catching()

    async def _drain(self, server: "asyncio.Server | TlsService | ProxiedListener") -> None:
        server.close()
        self._raw.close()
        self._waiting.close()
        for link in list(self._links):
            link.go_away("shutdown", "the relay is shutting down")
        for downstream in list(self._downstreams):
            downstream.close_when_idle()
        self._check_all_gone()
        try:
            async with asyncio.timeout(self.config.drain_seconds):
                await self._all_gone.wait()
        except TimeoutError:
            logger.warning("drain cut short %s", Values(streams=self.statistics().streams_open))

    def _cut_all(self) -> None:
        for downstream in list(self._downstreams):
            downstream.abort()
        for link in list(self._links):
            link.drop("the relay was stopped")
        self._check_all_gone()

    @property
    def tokens(self) -> Tokens:
        """Those of the moment."""
        return self._gate.tokens

    @property
    def random(self) -> RandomSource:
        return self._random

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._server is not None, "start the relay first"  # noqa: S101  # caller's duty
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def admin_url(self) -> str | None:
        """Where metrics, liveness and readiness are, if anywhere."""
        return self._admin.url if self._admin is not None else None

    def why_not_ready(self) -> str | None:
        """Return why a load balancer should send nobody here, or None."""
        if self._server is None:
            return "not started"
        return "draining" if self._is_draining else None

    @property
    def url(self) -> str:
        """Where agents connect, when there is no proxy before the relay."""
        host = self.config.host
        if host in ALL_ADDRESSES or self.config.tls is not None:
            # Nobody can connect to "all of them", and a certificate is for the domain; its DNS
            # leads here.
            host = self.config.domain
        host = f"[{host}]" if ":" in host else host
        return f"{self._own_scheme}://{host}{self._shown_port()}"

    def tunnel_url(self, name: str) -> str:
        """Return the public URL of a name below the main domain."""
        return self.host_url(f"{name}.{self.config.domain}")

    def host_url(self, host: str, protocol: str = "http") -> str:
        """Return the public URL of a tunnel's host."""
        if protocol == "tls":
            return f"tls://{host}:{self.port}"
        if self.config.public_url is None:
            return f"{self._own_scheme}://{host}{self._shown_port()}"
        scheme, _, authority = self.config.public_url.partition("://")
        name = host.removesuffix("." + self.config.domain)
        if name != host:
            return f"{scheme}://{name}.{authority}"
        _, colon, port = authority.partition(":")
        return f"{scheme}://{host}{colon}{port}"

    def statistics(self) -> RelayStatistics:
        return RelayStatistics(
            sessions=len(self._links),
            tunnels=len(self._landlord) + len(self._raw),
            downstreams=len(self._downstreams),
            streams_open=sum(link.streams_open for link in self._links),
        )

    def _gauges(self) -> "Gauges":
        from .metrics import Gauges

        now = self.statistics()
        return Gauges(
            sessions=now.sessions,
            tunnels=now.tunnels,
            connections=now.downstreams + self._raw.connections,
            streams=now.streams_open,
            tokens=len(self._gate.tokens),
            is_token_file_valid=self._gate.is_file_valid,
            is_ready=self.why_not_ready() is None,
            certificates=self.tls.expiries() if self.tls is not None else (),
        )

    # --- Front ------------------------------------------------------------------------------

    def peer_of(self, transport: asyncio.BaseTransport) -> tuple[str, int]:
        peer = peer_name(transport)
        return peer if self._arrivals is None else self._arrivals.source_of(peer)

    def enter(self, downstream: Downstream, host: str) -> Refusal | None:
        key = self._admit(host)
        if isinstance(key, Refusal):
            return key
        self._entered[downstream] = key
        return None

    def enter_raw(self, transport: asyncio.BaseTransport) -> tuple[str, Callable[[], None]] | None:
        peer, (host, port) = peer_name(transport), self.peer_of(transport)
        key = self._admit(host)

        def leave() -> None:
            if self._arrivals is not None:
                self._arrivals.forget(peer)
            if isinstance(key, str) and key:
                self._addresses.leave(key)

        if isinstance(key, Refusal):
            leave()
            return None
        self.counts.connections += 1
        return f"{host}:{port}", leave

    def _admit(self, host: str) -> str | Refusal:
        """Count a caller's connection, and return what to leave in `_addresses` at its end."""
        limits = self.config.limits
        connections = len(self._downstreams) + len(self._links) + self._raw.connections
        if connections > limits.connections_max:
            message = f"the relay has {limits.connections_max} connections, the limit"
            return Refusal(503, "too_many_connections", message, retry_after=5)
        if self.proxies and self.proxies.is_trusted(host):
            return ""
        key = self._addresses.enter(host)
        if key is None:
            most = limits.connections_per_address_max
            message = f"your address has {most} connections here, the limit"
            return Refusal(429, "too_many_connections", message, retry_after=5)
        return key

    def route(self, admitted: Admitted) -> Route | Page | Refusal:
        if self.tls is not None and admitted.head.target.startswith(CHALLENGE_PATH):
            # An authority may be led here from the plain port of another server.
            message = "challenges of certificate authorities are no tunnel's to answer"
            return Refusal(404, "no_challenge", message)
        host = admitted.host
        if self._catching and (caught := self._catching.link_for(host, admitted.head)):
            return self._route(*caught)
        found = self._landlord.find(host)
        if found is not None and found.protocol != "http":
            message = f"the tunnel {found.name!r} ends TLS itself: connect to it by its own name"
            return Refusal(421, "misdirected", message)
        if found is not None and found.link is not None and not found.link.is_going_away:
            return self._route(found.name, found.link)
        if found is not None:
            message = f"the agent of the tunnel {found.name!r} is offline and expected back"
            return self._wait_for_agent(host, found.name, message)
        if self._landlord.namespace.domain_of(host) is None and not self._landlord.is_reserved(
            host
        ):
            return self._own_page(admitted.head)
        name = self._landlord.namespace.name_of(host)
        if self.clock.monotonic() < self._returning_until:
            message = f"the relay has just started, and the tunnel {name!r} may be on its way back"
            return self._wait_for_agent(host, name, message)
        return Refusal(
            404,
            "unknown_tunnel",
            f"no agent has bound the tunnel {name!r}: start it with hookloop http PORT "
            f"--name {name}",
        )

    def is_of_agent(self, admitted: Admitted, upgrade: RequestHead) -> bool:
        is_tunnel = self._landlord.namespace.domain_of(admitted.host) is not None
        return not is_tunnel and handshake.carriage_of(upgrade) is not None

    def open_session(
        self, upgrade: RequestHead, transport: asyncio.Transport, rest: bytes
    ) -> Refusal | None:
        if not handshake.accepts_version(upgrade):
            version = handshake.VERSION.decode()
            message = f"this relay speaks {version}: update the agent"
            return Refusal(426, "bad_version", message, upgrade=version)
        if upgrade.target == handshake.DATA_PATH:
            return self._open_lane(upgrade, transport, rest)
        if self._is_draining or len(self._links) >= self.config.limits.sessions_max:
            self.counts.sessions_refused["unavailable"] += 1
            return Refusal(503, "unavailable", "the relay is draining or full", retry_after=5)
        token = self._gate.check(handshake.bearer_token(upgrade))
        if isinstance(token, Refusal):
            self.counts.sessions_refused[token.code] += 1
            return token
        self.counts.sessions += 1
        transport, rest = _switch(upgrade, transport, rest)
        host, port = self.peer_of(transport)
        link = Link(
            self._hello(),
            token,
            self._raw,
            self._link_lost,
            remote=f"{host}:{port}",
            clock=self.clock,
            streams_max=self.config.limits.streams_per_agent_max,
            lanes_max=self.config.limits.lanes_per_agent_max,
            tickets=self._tickets,
            on_granted=self._granted,
        )
        self._gate.entered(link)
        self._links.add(link)
        link.take_over(transport, rest)
        return None

    def _open_lane(
        self, upgrade: RequestHead, transport: asyncio.Transport, rest: bytes
    ) -> Refusal | None:
        redeemed = self._tickets.redeem(handshake.bearer_token(upgrade))
        if redeemed is None:
            return Refusal(401, "bad_ticket", "this ticket opens no lane here, or no longer")
        link, lane = redeemed
        link.add_lane(lane, *_switch(upgrade, transport, rest))
        return None

    def downstream_lost(self, downstream: Downstream) -> None:
        self._downstreams.discard(downstream)
        if self._arrivals is not None:
            self._arrivals.forget(downstream.peer)
        if key := self._entered.pop(downstream, None):
            self._addresses.leave(key)
        self._check_all_gone()

    def name_settled(self, host: str) -> None:
        """A name leads to an agent, here or at another worker: pass on what waits for it."""
        self._waiting.bound(host)

    def _wait_for_agent(self, host: str, name: str, why: str) -> Route | Refusal:
        refusal = Refusal(503, "agent_offline", why, retry_after=5)
        link = self._waiting.link_for(host, refusal)
        return link if isinstance(link, Refusal) else self._route(name, link)

    def _route(self, name: str, link: "Link | CatchLink | WaitingLink") -> Route | Refusal:
        wait = self._rates.take(name, self.clock.monotonic())
        if wait:
            message = f"the tunnel {name!r} gets more requests a second than it may"
            return Refusal(429, "rate_limited", message, retry_after=math.ceil(wait))
        return Route(name, link)

    # --- TlsOwner ---------------------------------------------------------------------------

    def new_downstream(self) -> Downstream:
        return self._new_downstream()

    def new_raw_caller(self, server_name: str) -> asyncio.Protocol | None:
        return self._raw.new_tls_caller(server_name)

    def handshake_ended(self, *, is_done: bool) -> None:
        self.counts.handshakes += is_done
        self.counts.handshakes_failed += not is_done

    def is_own_host(self, host: str) -> bool:
        landlord = self._landlord
        is_below = host in self.config.domains or landlord.namespace.domain_of(host) is not None
        return is_below or landlord.find(host) is not None or landlord.is_reserved(host)

    # --- inside -----------------------------------------------------------------------------

    def _new_tls(self) -> "TlsService | None":
        if self.config.tls is None:
            return None
        from .tls_service import TlsService

        return TlsService(self.config.tls, self, clock=self.clock)

    async def _listen(
        self, host: str, port: int
    ) -> "asyncio.Server | TlsService | ProxiedListener":
        arrivals = None
        if self.config.proxy_protocol:
            seconds = self.config.limits.head_seconds
            arrivals = self._arrivals = ProxiedArrivals(self.proxies, seconds)
        if self.tls is not None:
            before = arrivals.before if arrivals is not None else None
            shared = self._is_shared
            await self.tls.start(host, port, backlog=BACKLOG, reuse_port=shared, before=before)
            return self.tls
        if arrivals is not None:
            sockets = await listen(host, port, backlog=BACKLOG, reuse_port=self._is_shared)
            return ProxiedListener(sockets, arrivals, self._new_downstream)
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            self._new_downstream, host, port, backlog=BACKLOG, reuse_port=self._is_shared or None
        )

    def _shown_port(self) -> str:
        """Return the port as it stands in our URLs: browsers leave out what https implies."""
        return "" if self._own_scheme == "https" and self.port == HTTPS_PORT else f":{self.port}"

    def _new_downstream(self) -> Downstream:
        downstream = Downstream(self)
        self._downstreams.add(downstream)
        self.counts.connections += 1
        return downstream

    def _granted(self, link: Link, bind: Bind, name: str) -> None:
        place = self._landlord.namespace.place(name)
        if place is None:
            return
        self._waiting.bound(place.host)
        if self._catching is not None:
            self._catching.bound(place.host, place.name, link.token.id, bind)

    def _online_link(self, host: str) -> Link | None:
        found = self._landlord.find(host)
        link = found.link if found is not None else None
        return link if link is not None and not link.is_going_away else None

    def _link_lost(self, link: Link) -> None:
        self._links.discard(link)
        self._gate.left(link)
        self._check_all_gone()

    def _check_all_gone(self) -> None:
        if self._is_draining and not self._links and not self._downstreams:
            self._all_gone.set()

    def _hello(self) -> Hello:
        return Hello(
            id=self._id,
            software=f"hookloop/{__version__}",
            stream_credit=self.config.limits.stream_credit_bytes,
            session_credit=self.config.limits.session_credit_bytes,
            streams_max=STREAMS_MAX,
        )

    def _own_page(self, head: RequestHead) -> Page | Refusal:
        if head.target == handshake.SESSION_PATH:
            version = handshake.VERSION.decode()
            message = "the Upgrade did not come through: a proxy before this relay took it away"
            return Refusal(426, "upgrade_lost", message, upgrade=version)
        if head.target.partition(b"?")[0] != b"/":
            return Refusal(
                404,
                "not_found",
                f"this is a hookloop relay: tunnels are at NAME.{self.config.domain}",
            )
        about = {
            "hookloop": __version__,
            "tunnels": self.tunnel_url("NAME"),
            "connect": f"hookloop http PORT --relay {self.config.public_url or self.url}",
        }
        body = json.dumps(about, indent=2).encode() + b"\n"
        headers = (
            (b"Content-Type", b"application/json"),
            (b"Content-Length", b"%d" % len(body)),
        )
        return Page(ResponseHead(200, b"OK", headers), body)


def _switch(
    upgrade: RequestHead, transport: asyncio.Transport, rest: bytes
) -> tuple[asyncio.Transport, bytes]:
    """Say yes to an agent, and return its connection as it is from then on."""
    transport.write(handshake.switching_protocols(upgrade))
    if handshake.carriage_of(upgrade) is Carriage.UPGRADE:
        return transport, rest
    from hookloop.tunnel.websocket import Side, WebSocketTransport

    wrapped = WebSocketTransport(transport, Side.SERVER)
    return wrapped, wrapped.unwrap(rest)


def _local_landlord(relay: Relay) -> LocalLandlord:
    return LocalLandlord(
        relay.config,
        lambda: relay.tokens,
        relay.host_url,
        counts=relay.counts,
        clock=relay.clock,
        random=relay.random,
    )


@asynccontextmanager
async def running_relay(
    config: RelayConfig,
    *,
    clock: Clock | None = None,
    random: RandomSource | None = None,
    sink: CaptureSink = discard,
) -> AsyncIterator[Relay]:
    """Run a relay for the length of a with-block; leaving it drains."""
    relay = Relay(config, clock=clock, random=random, sink=sink)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
