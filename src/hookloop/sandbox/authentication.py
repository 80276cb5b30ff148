"""
API keys: who a request speaks for.

Any key shaped like a test key is let in. What follows ``_test_`` names its account, empty
at first: parallel tests that each make up a key never see each other's objects, and
``sk_test_me``, ``rk_test_me`` and ``pk_test_me`` are keys to one account.
See https://docs.stripe.com/api/authentication.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from hookloop.ids import ALPHABET

from .errors import ApiError

__all__ = ["AccountKey", "authenticate", "is_publishable"]

_TEST_KEY = re.compile(r"(sk|rk|pk)_test_([A-Za-z0-9_]{1,240})", re.ASCII)

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="Stripe"'),)


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The account a key opens; holds nothing the key could be told from."""

    digest: bytes
    """SHA-256 of the secret key: what accounts are found by."""

    @property
    def account_id(self) -> str:
        return f"acct_1{_letters(self.digest[10:], 5)}{self.tail}"

    @property
    def tail(self) -> str:
        """Ten letters that ids of the account's own records carry, as at Stripe."""
        return _letters(self.digest, 10)


def authenticate(authorization: str | None) -> AccountKey:
    """Return the account an ``Authorization`` header opens. Raises `ApiError` with 401."""
    key = _presented_key(authorization or "")
    if not key:
        raise _refused(
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
            "https://stripe.com/docs/api#authentication for details."
        )
    match = _TEST_KEY.fullmatch(key)
    if match is None:
        hint = "" if "_live_" not in key else " A live key has no business in a sandbox."
        raise _refused(
            f"Invalid API Key provided: {_masked(key)}. hookloop's sandbox takes any key that "
            f"begins with sk_test_, rk_test_ or pk_test_.{hint}"
        )
    return AccountKey(hashlib.sha256(f"sk_test_{match[2]}".encode()).digest())


def is_publishable(authorization: str | None) -> bool:
    """Say whether the key is one that anybody may read in a web page."""
    return _presented_key(authorization or "").startswith("pk_")


def _presented_key(authorization: str) -> str:
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[0]  # the key is the user; Stripe wants no password


def _masked(key: str) -> str:
    """Return enough of *key* to recognise it by, and not enough to use."""
    return f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) >= 24 else "*" * 8


def _refused(message: str) -> ApiError:
    return ApiError(401, message, headers=_CHALLENGE)


def _letters(digest: bytes, count: int) -> str:
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:count])
