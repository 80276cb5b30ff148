"""A webhook request as Stripe sends it: the body's bytes, and the headers that vouch for them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.signing import stripe_signature_header

__all__ = ["SECRET", "SignedRequest", "sign", "sign_standard"]

SECRET = "whsec_hookloop_testing"  # noqa: S105  # known to everyone, for tests alone


class SignedRequest:
    """
    The raw body, and the headers that go with it: pairs, as one may come twice.

    Both can be changed, for a test of what was tampered with. The repr shows neither.
    """

    __slots__ = ("body", "headers")

    def __init__(self, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.body = body
        self.headers = headers

    def header(self, name: str) -> str | None:
        """Return the first value of the header *name*, in whatever case; None without one."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def __repr__(self) -> str:
        return f"<SignedRequest {len(self.body)} bytes>"


def sign(
    event: Mapping[str, Any] | bytes,
    secret: str | Sequence[str] = SECRET,
    *,
    signed_at: float | None = None,
    clock: Clock | None = None,
) -> SignedRequest:
    """
    Return *event* as Stripe sends it, signed with *secret*.

    An event is printed as Stripe prints it, with two spaces a level; bytes go as they are,
    whatever they hold. Several secrets give a signature each, as while one is being rolled.
    *signed_at*: Unix seconds; by default now, by *clock*, which is the machine's unless a test
    gives a `ManualClock` here and to its `Hooks`. Raises `ConfigError` for an event that is
    no JSON, and without a secret.
    """
    secrets = [secret] if isinstance(secret, str) else [*secret]
    if not all(secrets) or not secrets:
        raise ConfigError("sign() needs a secret, such as whsec_test, and was given an empty one")
    body = event if isinstance(event, bytes) else _printed(event)
    at = int((clock or SystemClock()).wall() if signed_at is None else signed_at)
    return SignedRequest(
        body,
        [
            ("Content-Type", "application/json; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
            ("Accept", "*/*; q=0.5, application/xml"),
            ("Cache-Control", "no-cache"),
            ("Stripe-Signature", stripe_signature_header(body, secrets, signed_at=at)),
        ],
    )


def sign_standard(
    event: Mapping[str, Any] | bytes,
    secret: str,
    *,
    id: str,  # noqa: A002  # the specification's own name
    signed_at: float | None = None,
    clock: Clock | None = None,
) -> SignedRequest:
    """
    Return *event* as a sender that follows Standard Webhooks sends it.

    *secret*: ``whsec_`` and base64, or the private key ``whsk_`` and base64, whose public key
    your hooks have. *id*: ``webhook-id``, the same for every attempt. Otherwise as `sign`.
    Raises `ConfigError` for a secret that is no base64.
    """
    from hookloop.events.providers import standard

    body = event if isinstance(event, bytes) else _printed(event)
    at = int((clock or SystemClock()).wall() if signed_at is None else signed_at)
    if secret.startswith("whsk_"):
        signature = f"v1a,{standard.sign_standard_by_key(body, secret, id=id, signed_at=at)}"
    else:
        standard.StandardWebhooks().check_secret(secret)
        signature = f"v1,{standard.sign_standard(body, secret, id=id, signed_at=at)}"
    return SignedRequest(
        body,
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("webhook-id", id),
            ("webhook-timestamp", str(at)),
            ("webhook-signature", signature),
        ],
    )


def _printed(event: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(event, indent=2, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the event cannot be printed as JSON ({error}): give it plain dicts, lists, text, "
            "numbers, True, False and None"
        ) from None
