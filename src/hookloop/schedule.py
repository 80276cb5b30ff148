"""
When a failed attempt is tried again: retry schedules and verdicts as plain values.

A schedule is the list of waits between attempts; it is exhausted after the
last of them. Pure: the caller knows the time and does the waiting.
See https://docs.stripe.com/webhooks#retries.
"""

from dataclasses import dataclass
from enum import Enum

from .errors import ConfigError

__all__ = ["HANDLERS", "STRIPE_LIVE", "STRIPE_TEST", "RetrySchedule", "Verdict", "verdict_on"]

MINUTE = 60.0
HOUR = 60 * MINUTE

ATTEMPTS_MAX = 100  # An attempt is recorded for good; no schedule in use comes near.


class Verdict(Enum):
    """What one attempt means for its delivery."""

    DELIVERED = "delivered"
    """The endpoint took the event: nothing more is owed."""
    RETRY = "retry"
    """The attempt failed: try again while the schedule lasts."""


def verdict_on(status: int | None) -> Verdict:
    """
    Return what an HTTP *status* means; None is an attempt that got no response.

    Only 2xx delivers. Stripe does not follow redirects, so 3xx is a failure as
    4xx and 5xx are.
    """
    if status is not None and 200 <= status <= 299:
        return Verdict.DELIVERED
    return Verdict.RETRY


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The waits between the attempts of one delivery. Raises `ConfigError` for impossible ones."""

    waits_seconds: tuple[float, ...]
    """Before the second attempt, the third, and so on; empty means a single attempt."""

    def __post_init__(self) -> None:
        if any(not 0 <= wait < float("inf") for wait in self.waits_seconds):
            raise ConfigError(
                f"a retry schedule has the waits {self.waits_seconds}: each must be a number "
                "of seconds, 0 or more"
            )
        if self.attempts_max > ATTEMPTS_MAX:
            raise ConfigError(
                f"a retry schedule has {self.attempts_max} attempts: {ATTEMPTS_MAX} is the most"
            )

    @property
    def attempts_max(self) -> int:
        """How many attempts there are in all, the first included."""
        return len(self.waits_seconds) + 1

    def next_attempt(self, *, attempts: int, ended: float) -> float | None:
        """
        Return when to try again after *attempts* failures, the last of which ended at *ended*.

        None means that the schedule is exhausted. Both times are of the caller's clock.
        """
        if attempts > len(self.waits_seconds):
            return None
        return ended + self.waits_seconds[attempts - 1]


STRIPE_TEST = RetrySchedule((5 * MINUTE, 30 * MINUTE, 2 * HOUR))
"""Sandboxes and test mode: "three times over the course of a few hours", in Stripe's words."""

STRIPE_LIVE = RetrySchedule(
    (5 * MINUTE, 30 * MINUTE, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR, 24 * HOUR)
)
"""
Live mode: up to three days with growing waits. Stripe publishes the span and not
the steps; these are the ones its users observe, and the eighth would pass three days.
"""

HANDLERS = RetrySchedule(
    (1.0, 5.0, 30.0, 2 * MINUTE, 10 * MINUTE, HOUR, 3 * HOUR, *(6 * HOUR,) * 11)
)
"""
Handlers of an inbox: soon at first, for most failures pass in seconds, and for three days in all,
which is how long Stripe itself would have gone on.
"""
