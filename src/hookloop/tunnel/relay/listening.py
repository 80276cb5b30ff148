"""Listening sockets, made by ourselves: where each accepted connection is looked at first."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable

from hookloop.tunnel.log_values import Values

__all__ = ["Acceptor", "cannot_listen", "listen"]

logger = logging.getLogger("hookloop.relay")

ACCEPTS_PER_TURN = 64  # connections taken in one go, so that a burst does not hold up the rest
RETRY_SECONDS = 1.0  # when the machine has no more file descriptors; asyncio waits as long


async def listen(
    host: str, port: int, *, backlog: int, reuse_port: bool = False
) -> list[socket.socket]:
    """Return a socket for each address of *host*. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(backlog)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


class Acceptor:
    """Hands each connection of *listeners* to *accepted*: non-blocking, with TCP_NODELAY."""

    def __init__(
        self, listeners: list[socket.socket], accepted: Callable[[socket.socket], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = listeners
        self._accepted = accepted
        for listener in listeners:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    @property
    def port(self) -> int:
        """The port listened on."""
        port: int = self._listeners[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Listen no more. May be called twice."""
        for listener in self._listeners:
            if listener.fileno() >= 0:
                self._loop.remove_reader(listener.fileno())
                listener.close()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, _address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._cannot_accept(listener, error)
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._accepted(sock)

    def _cannot_accept(self, listener: socket.socket, error: OSError) -> None:
        """Wait: the listener would report the same again at once, for as long as it lasts."""

        logger.error("cannot accept connections for now %s", Values(reason=error))
        self._loop.remove_reader(listener.fileno())
        self._loop.call_later(RETRY_SECONDS, self._listen_again, listener)

    def _listen_again(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            self._loop.add_reader(listener.fileno(), self._accept, listener)


def cannot_listen(host: str, port: int, error: OSError, *, option: str = "--port") -> str:
    """Return what to say of an address that cannot be had."""
    # asyncio repeats the address in its text; that of a name that does not resolve has no errno.
    is_known = error.errno is not None and error.errno > 0
    why = os.strerror(error.errno or 0) if is_known else error.strerror or str(error)
    advice = "Choose another --host: one of this machine's addresses"
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        advice = f"Choose another {option}, or port 0 for any free one"
    return f"the relay cannot listen on {host} port {port}: {why}. {advice}"
