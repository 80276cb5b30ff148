"""The clock of a test moves when the test says so, and not otherwise."""

import pytest

from hookloop import ConfigError
from hookloop.testing import ManualClock


def test_both_times_move_together():
    """A duration measured over `advance` is what was advanced."""
    clock = ManualClock(1000.0)

    clock.advance(2.5)

    assert (clock.wall(), clock.monotonic()) == (1002.5, 2.5)


def test_only_the_wall_clock_can_be_set_back():
    """As on a real machine, whose administrator turns one and never the other."""
    clock = ManualClock(1000.0)

    clock.set_wall(10.0)

    assert (clock.wall(), clock.monotonic()) == (10.0, 0.0)


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_the_monotonic_clock_never_goes_back(seconds: float):
    """Code that relies on it would be tested against what cannot be."""
    with pytest.raises(ConfigError, match="set_wall"):
        ManualClock().advance(seconds)


def test_it_says_what_it_shows():
    """A failing assertion prints it."""
    assert repr(ManualClock(5.0)) == "<ManualClock 5.000>"
