"""Where requests go that wait for their agent: in a `Link`'s place, it keeps them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from hookloop.exchange import Headers, ResponseHead
from hookloop.tunnel.body_tally import BodyTally
from hookloop.tunnel.catch.box import CatchBox
from hookloop.tunnel.catch.rules import not_caught
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire.messages import Request

from .link import AnsweredCaller, RawCaller

__all__ = ["HELD_BYTES_MAX", "CatchLink"]

HELD_BYTES_MAX = 64 * 1024 * 1024
"""Bodies on their way in, of all callers of a relay: anybody may send to a public name."""


@dataclass(slots=True)
class _Incoming:
    request: Request
    caller: AnsweredCaller
    body: list[bytes] = field(default_factory=list)
    length: int = 0


class CatchLink:
    """
    Keeps the requests of one tunnel in its box, and answers their callers.

    Has the methods of a `Link` that a caller's connection calls.
    """

    def __init__(self, box: CatchBox, held: Room, is_full: Callable[[], bool]) -> None:
        """*is_full*: the relay keeps no more, of whatever tunnel."""
        self._box = box
        self._held = held
        self._is_full = is_full
        self._streams = count(1)
        self._incoming: dict[int, _Incoming] = {}

    def open_stream(
        self,
        request: Request,
        body: bytes,
        caller: AnsweredCaller,
        *,
        is_ended: bool,
        digest: bytes = b"",  # noqa: ARG002  # told to the agent with the delivery
    ) -> int | None:
        """Take a request in; None is never: what there is no room for is answered so."""
        request.encode()  # what a wire cannot carry is its caller's fault, and is said now
        stream = next(self._streams)
        self._incoming[stream] = _Incoming(request, caller)
        self.send_data(stream, body)
        if is_ended:
            self._complete(stream)
        return stream

    def open_upgrade(self, request: Request, caller: AnsweredCaller) -> int | None:  # noqa: ARG002  # none is
        """Take none: who wants to leave HTTP waits for nobody."""
        return None

    def become_raw(self, stream: int, caller: RawCaller, *, is_ended: bool) -> None:  # noqa: ARG002  # never
        """Never: no upgrade was opened."""
        self._forget(stream)

    def send_data(self, stream: int, data: bytes) -> bool:
        incoming = self._incoming.get(stream)
        if incoming is None or not data:
            return True
        is_too_long = incoming.length + len(data) > self._box.rules.body_bytes_max
        if is_too_long or not self._held.take(len(data)):
            self._forget(stream)
            self._answer(incoming.caller, not_caught())
            return True
        incoming.body.append(data)
        incoming.length += len(data)
        return True

    def end_stream(
        self,
        stream: int,
        trailers: Headers = (),  # noqa: ARG002  # of no webhook
        *,
        digest: bytes = b"",  # noqa: ARG002  # told with the delivery
    ) -> None:
        self._complete(stream)

    def cancel(self, stream: int, message: str) -> None:  # noqa: ARG002  # nobody reads it
        """The caller is gone before its request was whole."""
        self._forget(stream)

    def consumed(self, stream: int, length: int) -> None:
        """Nobody waits: our answers have no body."""

    def _complete(self, stream: int) -> None:
        incoming = self._incoming.get(stream)
        if incoming is None:
            return
        if self._is_full():
            self._forget(stream)
            self._answer(incoming.caller, not_caught())
            return
        body = b"".join(incoming.body)
        length = incoming.length
        del self._incoming[stream]

        def answer(head: ResponseHead) -> None:
            self._held.give_back(length)
            self._answer(incoming.caller, head)

        self._box.catch_soon(incoming.request, body, answer)

    def _forget(self, stream: int) -> None:
        if incoming := self._incoming.pop(stream, None):
            self._held.give_back(incoming.length)

    def _answer(self, caller: AnsweredCaller, head: ResponseHead) -> None:
        caller.response_head(head, b"", is_ended=True, digest=BodyTally().digest())
