"""The line between supervisor and worker: a JSON object each way, in order, over a socket pair."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any, cast

__all__ = ["Channel", "Message"]

Message = dict[str, Any]
LINE_BYTES_MAX = 64 * 1024 * 1024  # the names of a whole relay, to a worker that has just begun


class Channel(asyncio.Protocol):
    """One end of the line. *received* and *lost* must not raise; *lost* is called once, last."""

    def __init__(self, received: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    @classmethod
    async def over(
        cls,
        sock: socket.socket,
        received: Callable[[Message], None],
        lost: Callable[[], None],
    ) -> "Channel":
        """Take *sock*, a connected one, over."""
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(lambda: cls(received, lost), sock=sock)
        return channel

    def send(self, message: Message) -> None:
        """Send it; to an end that has gone, in vain."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            self.close()
        for line in lines:
            self._received(json.loads(line))

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        self._lost()
