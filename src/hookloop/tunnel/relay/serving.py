"""The exchange that a caller's connection is serving, as the relay keeps it."""

from dataclasses import dataclass, field

from hookloop.exchange import Exchange, RequestHead, ResponseHead
from hookloop.tunnel.body_tally import BodyTally
from hookloop.tunnel.log_values import Values

from .link import Link
from .response import ResponseWriter

__all__ = ["Serving"]

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
    link: Link | None = None
    stream: int | None = None
    response: ResponseHead | None = None
    responded: float | None = None
    request_body: BodyTally = field(default_factory=BodyTally)
    response_body: BodyTally = field(default_factory=BodyTally)
    drained_bytes: int = 0
    """Of a request that nobody wants the rest of."""
    has_body: bool = False
    is_request_ended: bool = False
    is_response_ended: bool = False
    refused: str = ""
    """The code of the relay's own answer, where it gave one."""

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
