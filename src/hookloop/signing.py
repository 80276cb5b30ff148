"""
Stripe's webhook signatures: made by the sandbox, checked by the handler library.

A signature is ``HMAC-SHA256(secret, "{t}.{body}")`` in hex, sent as
``Stripe-Signature: t=1492774577,v1=5257a8...``. The key is the whole secret
string, ``whsec_`` included. See https://docs.stripe.com/webhooks#verify-manually.

Pure: the time is an argument and nothing here reads a clock.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .errors import SignatureError

__all__ = [
    "HEADER_BYTES_MAX",
    "TOLERANCE_SECONDS",
    "check_age",
    "match_stripe",
    "sign_stripe",
    "stripe_signature_header",
    "verify_stripe",
]

HEADER_BYTES_MAX = 4096  # Stripe's own header is about 200 bytes, two secrets and v0 included.
_BLOCK_BYTES = 64  # SHA-256's
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))

KEYS_MAX = 64  # secrets that are kept ready; with more, as for tenants, the last used ones
TOLERANCE_SECONDS = 300.0  # Stripe's libraries accept five minutes.

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)  # 12 digits last for 30,000 years
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
# What Stripe sends for one secret, in test mode with a v0 that proves nothing: read in one go, a
# fifth of the time of the careful way.
_PLAIN_HEADER = re.compile(
    r"t=([0-9]{1,12}),v1=([0-9a-f]{64})(?:,v0=[0-9a-f]{64})?", re.ASCII
).fullmatch


def sign_stripe(payload: bytes, secret: str, *, signed_at: int) -> str:
    """Return the 64 hex digits that sign *payload* with *secret* at *signed_at* (Unix seconds)."""
    return hmac.digest(secret.encode(), b"%d.%b" % (signed_at, payload), "sha256").hex()


def stripe_signature_header(payload: bytes, secrets: Iterable[str], *, signed_at: int) -> str:
    """
    Return a ``Stripe-Signature`` header value.

    While a secret is being rolled Stripe signs with the old and the new one:
    pass both, and the header carries a ``v1`` for each.
    """
    signatures = [f"v1={sign_stripe(payload, secret, signed_at=signed_at)}" for secret in secrets]
    return ",".join([f"t={signed_at}", *signatures])


def verify_stripe(
    payload: bytes,
    header: str | None,
    secrets: Sequence[str],
    *,
    now: float,
    tolerance: float = TOLERANCE_SECONDS,
) -> int:
    """
    Return the index in *secrets* of the one that signed *payload*.

    Any of *secrets* may match, so that a secret can be rolled without downtime.
    *now* is Unix seconds; a signature *tolerance* seconds away from it on either
    side is refused. Raises `SignatureError` whatever the header's bytes are.
    """
    signer = match_stripe(payload, header, secrets, now, tolerance)
    if isinstance(signer, SignatureError):
        raise signer
    return signer


def match_stripe(
    payload: bytes, header: str | None, secrets: Sequence[str], now: float, tolerance: float
) -> int | SignatureError:
    """
    Do what `verify_stripe` does, and return the error instead of raising it.

    Forged requests are the ones that come in floods, and raising and catching costs a third of
    an HMAC.
    """
    if not header:
        return SignatureError("missing", "the request has no Stripe-Signature header")
    plain = _PLAIN_HEADER(header)
    candidates: tuple[str, ...]
    if plain is not None:
        signed_at, candidates = plain[1], (plain[2],)
    else:
        parsed = _parse_header(header)
        if isinstance(parsed, SignatureError):
            return parsed
        signed_at, candidates = parsed
    prefix = signed_at.encode() + b"."
    for index, secret in enumerate(secrets):
        inner, outer = _keyed(secret)
        inner, outer = inner.copy(), outer.copy()
        inner.update(prefix)
        inner.update(payload)
        outer.update(inner.digest())
        expected = outer.hexdigest()
        for candidate in candidates:
            if hmac.compare_digest(expected, candidate):
                # Only now: the time of a forged header tells nothing.
                age = now - int(signed_at)
                return index if -tolerance <= age <= tolerance else _wrong_age(age, tolerance)
    return SignatureError(
        "mismatch",
        "no v1 signature matches any of our secrets: either the secret belongs to another "
        "endpoint, or the body was changed on the way",
    )


@lru_cache(maxsize=KEYS_MAX)
def _keyed(secret: str) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """
    Return the two hashes of an HMAC (RFC 2104, section 2), which have taken in the key.

    To copy them is what `hmac.HMAC.copy` does; `hmac` itself spends as long on a body of 3 KB
    around its hashing as in it.
    """
    key = secret.encode()
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key.ljust(_BLOCK_BYTES, b"\0")
    return hashlib.sha256(key.translate(_INNER_PAD)), hashlib.sha256(key.translate(_OUTER_PAD))


def _parse_header(header: str) -> tuple[str, tuple[str, ...]] | SignatureError:
    """Return the timestamp's digits and every well-formed ``v1``; other schemes are skipped."""
    if len(header) > HEADER_BYTES_MAX:
        return SignatureError("malformed", f"Stripe-Signature is over {HEADER_BYTES_MAX} bytes")
    times = []
    candidates = []
    for item in header.split(","):
        key, _, value = item.strip().partition("=")
        if key == "t":
            times.append(value)
        elif key == "v1" and _HEX_DIGEST.fullmatch(value):
            candidates.append(value)
    if len(times) != 1 or not _TIMESTAMP.fullmatch(times[0]):
        return SignatureError("malformed", "Stripe-Signature has no single t= of 1 to 12 digits")
    if not candidates:
        return SignatureError("malformed", "Stripe-Signature has no v1= of 64 hex digits")
    return times[0], tuple(candidates)


def check_age(signed_at: int, now: float, tolerance: float) -> None:
    """Raise `SignatureError` where *signed_at* is over *tolerance* seconds off *now*, both ways."""
    age = now - signed_at
    if not -tolerance <= age <= tolerance:
        raise _wrong_age(age, tolerance)


def _wrong_age(age: float, tolerance: float) -> SignatureError:
    if age > 0:
        return SignatureError(
            "too_old",
            f"signed {age:.0f} s ago, the tolerance is {tolerance:g} s: a replay, or a clock "
            "that runs ahead",
        )
    return SignatureError(
        "too_new",
        f"signed {-age:.0f} s in the future, the tolerance is {tolerance:g} s: check both "
        "machines' clocks",
    )
