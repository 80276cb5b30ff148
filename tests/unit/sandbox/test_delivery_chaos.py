"""Mishaps of deliveries: as likely as was asked for, and only those."""

from collections import Counter
from random import Random

import pytest

from hookloop.errors import ConfigError
from hookloop.sandbox.chaos import REORDER_SECONDS, Chaos, Fate


def test_nothing_goes_wrong_unless_asked_for():
    random = Random(1)

    fates = {Chaos().fate(random) for _ in range(1000)}

    assert fates == {Fate(is_dropped=False, delay_seconds=0.0, is_doubled=False)}


def test_each_mishap_is_as_likely_as_it_was_asked_to_be():
    """And independent of the others."""
    random = Random(2)
    chaos = Chaos(duplicate=0.5, drop=0.25, delay=0.2, delay_seconds=30.0)

    fates = [chaos.fate(random) for _ in range(10_000)]

    counts = Counter()
    for fate in fates:
        counts.update(doubled=fate.is_doubled, dropped=fate.is_dropped, late=fate.delay_seconds > 0)
    assert 4800 < counts["doubled"] < 5200
    assert 2300 < counts["dropped"] < 2700
    assert 1850 < counts["late"] < 2150
    assert 29 < max(fate.delay_seconds for fate in fates) <= 30


def test_what_is_reordered_waits_a_moment():
    fates = [Chaos(reorder=1).fate(Random(seed)) for seed in range(100)]

    assert all(0 <= fate.delay_seconds <= REORDER_SECONDS for fate in fates)
    assert len({fate.delay_seconds for fate in fates}) == 100


def test_it_is_read_from_a_line():
    assert Chaos.parse("duplicate=0.2, drop=1,delay=0.5,delay_seconds=3") == Chaos(
        duplicate=0.2, drop=1.0, delay=0.5, delay_seconds=3.0
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "write NAME=FIGURE"),
        ("duplicate", "write NAME=FIGURE"),
        ("explode=1", "the names are duplicate, delay, reorder, drop"),
        ("drop=often", "give a number"),
        ("drop=2", "from 0 to 1"),
        ("drop=nan", "from 0 to 1"),
        ("delay_seconds=-1", "0 or more"),
    ],
)
def test_what_is_no_chaos_is_told_what_would_be(text, told):
    with pytest.raises(ConfigError, match=told):
        Chaos.parse(text)
