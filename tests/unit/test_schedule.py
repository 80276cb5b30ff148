"""Retry schedules: when the next attempt is due, and when there is none."""

import pytest

from hookloop.errors import ConfigError
from hookloop.schedule import STRIPE_LIVE, STRIPE_TEST, RetrySchedule, Verdict, verdict_on


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_only_2xx_delivers(status):
    """Any success status counts, whatever it says."""
    assert verdict_on(status) is Verdict.DELIVERED


@pytest.mark.parametrize("status", [None, 100, 301, 302, 307, 400, 410, 429, 500, 503])
def test_everything_else_is_tried_again(status):
    """No answer, a redirect and a refusal are all failures."""
    assert verdict_on(status) is Verdict.RETRY


def test_each_wait_counts_from_the_end_of_the_attempt_before():
    """An attempt that hung for its whole timeout does not eat into the wait."""
    schedule = RetrySchedule((10, 20))

    assert schedule.next_attempt(attempts=1, ended=100.0) == 110.0
    assert schedule.next_attempt(attempts=2, ended=130.0) == 150.0


def test_the_last_failure_has_no_next_attempt():
    """A schedule of two waits is three attempts long."""
    schedule = RetrySchedule((10, 20))

    assert schedule.attempts_max == 3
    assert schedule.next_attempt(attempts=3, ended=200.0) is None


def test_test_mode_retries_three_times_within_a_few_hours():
    """As Stripe says of sandboxes."""
    assert STRIPE_TEST.attempts_max == 4
    assert sum(STRIPE_TEST.waits_seconds) < 4 * 3600


def test_live_mode_retries_for_up_to_three_days_with_growing_waits():
    """As Stripe says of live mode; one more wait of a day would be over."""
    assert sum(STRIPE_LIVE.waits_seconds) < 3 * 86400 < sum(STRIPE_LIVE.waits_seconds) + 86400
    assert list(STRIPE_LIVE.waits_seconds) == sorted(STRIPE_LIVE.waits_seconds)


@pytest.mark.parametrize("waits", [(-1.0,), (float("inf"),), (float("nan"),), (1.0,) * 100])
def test_impossible_waits_are_refused(waits):
    """A schedule is checked when it is made, not when it is first needed."""
    with pytest.raises(ConfigError, match="retry schedule"):
        RetrySchedule(waits)


def test_a_schedule_without_waits_is_a_single_attempt():
    """And a failed one is final."""
    assert RetrySchedule(()).next_attempt(attempts=1, ended=0.0) is None
