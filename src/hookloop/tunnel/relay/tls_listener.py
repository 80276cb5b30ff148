"""
The TLS port. It reads what a caller says first and decides from that:

- a ClientHello for a name that is passed through: the connection goes on raw,
- any other ClientHello: TLS is ended here, and HTTP begins,
- plain HTTP: 400 in plain text, as nginx does; anything else is cut.

The first bytes are looked at (MSG_PEEK) and stay in the kernel, so that whoever
takes the connection next reads it from its start, on any event loop.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from hookloop.tunnel.log_values import Values

from .client_hello import CLIENT_HELLO_BYTES_MAX, ClientHello, NotTls, read_client_hello
from .listening import Acceptor

__all__ = ["Before", "TlsFront", "TlsListener", "TlsStatistics"]

logger = logging.getLogger("hookloop.relay")

PEEK_BYTES = 2 * CLIENT_HELLO_BYTES_MAX
GOODBYE_SECONDS = 1.0  # for a caller to read why it is refused
SHUTDOWN_SECONDS = 2.0  # for a caller's close_notify; few wait for ours either

# RFC 8446 section 6: a fatal alert, for a caller whose ClientHello we can make nothing of.
_ALERT = b"\x15\x03\x03\x00\x02\x02"
_UNRECOGNIZED_NAME = _ALERT + b"\x70"
_DECODE_ERROR = _ALERT + b"\x32"

_TEXT = b"This port speaks TLS: use https:// and the same address.\n"
_SPEAK_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nHookloop-Error: tls_required\r\nConnection: close\r\n\r\n%b"
) % (len(_TEXT), _TEXT)


Before = Callable[[Callable[[socket.socket], None]], Callable[[socket.socket], None]]
"""Something that has each new connection first, and hands it on."""


class TlsFront(Protocol):
    """What the TLS port needs of the relay."""

    def context_for(self, server_name: str | None) -> ssl.SSLContext | None:
        """Return what a handshake for *server_name* uses; None: there is no certificate."""
        ...

    def new_downstream(self) -> asyncio.Protocol:
        """Return who speaks HTTP with a caller."""
        ...

    def new_raw_caller(self, server_name: str) -> asyncio.Protocol | None:
        """Return who carries the bytes of a name that is passed through, or None for others."""
        ...

    def handshake_ended(self, *, is_done: bool) -> None:
        """A connection has become somebody's, or nobody's."""
        ...


@dataclass(frozen=True, slots=True)
class TlsStatistics:
    """Counts since the start, but *under_way*, which is a moment's."""

    under_way: int
    """Handshakes."""
    done: int
    failed: int


class TlsListener:
    """Takes connections from its start to `close`."""

    def __init__(
        self,
        listeners: list[socket.socket],
        front: TlsFront,
        *,
        handshake_seconds: float,
        handshakes_max: int,
        before: Before | None = None,
    ) -> None:
        self.front = front
        self.handshake_seconds = handshake_seconds
        self._handshakes_max = handshakes_max
        # In the order they came: the first has had the most time.
        self._arrivals: dict[_Arrival, None] = {}
        self._done = 0
        self._failed = 0
        self._acceptor = Acceptor(listeners, before(self._accepted) if before else self._accepted)

    @property
    def port(self) -> int:
        """The port listened on."""
        return self._acceptor.port

    def close(self) -> None:
        """Take nothing new, and cut what has not finished its handshake."""
        self._acceptor.close()
        for arrival in list(self._arrivals):
            arrival.cut("the relay is shutting down")

    def statistics(self) -> TlsStatistics:
        return TlsStatistics(under_way=len(self._arrivals), done=self._done, failed=self._failed)

    def _accepted(self, sock: socket.socket) -> None:
        if len(self._arrivals) >= self._handshakes_max:
            next(iter(self._arrivals)).cut("too many handshakes are under way")
        arrival = _Arrival(sock, self)
        self._arrivals[arrival] = None
        arrival.start()

    # --- told by an arrival -------------------------------------------------------------------

    def arrived(self, arrival: "_Arrival", failure: str | None) -> None:
        """Its handshake has ended; said once."""
        del self._arrivals[arrival]
        self.front.handshake_ended(is_done=failure is None)
        if failure is None:
            self._done += 1
            return
        self._failed += 1
        # What anybody can cause by a port scan is no news.
        logger.debug("handshake failed %s", Values(remote=arrival.remote, reason=failure))


class _Arrival:
    """A connection until it is known what it is."""

    def __init__(self, sock: socket.socket, listener: TlsListener) -> None:
        self.remote = _remote(sock)
        self._sock = sock
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._seen = 0
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = self._loop.time() + listener.handshake_seconds
        self._task: asyncio.Task[None] | None = None
        self._reason: str | None = None

    def start(self) -> None:
        self._timer = self._loop.call_at(self._deadline, self.cut, "it took too long")
        self._loop.add_reader(self._sock.fileno(), self._look)

    def cut(self, reason: str) -> None:
        """End the connection now."""
        self._reason = self._reason or reason
        if self._task is not None:
            self._task.cancel()  # which closes the socket
            return
        self._stop_looking()
        self._sock.close()
        self._listener.arrived(self, self._reason)

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())

    def _look(self) -> None:
        try:
            data = self._sock.recv(PEEK_BYTES, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.cut(str(error))
            return
        first = read_client_hello(data)
        if first is None and (len(data) == self._seen or _is_broken(self._sock)):
            self.cut("it ended before its ClientHello did")
        elif first is None:
            self._seen = len(data)
            _wake_at(self._sock, self._seen + 1)
        else:
            self._stop_looking()
            _wake_at(self._sock, 1)
            self._task = self._loop.create_task(self._hand_over(first))
            self._task.add_done_callback(self._handed_over)

    async def _hand_over(self, first: ClientHello | NotTls) -> None:
        if isinstance(first, NotTls):
            refusal = {NotTls.HTTP: _SPEAK_TLS, NotTls.BROKEN: _DECODE_ERROR}.get(first, b"")
            await self._refuse(refusal, first.value)
            return
        raw = self._listener.front.new_raw_caller(first.server_name) if first.server_name else None
        if raw is not None:
            await self._loop.connect_accepted_socket(lambda: raw, self._sock)
            return
        context = self._listener.front.context_for(first.server_name)
        if context is None:
            await self._refuse(_UNRECOGNIZED_NAME, f"no certificate for {first.server_name!r}")
            return
        await self._loop.connect_accepted_socket(
            lambda: _AfterHandshake(self._listener.front.new_downstream),
            self._sock,
            ssl=context,
            ssl_handshake_timeout=max(0.1, self._deadline - self._loop.time()),
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )

    async def _refuse(self, answer: bytes, reason: str) -> None:
        self._reason = reason
        await self._loop.connect_accepted_socket(lambda: _Refusing(answer), self._sock)

    def _handed_over(self, task: "asyncio.Task[None]") -> None:
        failure = self._reason
        if task.cancelled():
            failure = failure or "it was cut"
        elif error := task.exception():
            # Whatever it was, it is this caller's handshake that failed and nothing else.
            failure = str(error) or type(error).__name__
            if not isinstance(error, OSError):  # ssl.SSLError and timeouts are OSErrors
                logger.error("handshake failed %s", Values(remote=self.remote), exc_info=error)
        if failure is not None and (task.cancelled() or task.exception()):
            self._sock.close()
        self._listener.arrived(self, failure)


class _AfterHandshake(asyncio.Protocol):
    """Makes the real protocol once there is a connection for it, so that none is made in vain."""

    def __init__(self, make: Callable[[], asyncio.Protocol]) -> None:
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        real = self._make()
        cast("asyncio.Transport", transport).set_protocol(real)
        real.connection_made(transport)


class _Refusing(asyncio.Protocol):
    """Says one thing, and reads on for a moment: an unread byte would take the answer away."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        if not self._answer:
            transport.abort()
            return
        transport.write(self._answer)
        transport.write_eof()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(GOODBYE_SECONDS, transport.abort)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _wake_at(sock: socket.socket, length: int) -> None:
    """Be told only once *length* bytes are there: what is peeked at stays, and would tell again."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, length)


def _is_broken(sock: socket.socket) -> bool:
    """Say whether the connection was reset: uvloop tells so once, and what had come still reads."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def _remote(sock: socket.socket) -> str:
    try:
        host, port, *_ = sock.getpeername()
    except OSError:
        return "unknown"
    return f"{host}:{port}"
