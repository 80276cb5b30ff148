"""An endpoint of a customer of yours: its URL, its secrets, what it wants. Pure."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from hookloop.errors import ConfigError
from hookloop.events.providers.standard import (
    sign_standard,
    sign_standard_by_key,
    standard_public_key,
)

from .guard import AddressGuard

__all__ = [
    "SECRETS_MAX",
    "TARGET_PREFIX",
    "Endpoint",
    "Secret",
    "check_secret",
    "check_url",
    "headers_of",
    "rotated",
    "secret_from",
    "wants",
]

SECRETS_MAX = 4
"""Each is one signature in the header of each attempt; receivers stop reading after a few."""

SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64  # Standard Webhooks' own bounds

URL_CHARACTERS_MAX = 2048
TARGET_PREFIX = "endpoint:"
PRIVATE_PREFIX = "whsk_"
ALL_EVENTS = "*"


@dataclass(frozen=True, slots=True)
class Secret:
    """Signs what is sent to an endpoint, until it is out of use."""

    value: str = field(repr=False)
    """``whsec_`` and base64; or a private key, ``whsk_`` and base64, for Ed25519."""
    until: float | None = None
    """Unix seconds; None is the one in use."""

    @property
    def for_receiver(self) -> str:
        """What the receiver verifies by: the secret itself, or ``whpk_``, the key's public half."""
        is_private = self.value.startswith(PRIVATE_PREFIX)
        return standard_public_key(self.value) if is_private else self.value


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registered URL that receives messages."""

    id: str
    """``ep_...``"""
    url: str
    secrets: tuple[Secret, ...] = field(repr=False)
    account: str = ""
    enabled_events: tuple[str, ...] = (ALL_EVENTS,)
    """Types, namespaces such as ``invoice.*``, or ``*`` for all."""
    disabled_at: float | None = None
    disabled_reason: str = ""
    failing_since: float | None = None
    """Of the first failure that no success has followed; None where it is well."""

    @property
    def target(self) -> str:
        """Its name in the ledger."""
        return TARGET_PREFIX + self.id

    @property
    def is_enabled(self) -> bool:
        return self.disabled_at is None


def wants(endpoint: Endpoint, *, account: str, type_: str) -> bool:
    """Return whether a message of *account* and *type_* is owed to *endpoint*."""
    return (
        endpoint.is_enabled
        and endpoint.account == account
        and any(_fits(pattern, type_) for pattern in endpoint.enabled_events)
    )


def headers_of(endpoint: Endpoint, body: bytes, *, message_id: str, now: float) -> dict[str, str]:
    """
    Return the headers of one attempt, signed for *now* with each secret that is in force.

    A receiver refuses what was signed five minutes ago, and a retry comes later than that: each
    attempt signs anew, under the same ``webhook-id``.
    """
    signed_at = int(now)
    signatures = []
    for secret in in_force(endpoint.secrets, now=now):
        if secret.value.startswith(PRIVATE_PREFIX):
            signature = sign_standard_by_key(body, secret.value, id=message_id, signed_at=signed_at)
            signatures.append(f"v1a,{signature}")
        else:
            digest = sign_standard(body, secret.value, id=message_id, signed_at=signed_at)
            signatures.append(f"v1,{digest}")
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(signed_at),
        "webhook-signature": " ".join(signatures),
    }


def in_force(secrets: Iterable[Secret], *, now: float) -> list[Secret]:
    return [secret for secret in secrets if secret.until is None or now < secret.until]


def rotated(endpoint: Endpoint, new: str, *, now: float, overlap_seconds: float) -> Endpoint:
    """
    Return *endpoint* with the secret *new*; those in force sign along for *overlap_seconds*.

    Raises `ConfigError` where that makes more than `SECRETS_MAX`.
    """
    check_secret(new)
    until = now + overlap_seconds
    old = [
        Secret(secret.value, until if secret.until is None else min(secret.until, until))
        for secret in in_force(endpoint.secrets, now=now)
        if secret.value != new
    ]
    if len(old) >= SECRETS_MAX:
        raise ConfigError(
            f"{endpoint.id} has {len(old)} secrets in force: wait until one is out of use, or "
            "rotate with an overlap of 0"
        )
    return replace(endpoint, secrets=(Secret(new), *old))


def secret_from(random_bytes: bytes, *, like: str = "whsec_") -> str:
    """Return *random_bytes*, 32 for a private key, as a secret of the kind of *like*."""
    prefix = PRIVATE_PREFIX if like.startswith(PRIVATE_PREFIX) else "whsec_"
    return prefix + base64.b64encode(random_bytes).decode()


def check_secret(secret: str) -> None:
    """Raise `ConfigError` where *secret* cannot sign. The message never holds it."""
    kind, _, text = secret.partition("_")
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if kind == "whsk" and len(raw) in (32, 64):
        return
    if kind != "whsec" or not SECRET_BYTES_MIN <= len(raw) <= SECRET_BYTES_MAX:
        raise ConfigError(
            f"an endpoint's secret is whsec_ and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in "
            "base64, or a private key, whsk_: leave it out, and one is made"
        )


def check_url(url: str, *, guard: AddressGuard, allow_http: bool) -> None:
    """Raise `ConfigError` where nothing would ever be sent to *url*, and say why."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("an endpoint's URL cannot be read: give https://host/path") from None
    if not host or len(url) > URL_CHARACTERS_MAX or not url.isprintable() or " " in url:
        raise ConfigError("an endpoint's URL cannot be read: give https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ConfigError(f"the URL of {host} holds a user, a password or a #: leave them out")
    if parts.scheme == "http" and not allow_http:
        raise ConfigError(
            f"the URL of {host} is http, and anyone on the way could read and change what is "
            "sent: use https, or allow_http for development"
        )
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"the URL of {host} is {parts.scheme}: give https://host/path")
    if refusal := guard.refusal_of_name(host):
        raise ConfigError(f"the URL of {host} cannot be used: {refusal}")


def _fits(pattern: str, type_: str) -> bool:
    if pattern.endswith(".*"):
        return type_.startswith(pattern[:-1])
    return pattern in (ALL_EVENTS, type_)
