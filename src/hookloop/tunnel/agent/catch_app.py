"""The app of a tunnel as catch mode sees it: is its port open, and what does it answer."""

import asyncio

from hookloop.clock import Clock
from hookloop.errors import ProtocolError
from hookloop.exchange import CaptureSink, Exchange, Headers, ResponseHead
from hookloop.tunnel.catch.box import Answered, Broken, Down
from hookloop.tunnel.wire.events import RequestReceived
from hookloop.tunnel.wire.messages import Request, ResetCode

from .config import TunnelConfig
from .forward import Forward
from .pipeline import Pipeline
from .upstream import UpstreamPool

__all__ = ["UpstreamApp"]

DETAIL_BYTES_MAX = 200
"""Of an answer, for the record: enough to see whose words they are."""


class UpstreamApp:
    """A `catch.box.App`; what it sends goes the way of all requests of the tunnel."""

    def __init__(
        self, config: TunnelConfig, clock: Clock, sink: CaptureSink, *, keep_max: int = 0
    ) -> None:
        self._config = config
        self._clock = clock
        self._sink = sink
        self._keep_max = keep_max
        self._pipeline = Pipeline(config.policy, config.upstream, config.label)
        self._pool = UpstreamPool(config.upstream, clock)

    async def is_up(self) -> bool:
        try:
            async with asyncio.timeout(self._config.connect_seconds):
                connection = await self._pool.connect()
        except (OSError, UnicodeError, TimeoutError):
            return False
        # Closed at once: an app that serves one connection at a time must not wait for ours.
        connection.close()
        return True

    async def send(self, request: Request, body: bytes) -> Answered | Broken | Down:
        exchange = _CaughtExchange(self._sink)
        received = RequestReceived(
            0, request.tunnel, request.remote, request.head, is_ended=True, body=body
        )
        try:
            upstream = str(self._config.upstream)
            forward = Forward(
                received,
                exchange,
                self._clock,
                upstream,
                self._pipeline,
                keep_max=self._keep_max,
            )
        except ProtocolError as error:
            return Answered(400, f"not sent: {error}")  # it would never be
        try:
            async with asyncio.timeout(self._config.connect_seconds):
                connection = await self._pool.connect()
        except TimeoutError:
            return Down("no answer to the connection")
        except (OSError, UnicodeError) as error:
            return Down(str(error) or type(error).__name__)
        forward.connected(connection, response_seconds=self._config.response_seconds)
        try:
            return await exchange.outcome
        finally:
            forward.stream_reset("catch mode was stopped")  # where it has not ended

    def close(self) -> None:
        self._pool.close()


class _CaughtExchange:
    """The `ForwardSession` of a request whose caller is long gone: nobody reads the answer."""

    def __init__(self, sink: CaptureSink) -> None:
        self.outcome: asyncio.Future[Answered | Broken] = asyncio.get_running_loop().create_future()
        self._sink = sink
        self._status = 0
        self._detail = b""

    def respond(
        self,
        _stream: int,
        head: ResponseHead,
        body: bytes,
        *,
        is_ended: bool,
        digest: bytes,  # noqa: ARG002  # nobody compares: the answer ends here
    ) -> bool:
        if head.status >= 200:
            self._status = head.status
            self._read(body)
            if is_ended:
                self._answered()
        return True

    def send_data(self, _stream: int, data: bytes) -> bool:
        self._read(data)
        return True

    def end_stream(
        self,
        _stream: int,
        _trailers: Headers,
        *,
        digest: bytes,  # noqa: ARG002  # the same
    ) -> None:
        self._answered()

    def reset_stream(self, _stream: int, _code: ResetCode, message: str) -> None:
        # An answer that is cut off is an answer: its status says what became of the request.
        self._answered() if self._status else self._settle(Broken(message))

    def consumed(self, stream: int, length: int) -> None:
        """Nobody waits for credit: the body is here."""

    def forward_ended(self, _stream: int, exchange: Exchange) -> None:
        self._sink.captured(exchange)

    def _read(self, data: bytes) -> None:
        self._detail += data[: DETAIL_BYTES_MAX - len(self._detail)]

    def _answered(self) -> None:
        self._settle(Answered(self._status, self._detail.decode(errors="replace")))

    def _settle(self, outcome: Answered | Broken) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
