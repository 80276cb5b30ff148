"""A request as Stripe sends it, and a case around what became of it."""

import json
from typing import Any

from hookloop.doctor import Case
from hookloop.signing import stripe_signature_header

NOW = 1_800_000_000
SECRET = "whsec_4fZq0d1HkcS9vJx7"
OTHER = "whsec_bT2mWn8eYpLr6uKa"
EVENT: dict[str, Any] = {
    "id": "evt_1Abc",
    "object": "event",
    "api_version": "2026-10-28.endive",
    "created": NOW,
    "data": {
        "object": {
            "id": "cus_1",
            "object": "customer",
            "balance": 0,
            "description": "Zoë <z@example.com> & Søn, 50% off",
            "discount": 8.5,
            "url": "https://example.com/a",
        }
    },
    "livemode": False,
    "type": "customer.updated",
}
BODY = json.dumps(EVENT, indent=2, ensure_ascii=False).encode()


def signature(body: bytes = BODY, *secrets: str, signed_at: int = NOW) -> str:
    return stripe_signature_header(body, secrets or [SECRET], signed_at=signed_at)


def case(
    body: bytes = BODY,
    signature_header: str | None = None,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    secrets: dict[str, str] | None = None,
    **others: Any,
) -> Case:
    """Return a case whose signature was made of `BODY` with `SECRET`, unless told otherwise."""
    signed = ("Stripe-Signature", signature_header or signature())
    return Case(
        body=body,
        headers=(signed, *headers),
        secrets={"live": SECRET} if secrets is None else secrets,
        now=others.pop("now", NOW + 1.0),
        **others,
    )
