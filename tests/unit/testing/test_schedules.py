"""Which schedules are tried: all simple ones, shortest first, the same for the same seed."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.testing.schedules import KINDS, SCHEDULES_MAX, Step, in_order, schedules, simpler


def tried(count: int, commits=(), kinds=KINDS, seed: int = 0):
    return schedules(count, commits or [0] * count, Random(seed), kinds)


def test_the_plain_one_is_not_tried_again():
    """It is what the others are held against."""
    assert in_order(3) not in tried(3, kinds=["reorder"])


def test_every_order_of_few_events_is_tried():
    """Four have 24, of which one is the plain one."""
    orders = {tuple(step.events[0] for step in one) for one in tried(4, kinds=["reorder"])}

    assert len(orders) == 23


def test_every_event_comes_twice_at_once_and_late():
    """A duplicate may be a second behind, or three days."""
    found = tried(2, kinds=["duplicate"])

    a, b = in_order(2)
    assert {(a, a, b), (a, b, b), (a, b, a), (a, b, a, b)} <= set(found)


def test_every_commit_is_crashed_after():
    """And the event comes again at once, or after everything else."""
    found = set(tried(2, [2, 1], kinds=["crash"]))

    a, b = in_order(2)
    dead = Step((0,), crash_after=2)
    assert {(dead, a, b), (dead, b), (Step((0,), crash_after=1), b)} <= found
    assert (a, Step((1,), crash_after=1)) in found
    assert not any(step.crash_after == 2 for one in found for step in one if step.events == (1,))


def test_events_come_at_the_same_time():
    """One with itself, and with its neighbour."""
    found = set(tried(2, kinds=["concurrent"]))

    assert {(Step((0, 0)), Step((1,))), (Step((0, 1)),)} <= found


def test_the_drawn_ones_come_last_and_are_the_seeds():
    """A failure is repeated by its seed."""
    assert tried(3, [1, 1, 1], seed=5) == tried(3, [1, 1, 1], seed=5)
    assert tried(3, [1, 1, 1], seed=5) != tried(3, [1, 1, 1], seed=6)


def test_there_are_never_more_than_a_suite_can_bear():
    """However many events and commits."""
    assert len(tried(60, [9] * 60)) == SCHEDULES_MAX


@given(
    count=st.integers(1, 6),
    commits=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    kinds=st.sets(st.sampled_from(KINDS)),
    seed=st.integers(0, 1000),
)
def test_every_event_is_delivered_in_every_schedule(count, commits, kinds, seed):
    """One that is left out would differ for that reason alone."""
    for schedule in schedules(count, commits, Random(seed), kinds):
        assert {event for step in schedule for event in step.events} == set(range(count))
        for one in simpler(schedule):
            assert {event for step in one for event in step.events} == set(range(count))


@given(count=st.integers(1, 4), seed=st.integers(0, 1000))
def test_making_it_simpler_ends(count, seed):
    """Whatever the choice at each step, there is no way round in a circle."""
    schedule = schedules(count, [2] * count, Random(seed), KINDS)[-1]

    for _ in range(200):
        candidates = [*simpler(schedule)]
        if not candidates:
            return
        schedule = candidates[seed % len(candidates)]

    pytest.fail("still simpler ones after 200 steps")
