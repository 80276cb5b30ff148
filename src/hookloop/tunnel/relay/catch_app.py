"""The app behind a tunnel, as the relay's catch mode sees it: an agent that is there, or not."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from hookloop.exchange import Headers, ResponseHead
from hookloop.tunnel.body_tally import BodyTally
from hookloop.tunnel.catch.box import Answered, Broken, Down
from hookloop.tunnel.wire.messages import Request, ResetCode

if TYPE_CHECKING:
    from .link import Link

__all__ = ["TunnelApp"]

DETAIL_BYTES_MAX = 200
"""Of an answer, for the record."""

ANSWER_SECONDS_MAX = 330.0
"""Agents give their upstream 300 s; one that says nothing after that has lost the stream."""


class TunnelApp:
    """A `catch.box.App` behind whatever link *link_of* returns at the moment."""

    def __init__(self, link_of: "Callable[[], Link | None]") -> None:
        self._link_of = link_of

    async def is_up(self) -> bool:
        return self._link_of() is not None

    async def send(self, request: Request, body: bytes) -> Answered | Broken | Down:
        link = self._link_of()
        if link is None:
            return Down("no agent is there")
        caller = _CaughtCaller(link)
        tally = BodyTally()
        tally.add(body)
        stream = link.open_stream(request, b"", caller, is_ended=not body)
        if stream is None:
            return Broken("the agent takes no more at the moment")
        caller.stream = stream
        if body:
            link.send_data(stream, body)
            link.end_stream(stream, digest=tally.digest())
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await caller.outcome
        except TimeoutError:
            return Broken(f"no answer within {ANSWER_SECONDS_MAX:g} s")
        finally:
            link.cancel(stream, "nobody waits for it any more")


class _CaughtCaller:
    """A `link.AnsweredCaller` that is long gone: nobody reads the answer."""

    def __init__(self, link: "Link") -> None:
        self.outcome: asyncio.Future[Answered | Broken | Down] = (
            asyncio.get_running_loop().create_future()
        )
        self.stream = 0
        self._link = link
        self._status = 0
        self._detail = b""

    def response_head(
        self,
        head: ResponseHead,
        body: bytes,
        *,
        is_ended: bool,
        digest: bytes,  # noqa: ARG002  # nobody compares: the answer ends here
    ) -> None:
        if head.status >= 200:
            self._status = head.status
            self._take(body, is_ended=is_ended)

    def response_data(
        self,
        data: bytes,
        *,
        is_ended: bool,
        digest: bytes,  # noqa: ARG002  # the same
    ) -> None:
        self._take(data, is_ended=is_ended)

    def response_trailers(self, _trailers: Headers) -> None:
        self._take(b"", is_ended=True)

    def stream_reset(self, code: ResetCode, message: str) -> None:
        if self._status:
            self._take(b"", is_ended=True)
        elif not self.outcome.done():
            # The agent is there and its app is not: to be asked again, and not by its port.
            self.outcome.set_result(Broken(message or code.name.lower()))

    def may_send_again(self) -> None:
        """It has all been sent."""

    def _take(self, data: bytes, *, is_ended: bool) -> None:
        self._detail += data[: DETAIL_BYTES_MAX - len(self._detail)]
        if data:
            self._link.consumed(self.stream, len(data))
        if is_ended and not self.outcome.done():
            detail = self._detail.decode(errors="replace")
            self.outcome.set_result(Answered(self._status, detail))
