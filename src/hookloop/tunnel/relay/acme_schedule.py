"""
When a certificate is renewed, and when a failed try is repeated.

Pure: *jitter* is a random number from 0 to 1, which the caller draws.
"""

from datetime import datetime

__all__ = ["RATE_LIMITED_SECONDS", "renew_at", "retry_seconds"]

RENEW_FRACTION = 2 / 3  # of the lifetime, as Let's Encrypt asks: 30 of 90 days are left to fail in
JITTER_FRACTION = 1 / 30  # so that relays started together do not renew together
# Let's Encrypt takes five failures of a name in an hour: 2 + 4 + 8 + 16 minutes stay below it.
RETRY_SECONDS_MIN = 120.0
RETRY_SECONDS_MAX = 6 * 3600.0
RATE_LIMITED_SECONDS = 3600.0  # the least to wait when the authority says "too many"
_DOUBLINGS_MAX = 16


def renew_at(not_before: datetime, not_after: datetime, jitter: float) -> datetime:
    """Return when to fetch the successor of a certificate: after two thirds, and before its end."""
    lifetime = not_after - not_before
    return not_before + lifetime * (RENEW_FRACTION + JITTER_FRACTION * jitter)


def retry_seconds(failures: int, jitter: float) -> float:
    """Return the wait after so many failures in a row, 1 or more."""
    doubled: float = RETRY_SECONDS_MIN * 2 ** min(failures - 1, _DOUBLINGS_MAX)
    wait = min(doubled, RETRY_SECONDS_MAX)
    return wait * (1 + jitter / 10)
