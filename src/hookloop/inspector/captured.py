"""One captured exchange as it is stored, and the line of a list that stands for it. Pure."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from hookloop.exchange import Objection, RequestHead, ResponseHead

__all__ = ["NO_BODY", "Captured", "CapturedBody", "Summary", "WebhookFacts", "capture_id"]

_DIGEST_OF_NOTHING = sha256().digest()
_NUMBERS = 1 << 20  # of captures in one millisecond, before two could be one


def capture_id(wall: float, number: int) -> str:
    """Return an id that sorts by time; *number* keeps those of one millisecond apart."""
    return f"cap_{int(wall * 1000):011x}{number % _NUMBERS:05x}"


class WebhookFacts(NamedTuple):
    """What a request says of itself where it is a webhook; nothing of it is verified."""

    provider: str
    """``stripe``, ``github``, ...; ``other`` where only its shape says that it is one."""
    event_type: str = ""
    event_id: str = ""
    """The same for every attempt of an event."""
    object_id: str = ""
    """Of what the event is about."""


@dataclass(frozen=True, slots=True)
class CapturedBody:
    """A body as far as it was kept."""

    data: bytes = field(default=b"", repr=False)
    """Bit for bit as it passed; only the beginning where `is_whole` is false."""
    length: int = 0
    """Of all that passed."""
    digest: bytes = _DIGEST_OF_NOTHING
    """SHA-256 of all that passed."""

    @property
    def is_whole(self) -> bool:
        return len(self.data) == self.length

    @property
    def is_as_passed(self) -> bool:
        """The kept bytes are, bit for bit, those that passed: whole, and no secret taken out."""
        return self.is_whole and sha256(self.data).digest() == self.digest


NO_BODY = CapturedBody()


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """An exchange that was kept."""

    id: str
    """Sorts by time; unique in a store."""
    tunnel: str
    """The tunnel's name; empty for one that was imported."""
    kind: str = "http"
    """What the tunnel carries."""
    remote: str = ""
    """The caller's address, ``host:port``."""
    started_at: float
    """Unix seconds when the request head was complete at the agent."""
    connected_seconds: float | None = None
    """From then until the upstream's connection was there; None where it never was."""
    responded_seconds: float | None = None
    """From then until the head of the answer was complete."""
    duration_seconds: float = 0.0
    """From then until the last byte of the answer."""
    request: RequestHead
    request_body: CapturedBody = NO_BODY
    response: ResponseHead | None = None
    """None where the exchange ended before any answer."""
    response_body: CapturedBody = NO_BODY
    failure: str | None = None
    """Why it was cut short; None where it ran to its end."""
    objection: Objection | None = None
    """Why the agent answered in place of the upstream."""
    is_exact: bool | None = None
    """Both bodies came through the tunnel bit for bit; None where the other side did not say."""
    webhook: WebhookFacts | None = None
    """None where the request is no webhook."""
    origin: str | None = None
    """The id of the exchange that this one is a replay of."""
    note: str = ""
    """What the replay changed, in a few words."""
    redacted: tuple[str, ...] = ()
    """What was taken out before it was kept, as ``header:cookie``."""

    @property
    def status(self) -> int | None:
        return self.response.status if self.response is not None else None

    def summary(self, seq: int = 0) -> "Summary":
        """Return the line that stands for it in a list."""
        facts = self.webhook or WebhookFacts("")
        return Summary(
            seq=seq,
            id=self.id,
            started_at=self.started_at,
            tunnel=self.tunnel,
            kind=self.kind,
            remote=self.remote,
            method=self.request.method.decode("latin-1"),
            target=self.request.target.decode("latin-1"),
            status=self.status,
            duration_seconds=self.duration_seconds,
            request_bytes=self.request_body.length,
            response_bytes=self.response_body.length,
            failure=self.failure,
            objection=self.objection.code if self.objection is not None else None,
            provider=facts.provider,
            event_type=facts.event_type,
            event_id=facts.event_id,
            object_id=facts.object_id,
            origin=self.origin,
            note=self.note,
        )


class Summary(NamedTuple):
    """A line of a list: all of a `Captured` but heads and bodies."""

    seq: int
    """Its place in the store: the larger, the later it ended."""
    id: str
    started_at: float
    tunnel: str
    kind: str
    remote: str
    method: str
    target: str
    status: int | None
    duration_seconds: float
    request_bytes: int
    response_bytes: int
    failure: str | None
    objection: str | None
    provider: str
    """Empty where it is no webhook."""
    event_type: str
    event_id: str
    object_id: str
    origin: str | None
    note: str
