"""
The WebSocket carriage: a connection whose bytes travel inside binary messages.

Some proxies pass no other upgrade. A carrier knows nothing of it: what it is given looks
like any transport. Where a message ends means nothing (SPEC.md section 1.1).
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, Side, State

__all__ = ["MESSAGE_BYTES_MAX", "Side", "WebSocketTransport"]

MESSAGE_BYTES_MAX = 1024 * 1024  # of a frame of the other side, which is held until it is whole
_BYTES = {Opcode.BINARY, Opcode.CONT}

logger = logging.getLogger("hookloop.websocket")


class WebSocketTransport(asyncio.Transport):
    """
    Wraps the transport of a connection on which the handshake is done.

    The caller's duty: `unwrap` what came behind the handshake, and then `set_protocol`,
    before the loop runs again.
    """

    def __init__(self, below: asyncio.Transport, side: Side) -> None:
        super().__init__()
        self._below = below
        self._machine = Protocol(
            side, state=State.OPEN, max_size=(None, MESSAGE_BYTES_MAX), logger=logger
        )
        self._above: asyncio.Protocol | None = None
        below.set_protocol(_Below(self))

    def unwrap(self, received: bytes) -> bytes:
        """Return the bytes inside what came, and answer what has to be."""
        machine = self._machine
        if machine.state is not State.OPEN:
            return b""
        machine.receive_data(received)
        payloads = []
        for frame in machine.events_received():
            assert isinstance(frame, Frame)  # noqa: S101  # the machine began behind the handshake
            if frame.opcode in _BYTES:
                payloads.append(bytes(frame.data))
            elif frame.opcode is Opcode.TEXT and machine.state is State.OPEN:
                machine.fail(CloseCode.UNSUPPORTED_DATA, "frames travel in binary messages")
        self._write_waiting()
        return payloads[0] if len(payloads) == 1 else b"".join(payloads)

    # --- asyncio.Transport ----------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._above = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._above is not None  # noqa: S101  # the caller's duty
        return self._above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        # What one loop turn brings is one message: heads of frames are no messages of their own.
        data = b"".join(list_of_data)
        if data and self._machine.state is State.OPEN:
            self._machine.send_binary(data)
            self._write_waiting()

    def close(self) -> None:
        if self._machine.state is State.OPEN:
            self._machine.send_close(CloseCode.NORMAL_CLOSURE)
            self._write_waiting()
        self._below.close()

    def abort(self) -> None:
        self._below.abort()

    def is_closing(self) -> bool:
        return self._machine.state is not State.OPEN or self._below.is_closing()

    def pause_reading(self) -> None:
        self._below.pause_reading()

    def resume_reading(self) -> None:
        self._below.resume_reading()

    def is_reading(self) -> bool:
        return self._below.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._below.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._below.get_extra_info(name, default)

    # --- inside ---------------------------------------------------------------------------

    def _write_waiting(self) -> None:
        writes = self._machine.data_to_send()
        buffers = [piece for piece in writes if piece != SEND_EOF]
        if buffers and not self._below.is_closing():
            self._below.writelines(buffers)
        # The other side said goodbye, or broke the contract: all that is left has been written.
        if len(buffers) < len(writes) or self._machine.state is State.CLOSING:
            self._below.close()


class _Below(asyncio.Protocol):
    """Hands on what the wrapped transport tells."""

    def __init__(self, wrapped: WebSocketTransport) -> None:
        self._wrapped = wrapped

    def _above(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", self._wrapped.get_protocol())

    def data_received(self, data: bytes) -> None:
        payload = self._wrapped.unwrap(data)
        if payload:
            self._above().data_received(payload)

    def pause_writing(self) -> None:
        self._above().pause_writing()

    def resume_writing(self) -> None:
        self._above().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._above().connection_lost(exc)
