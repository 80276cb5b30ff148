"""The laws of the meter: what its figures may be, whatever comes and whenever one looks."""

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.meter import (
    RESCALE_SECONDS,
    SAMPLE_SIZE,
    TICK_SECONDS,
    DecayingSample,
    Meter,
    MovingRate,
    percentile,
)

durations = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


def a_meter(now: float = 0.0) -> Meter:
    return Meter(now, Random(4).random)


# --- rates -------------------------------------------------------------------------------


def test_a_rate_is_that_of_go_metrics():
    """The vector of its own test: 3 events, one tick, then minute after minute."""
    rate = MovingRate(1, 0.0)
    rate.add(3, 0.0)

    assert rate.at(5) == pytest.approx(0.6)
    for minute, expected in enumerate([0.22072766470286553, 0.08120116994196772], 1):
        assert rate.at(5 + 60 * minute) == pytest.approx(expected)


def test_nothing_is_told_before_the_first_tick():
    """A burst of a moment is no rate yet."""
    rate = MovingRate(1, 100.0)
    rate.add(1000, 100.0)

    assert rate.at(104.9) == 0.0
    assert rate.at(105.0) == 200.0


def test_a_steady_stream_is_its_own_rate():
    """7 a second are 7 a second over 1, 5 and 15 minutes."""
    meter = a_meter()
    for second in range(3600):
        meter.ended(7, [0.01], second + 0.5)

    reading = meter.reading(3600.0)

    assert reading.rate1 == reading.rate5 == reading.rate15 == pytest.approx(7.0)


def test_what_was_fades_by_e_in_its_minutes():
    """That is what "over five minutes" means."""
    rate = MovingRate(5, 0.0)
    rate.add(50, 0.0)
    at_first = rate.at(5.0)

    assert rate.at(5.0 + 300.0) == pytest.approx(at_first / math.e)


@given(
    counts=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 1000)), max_size=30),
    looks=st.lists(st.floats(0, 900), max_size=30),
)
def test_looking_changes_nothing(counts, looks):
    """A console that draws ten times a second shows what one that draws once would."""
    looked_at, left_alone = MovingRate(1, 0.0), MovingRate(1, 0.0)
    now = 0.0
    moments = []
    for wait, count in counts:
        now += wait
        moments.append((now, count))
    merged = sorted([*moments, *((look, None) for look in looks if look <= now)], key=_at)
    for at, count in merged:
        if count is None:
            looked_at.at(at)
        else:
            looked_at.add(count, at)
            left_alone.add(count, at)

    assert looked_at.at(now + 60) == pytest.approx(left_alone.at(now + 60))


def _at(moment):
    return moment[0]


@given(st.lists(st.tuples(st.floats(0, 1e5), st.integers(0, 10**6)), max_size=30))
def test_a_rate_is_never_negative_nor_above_the_greatest(counts):
    """An average lies among what it averages."""
    rate, now, most = MovingRate(1, 0.0), 0.0, 0
    for wait, count in counts:
        now += wait
        most += count
        rate.add(count, now)

        assert 0.0 <= rate.at(now) <= most / TICK_SECONDS


# --- percentiles -------------------------------------------------------------------------


def test_no_values_have_no_percentile():
    """The screen shows zeros before anything has ended."""
    reading = a_meter().reading(0.0)

    assert (reading.p50, reading.p90, reading.p95, reading.p99) == (0.0, 0.0, 0.0, 0.0)


def test_percentiles_lie_between_two_values():
    """The third of go-metrics' own vectors: 1 to 10000."""
    values = [float(value) for value in range(1, 10001)]

    assert [percentile(values, share) for share in (0.5, 0.75, 0.99)] == [5000.5, 7500.75, 9900.99]


@given(durations)
def test_percentiles_are_ordered_and_within_what_was_seen(values):
    """p50 <= p90 <= p95 <= p99, none outside."""
    meter = a_meter()
    meter.ended(len(values), values, 1.0)
    reading = meter.reading(1.0)
    found = [reading.p50, reading.p90, reading.p95, reading.p99]

    assert all(lower <= upper + 1e-9 for lower, upper in pairwise(found))
    assert min(values) <= reading.p50
    assert reading.p99 <= max(values)


def test_the_sample_stays_small_and_fair():
    """A hundred thousand values of one moment: their median is found within five percent."""
    sample = DecayingSample(0.0, Random(9).random)
    sample.add([float(value) for value in range(100_000)], 0.0)

    values = sample.sorted_values()

    assert len(values) == SAMPLE_SIZE
    assert percentile(values, 0.5) == pytest.approx(50_000, rel=0.1)


def test_the_latest_minutes_weigh_more():
    """An app that has become slow shows within minutes, however much came before."""
    sample = DecayingSample(0.0, Random(9).random)
    for second in range(600):
        sample.add([0.01] * 20, second)
    for second in range(600, 900):
        sample.add([2.0] * 20, second)

    assert percentile(sample.sorted_values(), 0.5) == 2.0


def test_weeks_of_running_overflow_nothing():
    """Weights are counted anew each hour; after a quiet month too."""
    sample = DecayingSample(0.0, Random(9).random)
    for hour in range(24 * 60):
        sample.add([float(hour)], hour * RESCALE_SECONDS)
    sample.add([7.0], 90 * 24 * RESCALE_SECONDS)

    values = sample.sorted_values()

    assert 7.0 in values
    assert len(values) == SAMPLE_SIZE


def test_a_draw_of_zero_and_of_almost_one_divide_by_nothing():
    """`random()` may return both."""
    for draw in (0.0, 1.0 - 2**-53):
        sample = DecayingSample(0.0, lambda draw=draw: draw)
        sample.add([1.0] * (SAMPLE_SIZE + 1), RESCALE_SECONDS)

        assert len(sample.sorted_values()) == SAMPLE_SIZE


def test_all_that_ended_is_counted_though_not_all_is_looked_at():
    """At full load the durations are a part of it; the count is not."""
    meter = a_meter()
    meter.ended(10_000, [0.25] * 100, 1.0)

    reading = meter.reading(5.0, open_now=3)

    assert (reading.count, reading.gauge, reading.rate1) == (10_000, 3, 2000.0)
    assert reading.p50 == 0.25
