"""Connections that begin with a PROXY header: read from the socket before anybody else reads."""

import asyncio
import logging
import socket
from collections.abc import Callable

from hookloop.errors import ProtocolError
from hookloop.tunnel.log_values import Values

from .forwarded import Proxies
from .listening import Acceptor
from .proxy_protocol import HEADER_BYTES_MAX, read_proxy_header

__all__ = ["ProxiedArrivals", "ProxiedListener"]

logger = logging.getLogger("hookloop.relay")

WAITING_MAX = 1024  # connections whose header has not come yet; the oldest makes room

Address = tuple[str, int]


class ProxiedArrivals:
    """
    Takes the header off each connection, and remembers whose it is.

    The header is looked at (MSG_PEEK) until it is whole, and then read: what comes behind it
    stays in the kernel, for TLS or HTTP to read from its start.
    """

    def __init__(self, proxies: Proxies, seconds: float) -> None:
        """*seconds*: for a header to come."""
        self._proxies = proxies
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._seen: dict[socket.socket, int] = {}
        """How much of an incomplete header there was at the last look."""
        self._sources: dict[Address, Address] = {}
        """The callers' addresses, by those of the proxy's own connections."""

    def source_of(self, peer: Address) -> Address:
        """Return the caller whose connection comes from *peer*, which is a proxy's."""
        return self._sources.get(peer, peer)

    def forget(self, peer: Address) -> None:
        """The connection has ended."""
        self._sources.pop(peer, None)

    def close(self) -> None:
        """Cut those whose header has not come."""
        for sock in list(self._waiting):
            self._cut(sock, "the relay is shutting down")

    def before(self, accepted: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
        """Return what takes new connections, and hands them on to *accepted*."""

        def arrived(sock: socket.socket) -> None:
            peer = _peer(sock)
            if peer is None or not self._proxies.is_trusted(peer[0]):
                logger.warning("no trusted proxy %s", Values(remote=peer and peer[0]))
                sock.close()
                return
            if len(self._waiting) >= WAITING_MAX:
                self._cut(next(iter(self._waiting)), "too many wait for their PROXY header")
            timer = self._loop.call_later(self._seconds, self._cut, sock, "it took too long")
            self._waiting[sock] = timer
            self._loop.add_reader(sock.fileno(), self._look, sock, peer, accepted)

        return arrived

    def _look(
        self, sock: socket.socket, peer: Address, accepted: Callable[[socket.socket], None]
    ) -> None:
        try:
            data = sock.recv(HEADER_BYTES_MAX, socket.MSG_PEEK)
            header = read_proxy_header(data)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, ProtocolError) as error:
            self._cut(sock, str(error))
            return
        if header is None:
            if len(data) == self._seen.get(sock, 0):
                self._cut(sock, "it ended before its PROXY header did")
            else:
                self._seen[sock] = len(data)
                _wake_at(sock, len(data) + 1)
            return
        _wake_at(sock, 1)
        sock.recv(len(data) - len(header.rest))
        self._stop_looking(sock)
        if header.source is not None:
            self._sources[peer] = header.source
        accepted(sock)

    def _cut(self, sock: socket.socket, reason: str) -> None:
        self._stop_looking(sock)
        logger.info("no PROXY header %s", Values(reason=reason))
        sock.close()

    def _stop_looking(self, sock: socket.socket) -> None:
        self._waiting.pop(sock).cancel()
        self._seen.pop(sock, None)
        self._loop.remove_reader(sock.fileno())


class ProxiedListener:
    """A port whose connections all begin with a PROXY header, and speak HTTP behind it."""

    def __init__(
        self,
        listeners: list[socket.socket],
        arrivals: ProxiedArrivals,
        new_connection: Callable[[], asyncio.Protocol],
    ) -> None:
        self.sockets = tuple(listeners)
        self._loop = asyncio.get_running_loop()
        self._new_connection = new_connection
        self._tasks: set[asyncio.Task[object]] = set()
        self._acceptor = Acceptor(listeners, arrivals.before(self._arrived))

    def close(self) -> None:
        """Listen no more. May be called twice."""
        self._acceptor.close()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _arrived(self, sock: socket.socket) -> None:
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(self._new_connection, sock)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _peer(sock: socket.socket) -> Address | None:
    try:
        host, port, *_ = sock.getpeername()
    except OSError:
        return None
    return str(host), int(port)


def _wake_at(sock: socket.socket, length: int) -> None:
    """Be told only once *length* bytes are there, or the end: what is peeked at stays."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, length)
