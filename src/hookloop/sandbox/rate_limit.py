"""
Rate limits on demand: so many requests a second for each account, and 429 for the rest. Pure.

A sandbox has none by default; with one, a client's patience can be tried at home.
See https://docs.stripe.com/rate-limits.
"""

from dataclasses import dataclass, field

from .errors import ApiError

__all__ = ["RateLimit"]


@dataclass(slots=True)
class RateLimit:
    """A bucket of tokens for each account, filled *per_second*, and no fuller than that."""

    per_second: int
    _buckets: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    """By account: how many tokens there were, and when."""

    def check(self, account: bytes, *, now: float) -> None:
        """Take a token. Raises `ApiError` with 429 where there is none."""
        tokens, at = self._buckets.get(account, (float(self.per_second), now))
        tokens = min(float(self.per_second), tokens + max(0.0, now - at) * self.per_second)
        if tokens < 1:
            self._buckets[account] = (tokens, now)
            raise ApiError(
                429,
                "Request rate limit exceeded. You can learn more about rate limits here "
                "https://stripe.com/docs/rate-limits.",
                code="rate_limit",
                headers=(("Stripe-Rate-Limited-Reason", "global-rate"),),
            )
        self._buckets[account] = (tokens - 1, now)
