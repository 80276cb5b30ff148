"""Signatures of other senders: a webhook that is not Stripe's at all."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from .case import Case
from .finding import Finding, likely, proved
from .known_secrets import SECRETS_MAX

__all__ = ["check_other_schemes"]


@dataclass(frozen=True, slots=True)
class _Scheme:
    sender: str
    header: str
    expected: Callable[[Case, bytes], str]
    """The digest, given a key: what one of the header's words ends with if it fits."""
    provider: str


def _standard(prefix: str) -> Callable[[Case, bytes], str]:
    def expected(case: Case, secret: bytes) -> str:
        id_ = case.value(f"{prefix}-id") or ""
        time = case.value(f"{prefix}-timestamp") or ""
        signed = f"{id_}.{time}.".encode("utf-8", "replace") + case.body
        try:
            key = base64.b64decode(secret.removeprefix(b"whsec_"), validate=True)
        except (ValueError, binascii.Error):
            key = secret
        return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()

    return expected


def _github(case: Case, secret: bytes) -> str:
    return hmac.digest(secret, case.body, hashlib.sha256).hex()


def _shopify(case: Case, secret: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, case.body, hashlib.sha256)).decode()


def _slack(case: Case, secret: bytes) -> str:
    time = (case.value("x-slack-request-timestamp") or "").encode("utf-8", "replace")
    return hmac.digest(secret, b"v0:%b:%b" % (time, case.body), hashlib.sha256).hex()


_SCHEMES = (
    _Scheme("Standard Webhooks", "webhook-signature", _standard("webhook"), "StandardWebhooks"),
    _Scheme("Svix", "svix-signature", _standard("svix"), "StandardWebhooks"),
    _Scheme("GitHub", "x-hub-signature-256", _github, "GitHub"),
    _Scheme("Shopify", "x-shopify-hmac-sha256", _shopify, "Shopify"),
    _Scheme("Slack", "x-slack-signature", _slack, "Slack"),
)


def check_other_schemes(case: Case) -> list[Finding]:
    """Return whose signature the request carries, if it is another sender's; proved by HMAC."""
    for scheme in _SCHEMES:
        header = case.value(scheme.header)
        if header is None:
            continue
        label = _signer(scheme, case, header)
        fits = "" if label is None else f", signed with the secret '{label}'"
        return [
            (likely if label is None else proved)(
                "other_provider",
                f"this is a webhook of {scheme.sender}{fits}, not one of Stripe",
                f"send it to a route of its own with ProviderHooks for {scheme.provider}",
            )
        ]
    return []


def _signer(scheme: _Scheme, case: Case, header: str) -> str | None:
    words = header.split()
    for label, secret in list(case.secrets.items())[:SECRETS_MAX]:
        key = secret.strip().encode("utf-8", "surrogateescape")
        expected = scheme.expected(case, key)
        if any(
            word.removeprefix("v1,").rpartition("sha256=")[2].removeprefix("v0=") == expected
            for word in words
        ):
            return label
    return None
