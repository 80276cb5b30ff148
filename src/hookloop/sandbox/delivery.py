"""
Deliveries: who is owed an event, what is sent, and what an attempt's outcome means.

A delivery is one event owed to one endpoint. It is pending until an attempt is
answered with 2xx, the retry schedule is exhausted, or its endpoint is deleted or
disabled. See https://docs.stripe.com/webhooks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from hookloop.schedule import RetrySchedule, Verdict, verdict_on
from hookloop.signing import sign_stripe, stripe_signature_header

from .pretty import pretty

__all__ = [
    "EXCERPT_CHARS_MAX",
    "Attempt",
    "Delivery",
    "DeliveryState",
    "abandoned",
    "after_attempt",
    "attempted",
    "copied",
    "delivery_headers",
    "delivery_payload",
    "overflowed",
    "owed_endpoints",
    "pending_webhooks",
    "redelivered",
    "signing_secrets",
    "visible_delivery",
]

EXCERPT_CHARS_MAX = 500  # Enough for an error sentence; a stack trace page is not kept.

ALL_EVENTS = "*"


class DeliveryState(Enum):
    """Where a delivery stands; only `PENDING` ever changes."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """The schedule is exhausted, or too many deliveries were waiting already."""
    ABANDONED = "abandoned"
    """The endpoint was deleted or disabled before it took the event."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP try of a delivery; times are Unix seconds."""

    number: int
    """1 for the first."""
    started: float
    duration_seconds: float
    status: int | None
    """The response's status; None where none came."""
    error: str | None
    """Why none came, in a few words."""
    excerpt: str
    """How the response body begins."""
    next_attempt: float | None
    """When the next try is due; None where there is none."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event owed to one endpoint."""

    event_id: str
    endpoint_id: str
    state: DeliveryState = DeliveryState.PENDING
    attempts: tuple[Attempt, ...] = ()
    next_attempt: float | None = None
    """When it is due, in Unix seconds; None for at once, and for no more."""
    reason: str | None = None
    """Why it was given up, where no attempt tells."""
    url: str | None = None
    """Where it went, where no endpoint tells: to whom Stripe's command line forwards."""


def owed_endpoints(event_type: str, endpoints: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids of *endpoints* that an event of *event_type* is owed to."""
    return [
        endpoint["id"]
        for endpoint in endpoints
        if endpoint["status"] == "enabled"
        and not endpoint["connect"]  # these get the events of connected accounts only
        and not {ALL_EVENTS, event_type}.isdisjoint(endpoint["enabled_events"])
    ]


def pending_webhooks(deliveries: Iterable[Delivery]) -> int:
    """Return how many endpoints have yet to take the event; those long gone do not count."""
    settled = {DeliveryState.DELIVERED, DeliveryState.ABANDONED}
    return sum(delivery.state not in settled for delivery in deliveries)


def attempted(
    delivery: Delivery,
    schedule: RetrySchedule,
    *,
    started: float,
    duration_seconds: float,
    status: int | None,
    error: str | None,
    excerpt: str,
) -> Delivery:
    """Return *delivery* after one more attempt with this outcome."""
    number = len(delivery.attempts) + 1
    delivered = verdict_on(status) is Verdict.DELIVERED
    again = None
    if not delivered:
        again = schedule.next_attempt(attempts=number, ended=started + duration_seconds)
    attempt = Attempt(
        number, started, duration_seconds, status, error, excerpt[:EXCERPT_CHARS_MAX], again
    )
    return replace(
        delivery,
        state=_state(delivered, again),
        attempts=(*delivery.attempts, attempt),
        next_attempt=again,
    )


def copied(delivery: Delivery, *, like: Delivery) -> Delivery:
    """Return *delivery* with the last attempt of *like* on record, which decides nothing."""
    last = like.attempts[-1]
    attempt = replace(last, number=len(delivery.attempts) + 1, next_attempt=None)
    return replace(delivery, attempts=(*delivery.attempts, attempt))


def redelivered(delivery: Delivery) -> Delivery:
    """Return *delivery* as owed again, at once; its attempts so far stay on record."""
    return replace(delivery, state=DeliveryState.PENDING, next_attempt=None, reason=None)


def abandoned(delivery: Delivery, reason: str) -> Delivery:
    """Return *delivery* as nothing owed any more, because its endpoint is gone: *reason*."""
    return replace(delivery, state=DeliveryState.ABANDONED, next_attempt=None, reason=reason)


def overflowed(delivery: Delivery, reason: str) -> Delivery:
    """Return *delivery* given up though it is owed, because a limit was reached: *reason*."""
    return replace(delivery, state=DeliveryState.FAILED, next_attempt=None, reason=reason)


def signing_secrets(endpoint: Mapping[str, Any], *, now: float) -> list[str]:
    """Return what an attempt is signed with at *now*: after a roll, the old secret for a while."""
    secrets = [endpoint["secret"]]
    if endpoint.get("old_secret") is not None and now < endpoint["old_secret_until"]:
        secrets.append(endpoint["old_secret"])
    return secrets


def after_attempt(
    endpoint: Mapping[str, Any], *, is_delivered: bool, now: float, disable_after: float
) -> dict[str, Any] | None:
    """
    Return *endpoint* as an attempt leaves it, or None where it stays as it was.

    One that has taken nothing for *disable_after* seconds is disabled, as Stripe does to one that
    fails for days.
    """
    since = endpoint.get("failing_since")
    if is_delivered:
        return None if since is None else {**endpoint, "failing_since": None}
    if since is None:
        return {**endpoint, "failing_since": now}
    if now - since < disable_after or endpoint["status"] != "enabled":
        return None
    return {**endpoint, "status": "disabled"}


def visible_delivery(delivery: Delivery, endpoint: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return *delivery* as it is shown; Stripe shows it in its dashboard only."""
    return {
        "object": "hookloop.delivery",
        "event": delivery.event_id,
        "webhook_endpoint": delivery.endpoint_id,
        "url": delivery.url if endpoint is None else endpoint["url"],
        "state": delivery.state.value,
        "reason": delivery.reason,
        "next_attempt": delivery.next_attempt,
        "attempts": [asdict(attempt) for attempt in delivery.attempts],
    }


def delivery_payload(event: Mapping[str, Any], *, api_version: str, pending: int) -> bytes:
    """Return the body: the event in the endpoint's API version, printed as Stripe prints it."""
    return pretty({**event, "api_version": api_version, "pending_webhooks": pending}).encode()


def delivery_headers(payload: bytes, secrets: Sequence[str], *, signed_at: int) -> dict[str, str]:
    """
    Return the headers of one attempt.

    Each attempt signs anew at its own time: Stripe's clients refuse a signature
    that is five minutes old, and a retry comes later than that.
    """
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Accept": "*/*; q=0.5, application/xml",
        "Cache-Control": "no-cache",
        "Stripe-Signature": f"{stripe_signature_header(payload, secrets, signed_at=signed_at)}"
        f",v0={_test_signature(payload, signed_at)}",
    }


def _state(delivered: bool, again: float | None) -> DeliveryState:
    if delivered:
        return DeliveryState.DELIVERED
    return DeliveryState.FAILED if again is None else DeliveryState.PENDING


def _test_signature(payload: bytes, signed_at: int) -> str:
    """
    Return the ``v0`` of test mode, which proves nothing.

    Stripe adds it so that a receiver who accepts any scheme is found out; ours is
    keyed with a word everyone knows.
    """
    return sign_stripe(payload, "v0", signed_at=signed_at)
