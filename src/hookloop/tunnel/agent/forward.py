"""One stream on its way to the upstream and back."""

from typing import Protocol

from hookloop.clock import Clock
from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import Exchange, Headers, ResponseHead
from hookloop.tunnel.body_tally import BodyTally
from hookloop.tunnel.raw_pipe import RawPipe
from hookloop.tunnel.wire.events import RequestReceived
from hookloop.tunnel.wire.messages import ResetCode

from .pipeline import Pipeline
from .request_head import RequestWriter
from .response_reader import (
    BodyRead,
    BrokenRead,
    EndRead,
    FinalRead,
    InterimRead,
    ReaderEvent,
    SwitchedRead,
)
from .upstream import UpstreamConnection

__all__ = ["Forward", "ForwardSession"]


class ForwardSession(Protocol):
    """What a forward needs of its session; each call may be made after the stream has ended."""

    def respond(
        self, stream: int, head: ResponseHead, body: bytes, *, is_ended: bool, digest: bytes
    ) -> bool: ...

    def send_data(self, stream: int, data: bytes) -> bool: ...

    def end_stream(self, stream: int, trailers: Headers, *, digest: bytes) -> None: ...

    def reset_stream(self, stream: int, code: ResetCode, message: str) -> None: ...

    def consumed(self, stream: int, length: int) -> None: ...

    def forward_ended(self, stream: int, exchange: Exchange) -> None: ...


class Forward:
    """
    Serves one stream. Events of the session and of the upstream come in, in any order.

    Until the upstream is connected the body waits here: at most the stream's credit.
    """

    def __init__(
        self,
        request: RequestReceived,
        session: ForwardSession,
        clock: Clock,
        upstream: str,
        pipeline: Pipeline,
        *,
        is_paid: bool = False,
        keep_max: int = 0,
    ) -> None:
        """
        Raises `ProtocolError` for a head that cannot be sent on.

        *is_paid*: credit was granted already for the body that came with *request*.
        *keep_max*: bytes of each body that the `Exchange` holds on to.
        """
        self._request = request
        self._session = session
        self._clock = clock
        self._upstream = upstream
        self._pipeline = pipeline
        self._writer = RequestWriter(
            pipeline.request(request.head),
            has_body=not request.is_upgrade and (bool(request.body) or not request.is_ended),
            is_upgrade=request.is_upgrade,
        )
        self._connection: UpstreamConnection | None = None
        self._response_seconds = 0.0
        self._waiting: list[bytes] = [self._writer.head()]
        self._unconsumed = 0
        self._is_request_ended = request.is_upgrade
        self._pipe: RawPipe | None = None
        """Carries both ways once the upstream has left HTTP."""
        self._is_over = False
        self._started = clock.monotonic()
        self._responded: float | None = None
        self._response: ResponseHead | None = None
        self._connected: float | None = None
        self._request_body = BodyTally(keep_max)
        self._response_body = BodyTally(keep_max)
        self._waiting += self._framed(request.body, request.is_ended, request.digest)
        if is_paid:
            self._unconsumed = 0

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
        self._connected = self._clock.monotonic()
        self._response_seconds = response_seconds
        asked = self._request.head.get(b"upgrade") if self._request.is_upgrade else None
        connection.begin(self, self._request.head, asked=asked or b"")
        connection.expect(response_seconds)
        waiting, self._waiting = self._waiting, []
        connection.write_now(waiting)
        self._settle_credit()

    def not_connected(self, code: ResetCode, why: str) -> None:
        """The upstream takes no connection."""
        self._fail(code, f"cannot reach {self._upstream}: {why}")

    # --- from the session -------------------------------------------------------------------

    def request_data(self, data: bytes, *, is_ended: bool, digest: bytes) -> None:
        if self._pipe is not None:
            self._pipe.raw_data(data, is_ended=is_ended)
            return
        if self._is_over:
            self._session.consumed(self._request.stream, len(data))
            return
        try:
            buffers = self._framed(data, is_ended, digest)
        except ProtocolError as error:
            self._fail(ResetCode.INTERNAL, str(error))
            return
        self._send(buffers)
        self._settle_credit()

    def request_ended(self, trailers: Headers) -> None:
        self._is_request_ended = True
        if self._is_over:
            return
        try:
            self._send([self._writer.end(trailers)])
        except ProtocolError as error:
            self._fail(ResetCode.INTERNAL, str(error))

    def stream_reset(self, message: str) -> None:
        """The relay wants no more of it."""
        if self._pipe is not None:
            self._pipe.stream_reset(message)
        else:
            self._over(message)

    def may_send_again(self) -> None:
        if self._pipe is not None:
            self._pipe.may_send_again()
        elif self._connection is not None:
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

    def upstream_late(self) -> None:
        why = f"{self._upstream} did not begin to answer within {self._response_seconds:g} s"
        self._fail(ResetCode.UPSTREAM_TIMEOUT, why)

    # --- inside -----------------------------------------------------------------------------

    def _pass_back(self, event: ReaderEvent) -> None:
        stream = self._request.stream
        match event:
            case FinalRead():
                self._respond(event)
            case BodyRead(data):
                self._response_body.add(data)
                if not self._session.send_data(stream, data) and self._connection is not None:
                    self._connection.pause_reading()
            case EndRead():
                self._session.end_stream(
                    stream, event.trailers, digest=self._response_body.digest()
                )
                self._ended(event)
            case InterimRead(head):
                self._session.respond(stream, head, b"", is_ended=False, digest=b"")
            case SwitchedRead():
                self._switch(event)
            case BrokenRead(message):
                self._fail(ResetCode.UPSTREAM_BROKEN, f"{self._upstream} broke off: {message}")

    def _respond(self, read: FinalRead) -> None:
        self._response = head = self._pipeline.response(read.head, self._request.head)
        self._responded = self._clock.monotonic()
        self._response_body.add(read.body)
        connection, end = self._connection, read.end
        if connection is not None:
            connection.expect_no_more()
        may_go_on = self._session.respond(
            self._request.stream,
            head,
            read.body,
            is_ended=end is not None,
            digest=self._response_body.digest() if end is not None else b"",
        )
        if end is not None:
            self._ended(end)
        elif not may_go_on and connection is not None:
            connection.pause_reading()

    def _switch(self, read: SwitchedRead) -> None:
        """The upstream grants what was asked for: from here the connection is a pipe's."""
        self._response = head = self._pipeline.response(read.head, self._request.head)
        self._responded = self._clock.monotonic()
        self._session.respond(self._request.stream, head, b"", is_ended=False, digest=b"")
        connection, self._connection = self._connection, None
        assert connection is not None  # noqa: S101  # it is what was read from
        self._pipe = RawPipe(self, self._clock)
        connection.hand_over(self._pipe)
        if read.rest:
            self._pipe.data_received(read.rest)

    # --- PipeStream -------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        return self._session.send_data(self._request.stream, data)

    def end(self) -> None:
        self._session.end_stream(self._request.stream, (), digest=b"")

    def reset(self, message: str) -> None:
        self._session.reset_stream(
            self._request.stream, ResetCode.UPSTREAM_BROKEN, f"{self._upstream}: {message}"
        )

    def consumed(self, length: int) -> None:
        self._session.consumed(self._request.stream, length)

    def closed(self, pipe: RawPipe, failure: str | None) -> None:
        self._request_body.length = pipe.bytes_sent
        self._response_body.length = pipe.bytes_received
        self._over(failure)

    # --- ends -------------------------------------------------------------------------------

    def _ended(self, end: EndRead) -> None:
        """The response is complete: keep the connection if both sides are through with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish(is_reusable=end.is_reusable and self._is_request_ended)
        self._over(None)

    def _framed(self, data: bytes, is_ended: bool, digest: bytes) -> list[bytes]:
        """Return body bytes as the upstream gets them. Raises `ProtocolError` for a broken body."""
        self._request_body.add(data)
        self._request_body.told = digest
        self._unconsumed += len(data)
        buffers = [*self._writer.data(data)]
        if is_ended:
            self._is_request_ended = True
            buffers.append(self._writer.end())
        return buffers

    def _send(self, buffers: list[bytes]) -> None:
        if self._connection is None:
            self._waiting += buffers
            return
        if self._response is None:
            # An upload may take its time: an upstream that still takes it in is not late.
            self._connection.expect(self._response_seconds)
        self._connection.write(*buffers)

    def _settle_credit(self) -> None:
        """Let the caller send more, for what has left for the upstream."""
        connection = self._connection
        is_stuck = not self._is_over and (connection is None or connection.is_full)
        if self._unconsumed and not is_stuck:
            self._session.consumed(self._request.stream, self._unconsumed)
            self._unconsumed = 0

    def _fail(self, code: ResetCode, message: str) -> None:
        if not self._is_over:
            self._session.reset_stream(self._request.stream, code, message)
            self._over(message)

    def _over(self, failure: str | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._waiting.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()
        self._settle_credit()
        self._session.forward_ended(self._request.stream, self._exchange(failure))

    def _exchange(self, failure: str | None) -> Exchange:
        request = self._request
        return Exchange(
            hop="agent",
            tunnel=request.tunnel,
            remote=request.remote,
            request=request.head,
            response=self._response,
            request_body_bytes=self._request_body.length,
            response_body_bytes=self._response_body.length,
            started=self._started,
            responded=self._responded,
            ended=self._clock.monotonic(),
            failure=failure,
            request_digest=self._request_body.digest(),
            response_digest=self._response_body.digest(),
            request_digest_told=self._request_body.told,
            request_body=self._request_body.short,
            connected=self._connected,
            request_kept=self._request_body.kept,
            response_kept=self._response_body.kept,
        )
