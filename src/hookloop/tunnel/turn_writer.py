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
        # asyncio's transport, from Python 3.12 on, never gets rid of an empty piece that comes
        # last: it would try to send it again and again, and never close.
        self._buffers.extend(piece for piece in buffers if piece)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write now what was collected."""
        self._is_due = False
        buffers, self._buffers = self._buffers, []
        if buffers and self.transport is not None and not self.transport.is_closing():
            self.transport.writelines(buffers)
