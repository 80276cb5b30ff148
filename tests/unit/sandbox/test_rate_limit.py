"""Rate limits on demand: so many a second, and 429 for the rest."""

import pytest

from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.rate_limit import RateLimit

ONE, OTHER = b"one", b"other"


def test_what_is_within_the_limit_passes_and_the_rest_is_refused():
    """With Stripe's status and code."""
    limit = RateLimit(3)
    for _ in range(3):
        limit.check(ONE, now=100.0)

    with pytest.raises(ApiError) as caught:
        limit.check(ONE, now=100.0)

    assert (caught.value.status, caught.value.code) == (429, "rate_limit")
    limit.check(OTHER, now=100.0)


def test_a_second_later_there_is_room_again():
    """As much as a second brings, and no more for having waited longer."""
    limit = RateLimit(2)
    limit.check(ONE, now=100.0)
    limit.check(ONE, now=100.0)
    limit.check(ONE, now=100.5)

    limit.check(ONE, now=3600.0)
    limit.check(ONE, now=3600.0)
    with pytest.raises(ApiError):
        limit.check(ONE, now=3600.0)


def test_a_clock_that_goes_back_fills_nothing():
    """And breaks nothing."""
    limit = RateLimit(1)
    limit.check(ONE, now=100.0)

    with pytest.raises(ApiError):
        limit.check(ONE, now=50.0)
