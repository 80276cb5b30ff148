"""A caller whose bytes nobody reads: its connection, and the stream to the agent."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from hookloop.clock import Clock
from hookloop.errors import LocalError
from hookloop.tunnel.log_values import Values
from hookloop.tunnel.raw_pipe import RawPipe
from hookloop.tunnel.wire.messages import ResetCode
from hookloop.tunnel.wire.raw import Connect

from .front import peer_name
from .link import Link
from .raw_settings import RawSettings

__all__ = ["RawCallerConnection"]

logger = logging.getLogger("hookloop.relay")


class RawCallerConnection(asyncio.Protocol):
    """
    Opens the stream once there is a connection, and leads that to a `RawPipe`.

    It is the pipe's `PipeStream`, and the link's `RawCaller`.
    """

    def __init__(
        self,
        link: Link | None,
        tunnel: str,
        settings: RawSettings,
        enter: Callable[[asyncio.BaseTransport], tuple[str, Callable[[], None]] | None],
        *,
        server_name: str = "",
        clock: Clock,
    ) -> None:
        """
        *link* is None where the agent is away: the connection is reset.

        *enter* lets the caller in: it returns its address and what is called in the end, or None
        where it is one too many.
        """
        self._link = link
        self._tunnel = tunnel
        self._server_name = server_name
        self._settings = settings
        self._enter = enter
        self._leave: Callable[[], None] | None = None
        self._clock = clock
        self._remote = "unknown:0"
        self._started = clock.monotonic()
        self._stream: int | None = None
        self._pipe: RawPipe | None = None

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        host, port = peer_name(transport)
        self._remote = f"{host}:{port}"
        self._pipe = RawPipe(
            self,
            self._clock,
            idle_seconds=self._settings.idle_seconds,
            stall_seconds=self._settings.stall_seconds,
        )
        self._open(transport)
        cast("asyncio.Transport", transport).set_protocol(self._pipe)
        self._pipe.connection_made(transport)
        if self._stream is None:
            self._pipe.cut("the agent takes no connection now")

    # --- RawCaller ----------------------------------------------------------------------------

    def raw_data(self, data: bytes, *, is_ended: bool) -> None:
        if self._pipe is not None:
            self._pipe.raw_data(data, is_ended=is_ended)

    def stream_reset(self, code: ResetCode, message: str) -> None:
        if self._pipe is not None:
            self._pipe.stream_reset(f"{code.name.lower()}: {message}")

    def may_send_again(self) -> None:
        if self._pipe is not None:
            self._pipe.may_send_again()

    # --- PipeStream ---------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        if self._link is None or self._stream is None:
            return True
        return self._link.send_data(self._stream, data)

    def end(self) -> None:
        if self._link is not None and self._stream is not None:
            self._link.end_stream(self._stream)

    def reset(self, message: str) -> None:
        if self._link is not None and self._stream is not None:
            self._link.cancel(self._stream, message)

    def consumed(self, length: int) -> None:
        if self._link is not None and self._stream is not None:
            self._link.consumed(self._stream, length)

    def closed(self, pipe: RawPipe, failure: str | None) -> None:
        if self._leave is not None:
            self._leave()
        values = Values(
            tunnel=self._tunnel,
            remote=self._remote,
            bytes_in=pipe.bytes_received,
            bytes_out=pipe.bytes_sent,
            seconds=round(self._clock.monotonic() - self._started, 3),
            failure=failure,
        )
        logger.info("connection ended %s", values)

    # --- inside -------------------------------------------------------------------------------

    def _open(self, transport: asyncio.BaseTransport) -> None:
        if self._link is None or self._link.is_going_away:
            return
        entered = self._enter(transport)
        if entered is None:
            return
        self._remote, self._leave = entered
        connect = Connect(self._tunnel, self._remote, self._server_name)
        try:
            self._stream = self._link.open_raw_stream(connect, self)
        except LocalError:  # a server name with what the wire does not carry: no name of ours
            self._stream = None
