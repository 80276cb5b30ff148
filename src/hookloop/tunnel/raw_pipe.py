"""
Carries bytes between a plain connection and a raw stream: the same on both sides.

Each direction ends by itself (half-close), a slow reader on one end slows the source on
the other, and what ends before its time is seen to be cut: the connection is reset, never
closed as if all were well.
"""

import asyncio
import socket
import struct
from typing import Protocol, cast

from hookloop.clock import Clock

from .patience import Patience
from .turn_writer import TurnWriter

__all__ = ["PipeStream", "RawPipe", "reset_on_close"]

WRITE_BUFFER_BYTES = 64 * 1024  # above it the other side gets no more credit
# A peer that vanished is noticed after two minutes of silence; nobody else is disturbed.
KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_PROBES = 60, 15, 4
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


class PipeStream(Protocol):
    """The stream of a pipe, in its session. None of these may raise."""

    def send(self, data: bytes) -> bool:
        """Pass bytes on; False asks to pause until `RawPipe.may_send_again`."""
        ...

    def end(self) -> None:
        """The connection sends no more."""
        ...

    def reset(self, message: str) -> None:
        """The connection has ended before its time."""
        ...

    def consumed(self, length: int) -> None:
        """Bytes of the stream have left, or were dropped."""
        ...

    def closed(self, pipe: "RawPipe", failure: str | None) -> None:
        """The pipe has ended, by *failure* or well; said once, and the last thing said."""
        ...


class RawPipe(asyncio.Protocol):
    """One connection and its stream. What comes of the stream before the connection waits."""

    def __init__(
        self,
        stream: PipeStream,
        clock: Clock,
        *,
        idle_seconds: float = 0.0,
        stall_seconds: float = 0.0,
    ) -> None:
        """
        *idle_seconds*: the longest silence, both ways; *stall_seconds*: the longest that the
        connection may take nothing of what waits for it. 0: as long as it likes.
        """
        self.bytes_received = 0
        """From the connection."""
        self.bytes_sent = 0
        """To the connection."""
        self._stream = stream
        self._idle_seconds = idle_seconds
        self._stall_seconds = stall_seconds
        self._transport: asyncio.Transport | None = None
        self._writer = TurnWriter()
        self._greeting = b""
        self._waiting: list[bytes] = []
        """Of the stream, before the connection was made."""
        self._unconsumed = 0
        self._unread = 0
        """What waited for a slow reader at the last look: it should become less."""
        self._is_full = False
        self._is_paused = False
        self._has_ended = False
        """The connection sends no more."""
        self._is_stream_ended = False
        self._is_deaf = False
        """The connection is gone, by its own will, and the stream has not ended yet."""
        self._is_over = False
        self._failure: str | None = None
        self._idle = Patience(clock, lambda: self.cut("nothing was sent for too long"))
        self._stall = Patience(clock, self._stalled)

    def cut(self, reason: str) -> None:
        """End both now, so that either end sees that it was cut."""
        self._failure = self._failure or reason
        self._reset_connection()
        self._finish()

    def greet(self, data: bytes) -> None:
        """Send *data* before all that comes of the stream; call it before there is a connection."""
        self._greeting = data

    # --- from the stream ----------------------------------------------------------------------

    def raw_data(self, data: bytes, *, is_ended: bool) -> None:
        self._unconsumed += len(data)
        self._is_stream_ended = self._is_stream_ended or is_ended
        if self._transport is None:
            if self._is_over:
                self._settle_credit()
            elif self._is_deaf:
                self._to_the_deaf(data)
            elif data:
                self._waiting.append(data)
            return
        self._active()
        if data:
            self._write(data)
        if is_ended:
            self._end_ours()

    def stream_reset(self, message: str) -> None:
        """The other side ended the stream before its time."""
        self._failure = self._failure or message
        self._reset_connection()
        self._finish(is_stream_open=False)

    def may_send_again(self) -> None:
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        if self._is_over:
            self._reset_connection()
            return
        self._writer.transport = self._transport
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        _keep_alive(transport.get_extra_info("socket"))
        self._active()
        self._writer.write(self._greeting)
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._write(data)
        if self._is_stream_ended:
            self._end_ours()

    def data_received(self, data: bytes) -> None:
        self.bytes_received += len(data)
        self._active()
        if self._is_over or self._stream.send(data):
            return
        if self._transport is not None and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._has_ended = True
        if not self._is_over:
            self._stream.end()
        self._close_if_done()
        return self._transport is not None and self._transport.can_write_eof()  # ours may go on

    def pause_writing(self) -> None:
        self._is_full = True
        self._unread = self._bytes_unread()
        if self._stall_seconds:
            self._stall.wait(self._stall_seconds)

    def resume_writing(self) -> None:
        self._is_full = False
        self._stall.stop()
        self._settle_credit()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._has_ended and not self._is_stream_ended and exc is None and not self._is_over:
            # By TLS an end is the end of both halves. The other side has heard of the first,
            # and may end the second in peace, as long as it has nothing more to say.
            self._is_deaf = True
            self._transport = self._writer.transport = None
            return
        is_done = self._has_ended and self._is_stream_ended and exc is None
        if not is_done:
            why = str(exc) if exc else "the connection was closed"
            self._failure = self._failure or why
        self._transport = self._writer.transport = None
        self._finish(is_stream_open=not is_done)

    # --- inside -------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        self.bytes_sent += len(data)
        self._writer.write(data)
        if not self._is_full:
            self._settle_credit()

    def _end_ours(self) -> None:
        self._writer.flush()
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        elif not self._has_ended:
            self._has_ended = True  # TLS cannot end one half alone
            self._stream.end()
        self._close_if_done()

    def _to_the_deaf(self, data: bytes) -> None:
        if data:
            self.cut("the connection was closed")
        elif self._is_stream_ended:
            self._finish(is_stream_open=False)

    def _close_if_done(self) -> None:
        if self._has_ended and self._is_stream_ended and self._transport is not None:
            self._transport.close()  # once all is written

    def _settle_credit(self) -> None:
        unconsumed, self._unconsumed = self._unconsumed, 0
        if unconsumed:
            self._stream.consumed(unconsumed)

    def _active(self) -> None:
        if self._idle_seconds and not self._is_over:
            self._idle.wait(self._idle_seconds)

    def _stalled(self) -> None:
        unread = self._bytes_unread()
        if unread < self._unread:
            self._unread = unread
            self._stall.wait(self._stall_seconds)
        else:
            self.cut("nothing was taken of what waited for too long")

    def _bytes_unread(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _reset_connection(self) -> None:
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            reset_on_close(sock)
        self._transport.abort()

    def _finish(self, *, is_stream_open: bool = True) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._idle.close()
        self._stall.close()
        self._waiting.clear()
        self._settle_credit()
        if is_stream_open:
            self._stream.reset(self._failure or "the connection was closed")
        self._stream.closed(self, self._failure)


def reset_on_close(sock: socket.socket) -> None:
    """Make the end of a connection, when it is closed next, be seen as a reset."""
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def _keep_alive(sock: socket.socket | None) -> None:
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_SECONDS),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if hasattr(socket, name):  # not on every system
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
