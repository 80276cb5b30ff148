"""
All rules about a webhook request, as one pure function: bytes and headers in, a verdict out.

Verify first, parse after: a body nobody signed is never looked into.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hookloop.errors import SignatureError
from hookloop.signing import verify_stripe

from .event import Event, PayloadError, parse_event

__all__ = ["BODY_BYTES_MAX", "Accepted", "HeadersLike", "Rejected", "judge"]

BODY_BYTES_MAX = 1024 * 1024  # Stripe's largest events are some hundred KB

HeadersLike: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Signed by one of our secrets, and an event."""

    event: Event
    secret: int
    """The index of the secret that signed it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Not to be handled. The reason is for logs; the sender only sees the outcome."""

    status: int
    outcome: str
    reason: str


def judge(
    body: bytes,
    headers: HeadersLike,
    secrets: Sequence[str],
    *,
    now: float,
    tolerance: float,
    body_bytes_max: int,
) -> Accepted | Rejected:
    """Judge a request; *now* is Unix seconds. Never raises, whatever *body* and *headers* hold."""
    if len(body) > body_bytes_max:
        return Rejected(413, "body_too_large", f"the body is over {body_bytes_max} bytes")
    signature, length = _headers_of_interest(headers)
    if not body and length not in ("", "0"):
        return Rejected(
            500,
            "raw_body_unavailable",
            f"the request announced {length} bytes and its body is empty here: a middleware has "
            "read it before. Mount the handler outside of what reads bodies, or pass the raw bytes",
        )
    try:
        secret = verify_stripe(body, signature, secrets, now=now, tolerance=tolerance)
        event = parse_event(body)
    except SignatureError as error:
        return Rejected(400, "invalid_signature", f"{error.reason}: {error}")
    except PayloadError as error:
        return Rejected(400, "invalid_payload", str(error))
    return Accepted(event, secret)


def _headers_of_interest(headers: HeadersLike) -> tuple[str, str]:
    """Return Stripe-Signature, several of them joined by commas, and Content-Length."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    signatures = []
    length = ""
    for name, value in pairs:
        lowered = _text(name).lower()
        if lowered == "stripe-signature":
            signatures.append(_text(value))
        elif lowered == "content-length":
            length = _text(value).strip()
    return ",".join(signatures), length


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
