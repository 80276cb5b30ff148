"""A caller that has left HTTP: its connection, and the raw stream that its request has become."""

import asyncio
from collections.abc import Callable

from hookloop.clock import Clock
from hookloop.tunnel.raw_pipe import RawPipe
from hookloop.tunnel.wire.messages import ResetCode

from .limits import RelayLimits
from .serving import Serving

__all__ = ["UpgradedCaller"]


class UpgradedCaller:
    """Joins the two: the `PipeStream` of the pipe, and the `RawCaller` of the link."""

    def __init__(
        self,
        exchange: Serving,
        limits: RelayLimits,
        clock: Clock,
        on_ended: Callable[[Serving, str | None], None],
    ) -> None:
        """*exchange* has its stream, whose 101 has been passed on."""
        assert exchange.link is not None  # noqa: S101  # the caller's duty
        assert exchange.stream is not None  # noqa: S101
        self._exchange = exchange
        self._link, self._stream = exchange.link, exchange.stream
        self._on_ended = on_ended
        self.pipe = RawPipe(
            self,
            clock,
            idle_seconds=limits.upgraded_idle_seconds,
            stall_seconds=limits.stall_seconds,
        )

    def take_over(
        self,
        transport: asyncio.Transport,
        received: bytes,
        *,
        is_caller_ended: bool,
        is_agent_ended: bool,
    ) -> None:
        """Become the owner of the caller's connection; *received* came behind its request."""
        pipe = self.pipe
        self._link.become_raw(self._stream, self, is_ended=is_agent_ended)
        transport.set_protocol(pipe)
        pipe.connection_made(transport)
        if received:
            pipe.data_received(received)
        if is_caller_ended:
            pipe.eof_received()
        elif not transport.is_closing():
            transport.resume_reading()
        if is_agent_ended:
            pipe.raw_data(b"", is_ended=True)

    # --- RawCaller ----------------------------------------------------------------------------

    def raw_data(self, data: bytes, *, is_ended: bool) -> None:
        self.pipe.raw_data(data, is_ended=is_ended)

    def stream_reset(self, code: ResetCode, message: str) -> None:
        self.pipe.stream_reset(f"{code.name.lower()}: {message}")

    def may_send_again(self) -> None:
        self.pipe.may_send_again()

    # --- PipeStream ---------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        return self._link.send_data(self._stream, data)

    def end(self) -> None:
        self._link.end_stream(self._stream)

    def reset(self, message: str) -> None:
        self._link.cancel(self._stream, message)

    def consumed(self, length: int) -> None:
        self._link.consumed(self._stream, length)

    def closed(self, pipe: RawPipe, failure: str | None) -> None:
        self._exchange.request_body.length = pipe.bytes_received
        self._exchange.response_body.length = pipe.bytes_sent
        self._on_ended(self._exchange, failure)
