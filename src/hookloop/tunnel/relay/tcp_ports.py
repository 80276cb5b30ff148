"""TCP tunnels: ports of a range, each let to an agent, with a listener of its own."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookloop.ids import RandomSource
from hookloop.tunnel.log_values import Values

from .listening import Acceptor
from .registry import NotGranted, Owner

if TYPE_CHECKING:
    from .link import Link

__all__ = ["TCP_NAME", "TcpPorts", "tcp_name"]

logger = logging.getLogger("hookloop.relay")

BACKLOG = 128  # of one tunnel; the relay's own port holds more
TCP_NAME = "tcp:"
"""What a TCP tunnel's name begins with, its port after it: no name of the web does."""


def tcp_name(port: int) -> str:
    """Return what agent and relay call the tunnel of *port*."""
    return f"{TCP_NAME}{port}"


@dataclass(slots=True)
class _Port:
    number: int
    owner: Owner
    link: "Link | None"
    """None: its agent was lost and is expected back; callers are reset meanwhile."""
    acceptor: Acceptor
    timer: asyncio.TimerHandle | None = None


class TcpPorts:
    """Which agent has which port. Call `close` in the end."""

    def __init__(
        self,
        ports: range,
        accepted: "Callable[[Link | None, int, socket.socket], None]",
        *,
        hold_seconds: float,
        per_agent_max: int,
        random: RandomSource,
    ) -> None:
        """*accepted* is given each caller's connection, with the link and the port it is for."""
        self._ports = ports
        self._accepted = accepted
        self._hold_seconds = hold_seconds
        self._per_agent_max = per_agent_max
        self._random = random
        self._addresses: list[tuple[int, str]] = []
        self._let: dict[int, _Port] = {}

    def __len__(self) -> int:
        """Return how many lead to a link."""
        return sum(port.link is not None for port in self._let.values())

    async def start(self, host: str) -> None:
        """Find out the addresses to listen on. Raises `OSError`."""
        if not self._ports:
            return
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self._addresses = list(
            dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found)
        )

    def close(self) -> None:
        """Listen on none of them any more."""
        for number in list(self._let):
            self._free(number)

    def bind(
        self, wanted: int, owner: Owner, link: "Link", *, tunnels_max: int
    ) -> "tuple[int, Link | None] | NotGranted":
        """
        Let a port to *link*: the *wanted* one, or any for 0.

        Returns the port, and the link that had it until now: an older session of the agent.
        """
        if not self._ports:
            return NotGranted(
                "bad_protocol",
                "this relay gives no TCP ports: its owner would start it with --tcp-ports",
            )
        if wanted and wanted not in self._ports:
            first, last = self._ports[0], self._ports[-1]
            return NotGranted("port_taken", f"this relay gives the ports {first} to {last}")
        current = self._let.get(wanted)
        if current is not None:
            return self._take_over(current, owner, link)
        if refused := self._too_many(owner, tunnels_max):
            return refused
        acceptor = self._listen(wanted)
        if acceptor is None:
            what = f"port {wanted} is" if wanted else "all ports of this relay are"
            return NotGranted("port_taken", f"{what} in use")
        self._let[acceptor.port] = _Port(acceptor.port, owner, link, acceptor)
        return acceptor.port, None

    def unbind(self, number: int, link: "Link") -> bool:
        """Free a port at once, if it leads to *link*."""
        port = self._let.get(number)
        if port is None or port.link is not link:
            return False
        self._free(number)
        return True

    def release(self, link: "Link", *, is_held: bool) -> None:
        """The link is lost: hold its ports for their owner, or free them at once."""
        loop = asyncio.get_running_loop()
        for port in [port for port in self._let.values() if port.link is link]:
            if is_held and self._hold_seconds:
                port.link = None
                port.timer = loop.call_later(self._hold_seconds, self._free, port.number)
            else:
                self._free(port.number)

    # --- inside -------------------------------------------------------------------------------

    def _take_over(
        self, port: _Port, owner: Owner, link: "Link"
    ) -> "tuple[int, Link | None] | NotGranted":
        is_ours = port.owner == owner or (port.link is None and port.owner.token == owner.token)
        if not is_ours:
            how = "held for an agent that was lost" if port.link is None else "in use"
            return NotGranted("port_taken", f"port {port.number} is {how}")
        if port.timer is not None:
            port.timer.cancel()
            port.timer = None
        replaced, port.owner, port.link = port.link, owner, link
        return port.number, None if replaced is link else replaced

    def _too_many(self, owner: Owner, tunnels_max: int) -> NotGranted | None:
        of_agent = sum(port.owner == owner for port in self._let.values())
        if of_agent >= self._per_agent_max:
            message = f"this agent has {self._per_agent_max} TCP tunnels, the limit"
            return NotGranted("too_many_tunnels", message)
        of_token = sum(port.owner.token == owner.token for port in self._let.values())
        if of_token >= tunnels_max:
            message = f"this token has {tunnels_max} TCP tunnels, the limit"
            return NotGranted("too_many_tunnels", message)
        return None

    def _listen(self, wanted: int) -> Acceptor | None:
        if wanted:
            return self._listen_on(wanted)
        # Not the first that is free: late callers of a port given back find nobody, then.
        start = int(self._random.choices([str(port) for port in self._ports], k=1)[0])
        for number in (*range(start, self._ports.stop), *range(self._ports.start, start)):
            if number not in self._let and (acceptor := self._listen_on(number)) is not None:
                return acceptor
        return None

    def _listen_on(self, number: int) -> Acceptor | None:
        sockets: list[socket.socket] = []
        try:
            for family, address in self._addresses:
                sock = socket.socket(family, socket.SOCK_STREAM)
                sockets.append(sock)
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((address, number))
                sock.listen(BACKLOG)
        except OSError as error:
            for sock in sockets:
                sock.close()
            if error.errno != errno.EADDRINUSE:
                logger.warning("cannot listen %s", Values(port=number, reason=error))
            return None
        return Acceptor(sockets, lambda sock: self._caller(number, sock))

    def _caller(self, number: int, sock: socket.socket) -> None:
        port = self._let.get(number)
        self._accepted(port.link if port is not None else None, number, sock)

    def _free(self, number: int) -> None:
        port = self._let.pop(number, None)
        if port is not None:
            port.acceptor.close()
            if port.timer is not None:
                port.timer.cancel()
