"""Standard Webhooks: the signatures of Svix and of the senders that follow its specification."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hookloop.errors import ConfigError, SignatureError
from hookloop.events.event import Event, PayloadError
from hookloop.events.incoming import Incoming
from hookloop.events.outcomes import Reply

from .provider import check_age, read_timestamp, require

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = [
    "SIGNATURES_MAX",
    "StandardWebhooks",
    "sign_standard",
    "sign_standard_by_key",
    "standard_public_key",
]

SIGNATURES_MAX = 4  # that are tried by a public key, 0.1 ms each; two are sent while one is rolled

_SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix of secrets, not one
_PRIVATE_PREFIX = "whsk_"
_PUBLIC_PREFIX = "whpk_"
_SYMMETRIC = "v1,"
_ASYMMETRIC = "v1a,"
_SIGNATURE_BYTES = 64  # Ed25519's


class StandardWebhooks:
    """
    See https://www.standardwebhooks.com, both its schemes.

    A secret is ``whsec_`` and base64 (``v1``; unlike Stripe's, the key is what the base64 says),
    or the sender's public key, ``whpk_`` and base64 (``v1a``, Ed25519), which needs the
    `cryptography` package. The id of an event is ``webhook-id``, its type the body's ``type``.
    """

    name = "standard"

    def __init__(self, *, header_prefix: str = "webhook") -> None:
        self._prefix = header_prefix
        """``svix`` for senders that kept the older names of the three headers."""

    def check_secret(self, secret: str) -> None:
        if secret.startswith(_PRIVATE_PREFIX):
            raise ConfigError(
                "a private key, whsk_, was given: it is the sender's own, and to verify takes its "
                "public key, whpk_"
            )
        try:
            _public_key(secret) if secret.startswith(_PUBLIC_PREFIX) else _key(secret)
        except ImportError:
            raise ConfigError(
                "a public key, whpk_, needs the cryptography package: pip install cryptography"
            ) from None
        except ValueError:  # what base64 raises too
            raise ConfigError(
                "a Standard Webhooks secret is whsec_ followed by base64, a public key whpk_ "
                "followed by 32 bytes in base64, and one given is neither"
            ) from None

    def verify(
        self, request: Incoming, secrets: Sequence[str], *, now: float, tolerance: float
    ) -> int:
        id_ = require(request, f"{self._prefix}-id")
        time = require(request, f"{self._prefix}-timestamp")
        signed_at = read_timestamp(time, f"{self._prefix}-timestamp")
        given = require(request, f"{self._prefix}-signature").split()
        digests = [
            item.removeprefix(_SYMMETRIC).encode("utf-8", "replace")
            for item in given
            if item.startswith(_SYMMETRIC)
        ]
        signatures = [
            signature
            for item in given
            if item.startswith(_ASYMMETRIC)
            and len(signature := _decoded(item.removeprefix(_ASYMMETRIC))) == _SIGNATURE_BYTES
        ][:SIGNATURES_MAX]
        if not digests and not signatures:
            raise SignatureError(
                "malformed", f"{self._prefix}-signature has no v1 or v1a signature"
            )
        signed = _signed(request.body, id_, signed_at)
        for index, secret in enumerate(secrets):
            # A public key fits no digest and a secret no signature: neither is taken for the other.
            if secret.startswith(_PUBLIC_PREFIX):
                fits = any(_is_signed(secret, signed, signature) for signature in signatures)
            else:
                expected = _digest(secret, signed).encode()
                fits = any(hmac.compare_digest(expected, digest) for digest in digests)
            if fits:
                check_age(signed_at, now, tolerance)
                return index
        raise SignatureError("mismatch", "no v1 or v1a signature matches any of our secrets")

    def read(
        self, request: Incoming, payload: dict[str, Any], *, secret_label: str | None
    ) -> Event[Any]:
        id_, type_ = request.get(f"{self._prefix}-id"), payload.get("type")
        if not (id_ and isinstance(type_, str) and type_):
            raise PayloadError("the body has no type")
        return Event(payload, request.body, id=id_, type=type_, secret_label=secret_label)

    def greeting(self, _event: Event[Any]) -> Reply | None:
        return None


def sign_standard(
    payload: bytes,
    secret: str,
    *,
    id: str,  # noqa: A002  # the specification's own name
    signed_at: int,
) -> str:
    """Return the base64 digest that signs *payload*; the header says ``v1,`` before it."""
    return _digest(secret, _signed(payload, id, signed_at))


def sign_standard_by_key(
    payload: bytes,
    private_key: str,
    *,
    id: str,  # noqa: A002  # the specification's own name
    signed_at: int,
) -> str:
    """
    Return the base64 signature of *payload* by ``whsk_...``; the header says ``v1a,`` before it.

    Raises `ConfigError` for what is no such key.
    """
    signature = _private_key(private_key).sign(_signed(payload, id, signed_at))
    return base64.b64encode(signature).decode()


def standard_public_key(private_key: str) -> str:
    """Return ``whpk_...``, by which receivers verify what ``whsk_...`` signs. Raises as above."""
    raw = _private_key(private_key).public_key().public_bytes_raw()
    return _PUBLIC_PREFIX + base64.b64encode(raw).decode()


def _private_key(text: str) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    # Some keep the public key after the private one, as libsodium does.
    raw = _decoded(text.removeprefix(_PRIVATE_PREFIX))
    if len(raw) not in (32, 64) or not text.startswith(_PRIVATE_PREFIX):
        raise ConfigError("a private key of Standard Webhooks is whsk_ followed by base64")
    return Ed25519PrivateKey.from_private_bytes(raw[:32])


def _signed(payload: bytes, id_: str, signed_at: int) -> bytes:
    return b"%b.%d.%b" % (id_.encode("utf-8", "replace"), signed_at, payload)


def _digest(secret: str, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)


def _is_signed(public_key: str, signed: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        _public_key(public_key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=64)  # keys; those of tenants are checked for each request
def _public_key(text: str) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    raw = base64.b64decode(text.removeprefix(_PUBLIC_PREFIX), validate=True)
    return Ed25519PublicKey.from_public_bytes(raw)


def _decoded(text: str) -> bytes:
    """Return what *text* says in base64; nothing where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
