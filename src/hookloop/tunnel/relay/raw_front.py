"""
The relay's side of tunnels that carry bytes: TCP ports, and names whose TLS is passed through.

It stands between a link and the landlord of names, and takes what is about ports.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from hookloop.clock import Clock
from hookloop.ids import RandomSource
from hookloop.tunnel.raw_pipe import reset_on_close
from hookloop.tunnel.wire.messages import Bind

from .config import RelayConfig
from .landlord import Lettings, tunnels_max
from .raw_caller import RawCallerConnection
from .registry import NotGranted, Owner
from .tcp_ports import TCP_NAME, TcpPorts, tcp_name

if TYPE_CHECKING:
    from .link import Link

__all__ = ["RawFront", "RawHost"]


class RawHost(Protocol):
    """What it needs of the relay."""

    def enter_raw(self, transport: asyncio.BaseTransport) -> tuple[str, Callable[[], None]] | None:
        """Let a caller in, and return its address and what to call at its end; None: it may not."""
        ...


class RawFront:
    """The `Landlord` that links ask. Call `start` first and `close` in the end."""

    def __init__(
        self,
        config: RelayConfig,
        host: RawHost,
        landlord: Lettings,
        *,
        clock: Clock,
        random: RandomSource,
        is_shared: bool,
    ) -> None:
        """*is_shared*: other processes let ports of the same range, so that none is held here."""
        self._config = config
        self._host = host
        self._landlord = landlord
        self._clock = clock
        self._tcp = TcpPorts(
            config.raw.ports,
            self._tcp_caller,
            hold_seconds=0.0 if is_shared else config.hold_seconds,
            per_agent_max=config.limits.tunnels_per_agent_max,
            random=random,
        )
        self._connections: Counter[str] = Counter()
        """Of callers, by tunnel."""
        self._arrivals: set[asyncio.Task[object]] = set()

    def __len__(self) -> int:
        """Return how many TCP tunnels lead to a link."""
        return len(self._tcp)

    @property
    def connections(self) -> int:
        """Return how many callers are connected."""
        return self._connections.total()

    async def start(self) -> None:
        """Raises `OSError`."""
        await self._tcp.start(self._config.host)

    def close(self) -> None:
        """Take nothing new; connections that are open stay."""
        self._tcp.close()

    def new_tls_caller(self, server_name: str) -> asyncio.Protocol | None:
        """Return who carries the bytes of *server_name*, or None where its TLS ends here."""
        found = self._landlord.find(server_name)
        if found is None or found.protocol != "tls":
            return None
        return self._caller(found.link, found.name, server_name)

    # --- Landlord -----------------------------------------------------------------------------

    def bind(self, link: "Link", bind: Bind) -> None:
        if bind.protocol == "tcp":
            self._bind_tcp(link, bind)
        elif bind.protocol == "tls" and self._config.tls is None:
            message = "this relay has no TLS port: its owner would start it with --tls-cert"
            link.refuse(bind, "bad_protocol", message)
        else:
            self._landlord.bind(link, bind)

    def unbind(self, link: "Link", name: str) -> None:
        number = _port_of(name)
        if number is None:
            self._landlord.unbind(link, name)
        else:
            self._tcp.unbind(number, link)

    def lost(self, link: "Link", *, is_held: bool) -> None:
        self._tcp.release(link, is_held=is_held)
        self._landlord.lost(link, is_held=is_held)

    # --- inside -------------------------------------------------------------------------------

    def _bind_tcp(self, link: "Link", bind: Bind) -> None:
        wanted = bind.port or _port_of(bind.name or "") or 0
        most = tunnels_max(link.token, self._config.limits.tunnels_per_token_max)
        owner = Owner(link.token.id, link.agent_id)
        answer = self._tcp.bind(wanted, owner, link, tunnels_max=most)
        if isinstance(answer, NotGranted):
            link.refuse(bind, answer.code, answer.message)
            return
        number, replaced = answer
        link.grant(bind, tcp_name(number), f"tcp://{self._config.domain}:{number}")
        if replaced is not None:
            replaced.make_way()

    def _tcp_caller(self, link: "Link | None", number: int, sock: socket.socket) -> None:
        if link is None:
            reset_on_close(sock)
            sock.close()
            return
        caller = self._caller(link, tcp_name(number))
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(lambda: caller, sock))
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)

    def _caller(
        self, link: "Link | None", tunnel: str, server_name: str = ""
    ) -> RawCallerConnection:
        return RawCallerConnection(
            link,
            tunnel,
            self._config.raw,
            partial(self._enter, tunnel),
            server_name=server_name,
            clock=self._clock,
        )

    def _enter(
        self, tunnel: str, transport: asyncio.BaseTransport
    ) -> tuple[str, Callable[[], None]] | None:
        if self._connections[tunnel] >= self._config.raw.connections_per_tunnel_max:
            return None
        entered = self._host.enter_raw(transport)
        if entered is None:
            return None
        remote, leave_host = entered
        self._connections[tunnel] += 1

        def leave() -> None:
            leave_host()
            self._connections[tunnel] -= 1
            if not self._connections[tunnel]:
                del self._connections[tunnel]

        return remote, leave


def _port_of(name: str) -> int | None:
    number = name.removeprefix(TCP_NAME)
    if number == name or not number.isdecimal() or not number.isascii() or len(number) > 5:
        return None
    return int(number)
