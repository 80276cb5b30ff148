"""One stream of a tunnel in catch mode: forwarded if the app takes it, and caught if not."""

from collections.abc import Callable

from hookloop.clock import Clock
from hookloop.exchange import Exchange, Headers, ResponseHead
from hookloop.tunnel.body_tally import BodyTally
from hookloop.tunnel.catch.box import CatchBox
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire.events import RequestReceived
from hookloop.tunnel.wire.messages import Request, ResetCode

from .forward import Forward, ForwardSession
from .upstream import UpstreamConnection

__all__ = ["CatchForward"]

APP_IS_DOWN = {ResetCode.UPSTREAM_REFUSED, ResetCode.UPSTREAM_BROKEN}
"""
Broken too, where no answer has begun: what listens on the port of a container that is down
takes the connection and drops it. Its sender would have tried again; so do we.
"""


class CatchForward:
    """
    Stands where a `Forward` would, and is the session of the one it makes.

    Keeps a copy of the body until the app begins to answer. Where others wait already, no
    forward is made at all: the request goes to the end of their line.
    """

    def __init__(
        self,
        request: RequestReceived,
        session: ForwardSession,
        box: CatchBox,
        room: Room,
        clock: Clock,
        make: Callable[[ForwardSession], Forward],
        *,
        is_paid: bool = False,
        keep_max: int = 0,
    ) -> None:
        """
        Raises `ProtocolError` for a head that cannot be sent on.

        *is_paid*: credit was granted already for the body that came with *request*.
        *keep_max*: bytes of the body that the `Exchange` holds on to.
        """
        self._request = request
        self._session = session
        self._box = box
        self._room = room
        self._clock = clock
        self._is_paid = is_paid
        self._body: list[bytes] = []
        self._tally = BodyTally(keep_max)
        self._tally.told = request.digest
        self._is_complete = request.is_ended
        self._is_kept = True
        """The whole body so far is here, and the app has not begun to answer."""
        self._is_too_large = False
        self._is_catching = box.has_line
        self._is_over = False
        self._was_connected = False
        self._failure: tuple[ResetCode, str] = (
            ResetCode.OVERLOADED,
            "the app gets what was caught before first, and this is too large to be caught",
        )
        """What the caller is told where it cannot be caught."""
        self._exchange: Exchange | None = None
        self._started = clock.monotonic()
        self._forward = None if self._is_catching else make(self)
        self._keep(request.body)

    @property
    def is_queued(self) -> bool:
        """Whether it needs no connection to the upstream: `begin` is all it wants."""
        return self._forward is None

    def begin(self) -> None:
        """Catch it, where it is queued and already complete."""
        if self.is_queued:
            if not self._is_paid:
                self._session.consumed(self._request.stream, len(self._request.body))
            self._go_on()

    # --- as a Forward -----------------------------------------------------------------------

    def connected(self, connection: UpstreamConnection, *, response_seconds: float) -> None:
        self._was_connected = True
        if self._forward is not None:
            self._forward.connected(connection, response_seconds=response_seconds)

    def not_connected(self, code: ResetCode, why: str) -> None:
        if self._forward is not None:
            self._forward.not_connected(code, why)

    def request_data(self, data: bytes, *, is_ended: bool, digest: bytes) -> None:
        self._keep(data)
        self._tally.told = digest
        self._is_complete = self._is_complete or is_ended
        if not self._is_catching and self._forward is not None:
            self._forward.request_data(data, is_ended=is_ended, digest=digest)
            return
        self._session.consumed(self._request.stream, len(data))
        self._go_on()

    def request_ended(self, trailers: Headers) -> None:
        self._is_complete = True
        if not self._is_catching and self._forward is not None:
            self._forward.request_ended(trailers)
        else:
            self._go_on()

    def stream_reset(self, message: str) -> None:
        """The relay wants no more of it. What is being kept is kept all the same."""
        if not self._is_catching and self._forward is not None:
            self._forward.stream_reset(message)
        else:
            self._end(None, message)

    def may_send_again(self) -> None:
        if self._forward is not None:
            self._forward.may_send_again()

    # --- ForwardSession: of the forward made here ---------------------------------------------

    def respond(
        self, stream: int, head: ResponseHead, body: bytes, *, is_ended: bool, digest: bytes
    ) -> bool:
        if head.status >= 200:
            self._let_go()
        return self._session.respond(stream, head, body, is_ended=is_ended, digest=digest)

    def send_data(self, stream: int, data: bytes) -> bool:
        return self._session.send_data(stream, data)

    def end_stream(self, stream: int, trailers: Headers, *, digest: bytes) -> None:
        self._session.end_stream(stream, trailers, digest=digest)

    def reset_stream(self, stream: int, code: ResetCode, message: str) -> None:
        is_down = code in APP_IS_DOWN or not self._was_connected
        if not self._is_kept or not is_down:
            self._session.reset_stream(stream, code, message)
            return
        self._is_catching = True
        self._failure = (code, message)

    def consumed(self, stream: int, length: int) -> None:
        self._session.consumed(stream, length)

    def forward_ended(self, stream: int, exchange: Exchange) -> None:
        if not self._is_catching:
            self._is_over = True
            self._let_go()
            self._session.forward_ended(stream, exchange)
            return
        self._exchange = exchange
        self._go_on()

    # --- catching ---------------------------------------------------------------------------

    def _keep(self, data: bytes) -> None:
        self._tally.add(data)
        if self._is_kept:
            is_too_long = self._tally.length > self._box.rules.body_bytes_max
            self._is_too_large = is_too_long or not self._room.take(len(data))
            if self._is_too_large:
                self._let_go()
            else:
                self._body.append(data)

    def _let_go(self) -> None:
        """Hold its body no longer: it is answered, or will not be caught."""
        self._is_kept = False
        self._room.give_back(sum(map(len, self._body)))
        self._body.clear()

    def _go_on(self) -> None:
        """Catch what is to be caught and complete; tell the caller where it is too large."""
        if self._is_over:
            return
        if self._is_too_large:
            self._session.reset_stream(self._request.stream, *self._failure)
            self._end(None, self._failure[1])
        elif self._is_complete and self._is_kept:
            body = b"".join(self._body)
            self._let_go()  # the box has its own limit
            request = self._request
            caught = Request(request.tunnel, request.remote, request.head)
            self._box.catch_soon(caught, body, self._answer)

    def _answer(self, head: ResponseHead) -> None:
        if self._is_over:
            return  # the caller is gone; its request is here
        nothing = BodyTally().digest()
        self._session.respond(self._request.stream, head, b"", is_ended=True, digest=nothing)
        self._end(head, None)

    def _end(self, response: ResponseHead | None, failure: str | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._let_go()
        now = self._clock.monotonic()
        told = self._exchange or self._queued_exchange(now)
        exchange = told._replace(
            response=response,
            responded=now if response is not None else None,
            ended=now,
            failure=failure,
            request_body_bytes=self._tally.length,
            request_digest=self._tally.digest(),
            request_digest_told=self._tally.told,
            request_body=self._tally.short,
            request_kept=self._tally.kept,
        )
        self._session.forward_ended(self._request.stream, exchange)

    def _queued_exchange(self, now: float) -> Exchange:
        request = self._request
        return Exchange(
            hop="agent",
            tunnel=request.tunnel,
            remote=request.remote,
            request=request.head,
            response=None,
            request_body_bytes=0,
            response_body_bytes=0,
            started=self._started,
            responded=None,
            ended=now,
            failure=None,
            response_digest=BodyTally().digest(),
        )
