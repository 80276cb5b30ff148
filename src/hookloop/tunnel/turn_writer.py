"""Writes to a connection once per loop turn, so that head and body leave in one packet."""

import asyncio

__all__ = ["TurnWriter"]


class TurnWriter:
    """
    Collects what one loop turn brings, and writes it at its end.

    Two small writes in a row can cost 40 ms each (Nagle's algorithm waiting for a
    delayed ACK); one never does.
    """

    __slots__ = ("_buffers", "_is_due", "_loop", "transport")

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        """Set while connected; what is written without one is dropped."""
        self._loop = asyncio.get_running_loop()
        self._buffers: list[bytes] = []
        self._is_due = False

    def write(self, *buffers: bytes) -> None:
        self._buffers.extend(buffers)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.flush)

    def write_now(self, buffers: list[bytes]) -> None:
        """Write behind what was collected, and do not wait for more: this ends a message."""
        self._buffers.extend(buffers)
        self.flush()

    def flush(self) -> None:
        """Write now what was collected."""
        self._is_due = False
        buffers, self._buffers = self._buffers, []
        if self.transport is not None and not self.transport.is_closing():
            # Joined: TLS makes a record, and asyncio before Python 3.12 a packet, of each buffer.
            data = b"".join(buffers)
            if data:
                self.transport.write(data)
