"""
One HTTP exchange as a value: the noun that relay, agent and inspector share.

Header names and values are bytes, in the order and case they arrived in, and
duplicates stay apart: signatures and debugging both depend on it.

Several of these are made for every request that passes, and a NamedTuple is made in half the
time that a frozen dataclass takes.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = [
    "CaptureSink",
    "Exchange",
    "Headers",
    "Objection",
    "RequestHead",
    "ResponseHead",
    "discard",
]

Headers = tuple[tuple[bytes, bytes], ...]


class RequestHead(NamedTuple):
    """All of a request but its body."""

    method: bytes
    """``GET``, ``POST``, ...: as sent, upper case."""
    target: bytes
    """Origin form: path and query, as sent."""
    headers: Headers
    """Without the ones that speak of a single connection (RFC 9110 section 7.6.1)."""

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of the header *name* (lower case), or None."""
        return _first(self.headers, name)


class ResponseHead(NamedTuple):
    """All of a response but its body."""

    status: int
    """100 to 599."""
    reason: bytes
    """The phrase after the status; may be empty."""
    headers: Headers

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of the header *name* (lower case), or None."""
        return _first(self.headers, name)


class Objection(NamedTuple):
    """Why a hop answered a request itself and did not pass it on."""

    status: int
    """What the caller was answered: 401, 403, 413 ..."""
    code: str
    """A fixed word, fit for a filter: ``ip_refused``."""
    message: str
    """A sentence for the caller; it gives nothing away."""
    reasons: tuple[str, ...] = ()
    """For the tunnel's owner alone: what is wrong with the request, and what to do about it."""


class Exchange(NamedTuple):
    """A finished exchange as one hop saw it; times are monotonic seconds of that process."""

    hop: str
    """Who reports it: ``relay`` or ``agent``."""
    tunnel: str
    """The tunnel's name, the first label of its public host."""
    remote: str
    """The downstream caller's address, ``host:port``."""
    request: RequestHead
    response: ResponseHead | None
    """None where the exchange ended before any final response head."""
    request_body_bytes: int
    response_body_bytes: int
    started: float
    """When the request head was complete at this hop."""
    responded: float | None
    """When the final response head was complete at this hop."""
    ended: float
    failure: str | None
    """Why the exchange was cut short, in a few words; None where it ran to its end."""
    objection: Objection | None = None
    """Why the hop answered in place of the upstream; None where it passed the request on."""
    request_digest: bytes = b""
    """SHA-256 of the request's body, as it passed this hop."""
    response_digest: bytes = b""
    request_digest_told: bytes = b""
    """The same as the relay read it from the caller; empty where this hop is the relay."""
    response_digest_told: bytes = b""
    """The same as the agent read it from the upstream; empty where this hop is the agent."""

    request_body: bytes = b""
    """The request's body at the agent, where it is short, as a webhook's is; else empty."""
    connected: float | None = None
    """When the agent had a connection to the upstream; None at the relay, or where it had none."""
    request_kept: Sequence[bytes] = ()
    """The pieces of the request's body, up to what the agent was told to hold on to."""
    response_kept: Sequence[bytes] = ()

    @property
    def duration(self) -> float:
        """Seconds from the complete request head to the last byte of the response."""
        return self.ended - self.started

    @property
    def kept_bytes(self) -> int:
        """Bytes of both bodies that this value holds on to."""
        return sum(map(len, self.request_kept)) + sum(map(len, self.response_kept))

    @property
    def is_exact(self) -> bool | None:
        """
        The body that came through the tunnel is, bit for bit, the one that went in.

        None where the other side did not say what went in: it was cut, or has no body.
        """
        pairs = (
            (self.request_digest, self.request_digest_told),
            (self.response_digest, self.response_digest_told),
        )
        told = [(here, there) for here, there in pairs if there]
        return all(here == there for here, there in told) if told else None


class CaptureSink(Protocol):
    """
    Takes each finished exchange of a hop.

    The caller's duty: `captured` must return at once and never raise, because it
    runs on the path of live traffic.
    """

    def captured(self, exchange: Exchange) -> None: ...


class _Discard:
    def captured(self, exchange: Exchange) -> None:
        """Keep nothing."""


discard: CaptureSink = _Discard()
"""The sink for those who look at nothing."""


def _first(headers: Headers, name: bytes) -> bytes | None:
    length = len(name)  # compared first: most names differ in it, and lower-casing costs more
    for key, value in headers:
        if len(key) == length and key.lower() == name:
            return value
    return None
