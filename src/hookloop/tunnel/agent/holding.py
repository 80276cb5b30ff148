"""A request that waits, whole, for a guard's word: its body is kept here, up to limits."""

from typing import Protocol

from hookloop.exchange import Headers, Objection
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire.events import RequestReceived

from .guard import GUARDED_BYTES_MAX

__all__ = ["HELD_BYTES_MAX", "Holder", "Holding"]

HELD_BYTES_MAX = 64 * 1024 * 1024  # of all requests of an agent together


class Holder(Protocol):
    """Whom a holding tells. Each is told at most once, and nothing after it."""

    def consumed(self, stream: int, length: int) -> None:
        """Let the relay send more: this one may be called often."""
        ...

    def held_whole(self, holding: "Holding") -> None:
        """The request is complete."""
        ...

    def held_too_much(self, holding: "Holding", objection: Objection) -> None:
        """It is longer than can be kept."""
        ...

    def held_for_nothing(self, holding: "Holding", message: str) -> None:
        """Nobody wants it any more."""
        ...


class Holding:
    """Takes a stream's events in place of a `Forward`, until its request is complete."""

    def __init__(self, request: RequestReceived, holder: Holder, room: Room) -> None:
        self.request = request
        """As it came; once it is whole, with all of its body."""
        self.trailers: Headers = ()
        self._holder = holder
        self._room = room
        self._pieces: list[bytes] = []
        self._length = 0
        self._is_over = False

    def begin(self) -> None:
        """Take what came with the head."""
        request = self.request
        self.request_data(request.body, is_ended=request.is_ended, digest=request.digest)

    def request_data(self, data: bytes, *, is_ended: bool, digest: bytes) -> None:
        self._holder.consumed(self.request.stream, len(data))
        if self._is_over:
            return
        is_too_long = self._length + len(data) > GUARDED_BYTES_MAX
        if is_too_long or not self._room.take(len(data)):
            self._over()
            self._holder.held_too_much(self, _too_long() if is_too_long else _no_room())
            return
        self._length += len(data)
        self._pieces.append(data)
        if is_ended:
            self._whole(digest)

    def request_ended(self, trailers: Headers) -> None:
        if not self._is_over:
            self.trailers = trailers
            self._whole(b"")

    def stream_reset(self, message: str) -> None:
        self._over()
        self._holder.held_for_nothing(self, message)

    def may_send_again(self) -> None:
        """Say nothing: there is no answer yet."""

    def release(self) -> None:
        """The guard has spoken: the body goes its way or none."""
        self._room.give_back(self._length)
        self._length = 0

    def _whole(self, digest: bytes) -> None:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._is_over = True
        # Trailers come after the body, so with them its end is still to be said.
        self.request = self.request._replace(body=body, is_ended=not self.trailers, digest=digest)
        self._holder.held_whole(self)

    def _over(self) -> None:
        self._is_over = True
        self._pieces.clear()
        self.release()


def _too_long() -> Objection:
    return Objection(
        413,
        "body_too_large",
        f"a body over {GUARDED_BYTES_MAX} bytes cannot be verified by this tunnel",
    )


def _no_room() -> Objection:
    return Objection(503, "overloaded", "this tunnel verifies too many requests at the moment")
