"""The exchange that a caller's connection is serving, as the relay keeps it."""

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hookloop.exchange import Exchange, RequestHead, ResponseHead
from hookloop.tunnel.body_tally import BodyTally
from hookloop.tunnel.log_values import Values
from hookloop.tunnel.wire.messages import Request

from .front import Front
from .link import Link
from .request_reader import HeadRead
from .response import ResponseWriter

if TYPE_CHECKING:
    from .catch_link import CatchLink
    from .waiting import WaitingCaller, WaitingLink

__all__ = ["Serving"]

access_logger = logging.getLogger("hookloop.relay.access")

PATH_BYTES_MAX = 200  # of a log line


@dataclass(slots=True)
class Serving:
    """One request and its answer, from the complete request head on."""

    request: RequestHead
    writer: ResponseWriter
    started: float
    """Monotonic seconds."""
    remote: str
    """The caller's address, ``host:port``."""
    tunnel: str = ""
    """Empty while it leads to no tunnel."""
    link: "Link | CatchLink | WaitingLink | None" = None
    stream: int | None = None
    response: ResponseHead | None = None
    responded: float | None = None
    request_body: BodyTally = field(default_factory=BodyTally)
    response_body: BodyTally = field(default_factory=BodyTally)
    asked: bytes = b""
    """The protocols it asks to change to, as they were passed on; empty for none."""
    drained_bytes: int = 0
    """Of a request that nobody wants the rest of."""
    has_body: bool = False
    is_request_ended: bool = False
    is_response_ended: bool = False
    refused: str = ""
    """The code of the relay's own answer, where it gave one."""

    def open_stream(
        self, link: "Link | CatchLink | WaitingLink", read: HeadRead, caller: "WaitingCaller"
    ) -> int | None:
        """
        Pass the request on; None when the agent takes no more now.

        Raises `LocalError` for a head that the wire does not carry.
        """
        head = self.request
        if self.asked:
            head = RequestHead(head.method, head.target, (*head.headers, (b"Upgrade", self.asked)))
            return link.open_upgrade(Request(self.tunnel, self.remote, head), caller)
        return link.open_stream(
            Request(self.tunnel, self.remote, head),
            read.body,
            caller,
            is_ended=read.is_ended or not self.has_body,
            digest=self.request_body.digest() if read.is_ended else b"",
        )

    def leave_stream(self, why: str) -> None:
        """Nobody wants the answer any more."""
        if self.link is not None and self.stream is not None:
            self.link.cancel(self.stream, why)

    def values(self, *, now: float, failure: str | None) -> Values:
        """Return what an access log holds: no query, no header, no body."""
        path = self.request.target.partition(b"?")[0][:PATH_BYTES_MAX]
        return Values(
            tunnel=self.tunnel or None,
            remote=self.remote,
            method=self.request.method.decode("latin-1"),
            path=path.decode("latin-1"),
            status=self.response.status if self.response is not None else None,
            code=self.refused or None,
            bytes_in=self.request_body.length,
            bytes_out=self.response_body.length,
            seconds=round(now - self.started, 6),
            failure=failure,
        )

    def tell(self, front: Front, failure: str | None) -> None:
        """It has ended: count it, log it where that is wanted, and hand it to whoever captures."""
        now = front.clock.monotonic()
        front.counts.exchange(
            self.response.status if self.response is not None else None,
            now - self.started,
            bytes_in=self.request_body.length,
            bytes_out=self.response_body.length,
        )
        if front.config.access_log:
            access_logger.info("exchange %s", self.values(now=now, failure=failure))
        if self.tunnel:
            front.sink.captured(self.captured(now=now, failure=failure))

    def captured(self, *, now: float, failure: str | None) -> Exchange:
        """Return what there is to tell of it, at its end."""
        return Exchange(
            hop="relay",
            tunnel=self.tunnel,
            remote=self.remote,
            request=self.request,
            response=self.response,
            request_body_bytes=self.request_body.length,
            response_body_bytes=self.response_body.length,
            started=self.started,
            responded=self.responded,
            ended=now,
            failure=failure,
            request_digest=self.request_body.digest(),
            response_digest=self.response_body.digest(),
            response_digest_told=self.response_body.told,
        )
