"""When certificates are renewed, and failed tries repeated."""

from datetime import UTC, datetime, timedelta

import pytest

from hookloop.tunnel.relay.acme_schedule import renew_at, retry_seconds

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = timedelta(days=1)


@pytest.mark.parametrize(("jitter", "day"), [(0.0, 60), (0.5, 61.5), (1.0, 63)])
def test_a_certificate_is_renewed_after_two_thirds_of_its_life(jitter, day):
    """A little later for some, so that not all come at once."""
    due = renew_at(START, START + 90 * DAYS, jitter) - START

    assert due / DAYS == pytest.approx(day)


def test_short_lives_are_renewed_in_proportion():
    """Certificates of six days are in sight."""
    assert renew_at(START, START + 6 * DAYS, 0.0) == START + 4 * DAYS


def test_waits_double_up_to_six_hours():
    """Five failures in an hour would lock a name out at Let's Encrypt."""
    waits = [retry_seconds(failures, 0.0) for failures in range(1, 12)]

    assert waits[:4] == [120, 240, 480, 960]
    assert waits[-1] == retry_seconds(10_000, 0.0) == 6 * 3600
    assert sum(waits[:5]) > 3600


def test_waits_are_spread():
    """By a tenth."""
    assert retry_seconds(1, 1.0) == pytest.approx(132)
