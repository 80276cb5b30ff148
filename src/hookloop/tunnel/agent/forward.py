"""One stream on its way to the upstream and back."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from hookloop.clock import Clock
from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import Exchange, Headers, ResponseHead
from hookloop.tunnel.wire.events import RequestReceived
from hookloop.tunnel.wire.messages import ResetCode

from .request_head import RequestWriter
from .response_reader import BodyRead, BrokenRead, EndRead, FinalRead, InterimRead, ReaderEvent
from .upstream import UpstreamConnection

__all__ = ["Forward", "ForwardSession"]


class ForwardSession(Protocol):
    """What a forward needs of its session; each call may be made after the stream has ended."""

    def respond(self, stream: int, head: ResponseHead) -> None: ...

    def send_data(self, stream: int, data: bytes) -> bool: ...

    def end_stream(self, stream: int, trailers: Headers) -> None: ...

    def reset_stream(self, stream: int, code: ResetCode, message: str) -> None: ...

    def consumed(self, stream: int, length: int) -> None: ...

    def forward_ended(self, stream: int, exchange: Exchange) -> None: ...


class Forward:
    """
    Serves one stream. Events of the session and of the upstream come in, in any order.

    Until the upstream is connected the body waits here: at most the stream's credit.
    """

    def __init__(
        self, request: RequestReceived, session: ForwardSession, clock: Clock, upstream: str
    ) -> None:
        """Raises `ProtocolError` for a head that cannot be sent on."""
        self._request = request
        self._session = session
        self._clock = clock
        self._upstream = upstream
        self._writer = RequestWriter(request.head, has_body=not request.is_ended)
        self._connection: UpstreamConnection | None = None
        self._waiting: list[bytes] = []
        self._unconsumed = 0
        self._is_request_ended = request.is_ended
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._started = self._progressed = clock.monotonic()
        self._responded: float | None = None
        self._response: ResponseHead | None = None
        self._request_bytes = 0
        self._response_bytes = 0

    @property
    def is_over(self) -> bool:
        return self._is_over

    def connected(self, connection: UpstreamConnection, *, response_seconds: float) -> None:
        """Send what has come so far, and what comes from now on, on *connection*."""
        if self._is_over:
            connection.finish(is_reusable=True)
            return
        if not connection.is_usable:
            self._fail(ResetCode.UPSTREAM_BROKEN, f"{self._upstream} broke off at once")
            return
        self._connection = connection
        connection.begin(self, self._request.head)
        connection.write(self._writer.head(), *self._waiting)
        self._waiting.clear()
        self._settle_credit()
        self._progressed = self._clock.monotonic()
        self._wait_for_response(response_seconds, response_seconds)

    def not_connected(self, code: ResetCode, why: str) -> None:
        """The upstream takes no connection."""
        self._fail(code, f"cannot reach {self._upstream}: {why}. Is the app running?")

    # --- from the session -------------------------------------------------------------------

    def request_data(self, data: bytes, *, is_ended: bool) -> None:
        self._request_bytes += len(data)
        self._unconsumed += len(data)
        self._progressed = self._clock.monotonic()
        self._send(lambda: self._writer.data(data))
        if is_ended:
            self.request_ended(())
        self._settle_credit()

    def request_ended(self, trailers: Headers) -> None:
        self._is_request_ended = True
        self._send(lambda: (self._writer.end(trailers),))

    def stream_reset(self, message: str) -> None:
        """The relay wants no more of it."""
        self._over(message)

    def may_send_again(self) -> None:
        if self._connection is not None:
            self._connection.resume_reading()

    # --- from the upstream ------------------------------------------------------------------

    def upstream_event(self, event: ReaderEvent) -> None:
        if self._is_over:
            return
        try:
            self._pass_back(event)
        except LocalError as error:
            # llhttp reads more than HTTP allows to be sent: a status 999, a NUL in the reason.
            why = f"{self._upstream} answered what cannot be passed on: {error}"
            self._fail(ResetCode.UPSTREAM_BROKEN, why)

    def upstream_writable(self) -> None:
        self._settle_credit()

    # --- inside -----------------------------------------------------------------------------

    def _pass_back(self, event: ReaderEvent) -> None:
        stream = self._request.stream
        match event:
            case InterimRead(head):
                self._session.respond(stream, head)
            case FinalRead(head):
                self._response = head
                self._responded = self._clock.monotonic()
                self._stop_timer()
                self._session.respond(stream, head)
            case BodyRead(data):
                self._response_bytes += len(data)
                if not self._session.send_data(stream, data) and self._connection is not None:
                    self._connection.pause_reading()
            case EndRead(trailers, is_reusable):
                self._session.end_stream(stream, trailers)
                self._release(is_reusable=is_reusable and self._is_request_ended)
                self._over(None)
            case BrokenRead(message):
                self._fail(ResetCode.UPSTREAM_BROKEN, f"{self._upstream} broke off: {message}")

    def _send(self, frame: Callable[[], tuple[bytes, ...]]) -> None:
        if self._is_over:
            return
        try:
            buffers = frame()
        except ProtocolError as error:
            self._fail(ResetCode.INTERNAL, str(error))
            return
        if self._connection is None:
            self._waiting.extend(buffers)
        else:
            self._connection.write(*buffers)

    def _settle_credit(self) -> None:
        """Let the caller send more, for what has left for the upstream."""
        connection = self._connection
        is_stuck = not self._is_over and (connection is None or connection.is_full)
        if self._unconsumed and not is_stuck:
            self._session.consumed(self._request.stream, self._unconsumed)
            self._unconsumed = 0

    def _wait_for_response(self, wait: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(wait, self._look_for_response, seconds)

    def _look_for_response(self, seconds: float) -> None:
        """An upload may take its time: an upstream that still takes it in is not late."""
        left = self._progressed + seconds - self._clock.monotonic()
        if left > 0:
            self._wait_for_response(left, seconds)
            return
        why = f"{self._upstream} did not begin to answer within {seconds:g} s"
        self._fail(ResetCode.UPSTREAM_TIMEOUT, why)

    def _fail(self, code: ResetCode, message: str) -> None:
        if not self._is_over:
            self._session.reset_stream(self._request.stream, code, message)
            self._over(message)

    def _release(self, *, is_reusable: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish(is_reusable=is_reusable)

    def _over(self, failure: str | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._stop_timer()
        self._waiting.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()
        self._settle_credit()
        self._session.forward_ended(self._request.stream, self._exchange(failure))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _exchange(self, failure: str | None) -> Exchange:
        request = self._request
        return Exchange(
            hop="agent",
            tunnel=request.tunnel,
            remote=request.remote,
            request=request.head,
            response=self._response,
            request_body_bytes=self._request_bytes,
            response_body_bytes=self._response_bytes,
            started=self._started,
            responded=self._responded,
            ended=self._clock.monotonic(),
            failure=failure,
        )
