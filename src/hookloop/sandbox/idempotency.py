"""
Idempotency keys: the same POST twice is done once and answered twice.

The status and body of the first execution are kept, failures included. What
never began to execute (a bad key, unknown URL, parameters that do not parse) is
not kept. Requests of one account are executed one after the other, so Stripe's
409 for two at once has no occasion here: the second gets the replay.
See https://docs.stripe.com/api/idempotent_requests.
"""

import hashlib
import json
from dataclasses import dataclass

from .errors import ApiError
from .params import Params

__all__ = [
    "KEY_CHARS_MAX",
    "RETENTION_SECONDS",
    "SavedAnswer",
    "check_key",
    "fingerprint",
    "replay",
]

KEY_CHARS_MAX = 255  # Stripe's.
RETENTION_SECONDS = 24 * 3600.0  # Stripe prunes keys once they are at least 24 hours old.


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """The first answer a key got."""

    key: str
    path: str
    fingerprint: bytes
    request_id: str
    """Of the first request; replays tell it as ``Original-Request``."""
    status: int
    body: bytes
    saved: float
    """Unix seconds."""


def check_key(key: str | None) -> str | None:
    """Return *key*, or None where it is empty. Raises `ApiError` where it is too long."""
    if key is not None and len(key) > KEY_CHARS_MAX:
        raise ApiError(
            400,
            f"Idempotency keys can be at most {KEY_CHARS_MAX} characters long; the one you gave "
            f"has {len(key)}.",
            kind="idempotency_error",
        )
    return key or None


def fingerprint(params: Params) -> bytes:
    """Return what two requests share only if their parameters are the same, in any order."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).digest()


def replay(saved: SavedAnswer, *, path: str, params: Params) -> SavedAnswer:
    """Return *saved* if it may answer a request to *path* with *params*. Raises `ApiError`."""
    if saved.path != path:
        raise _misused(
            f"Keys for idempotent requests can only be used for the same endpoint they were first "
            f"used for ('{path}' vs '{saved.path}').",
            saved.key,
        )
    if saved.fingerprint != fingerprint(params):
        raise _misused(
            "Keys for idempotent requests can only be used with the same parameters they were "
            "first used with.",
            saved.key,
        )
    return saved


def _misused(message: str, key: str) -> ApiError:
    return ApiError(
        400,
        f"{message} Try using a key other than '{key}' if you meant to execute a different "
        "request.",
        kind="idempotency_error",
    )
