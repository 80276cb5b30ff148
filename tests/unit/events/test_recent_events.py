"""The memory of events seen lately."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from hookloop import Reply
from hookloop.events.recent import LEASE_SECONDS, RecentEvents
from hookloop.events.router import Handler

A, B = Handler(len), Handler(len)


@pytest.fixture
def recent() -> RecentEvents:
    return RecentEvents(events_max=3)


def test_the_first_claim_gets_every_handler(recent: RecentEvents):
    """Nothing is done yet."""
    assert recent.claim("e", (A, B), 0.0).handlers == (A, B)


def test_a_second_claim_while_the_first_runs_is_busy(recent: RecentEvents):
    """Until it is settled."""
    claim = recent.claim("e", (A,), 0.0)
    assert recent.claim("e", (A,), 1.0) is None

    recent.settle(claim, ())

    assert recent.claim("e", (A,), 2.0).handlers == (A,)


def test_a_claim_that_hangs_ends_after_its_lease(recent: RecentEvents):
    """An event must not be busy for ever."""
    recent.claim("e", (A,), 0.0)

    assert recent.claim("e", (A,), LEASE_SECONDS - 1) is None
    assert recent.claim("e", (A,), LEASE_SECONDS) is not None


def test_what_is_done_is_not_claimed_again(recent: RecentEvents):
    """Only the rest is."""
    claim = recent.claim("e", (A, B), 0.0)
    recent.settle(claim, (A,))

    assert recent.claim("e", (A, B), 1.0).handlers == (B,)


def test_the_twin_s_own_handlers_need_not_wait(recent: RecentEvents):
    """A twin is the same event to those handlers alone that take both."""
    recent.claim("e", (A,), 0.0)

    claim = recent.claim("e", (B,), 0.0)

    assert claim is not None
    assert claim.handlers == (B,)


def test_a_reply_is_remembered_for_the_duplicate(recent: RecentEvents):
    """The sender still waits for an answer."""
    reply = Reply({"approved": True})
    claim = recent.claim("e", (A,), 0.0)
    recent.settle(claim, (A,), reply)

    assert recent.claim("e", (A,), 1.0).reply is reply


def test_the_oldest_are_forgotten_past_the_limit(recent: RecentEvents):
    """Memory does not grow with traffic."""
    for key in range(10):
        claim = recent.claim(key, (A,), 0.0)
        recent.settle(claim, (A,))

    assert len(recent) == 3
    assert recent.claim(9, (A,), 0.0).handlers == ()
    assert recent.claim(0, (A,), 0.0).handlers == (A,)


def test_settling_what_was_forgotten_is_no_error(recent: RecentEvents):
    """It may have run longer than the memory reaches."""
    claim = recent.claim("e", (A,), 0.0)
    recent.clear()

    recent.settle(claim, (A,))

    assert len(recent) == 0


def test_memory_is_bounded_and_the_latest_are_kept():
    """The oldest are forgotten a few at a time, and never more than needed."""
    recent = RecentEvents(events_max=200)

    for key in range(1000):
        claim = recent.claim(key, (A,), 0.0)
        assert claim is not None
        recent.settle(claim, (A,))
        assert len(recent) <= 200

    assert len(recent) > 190
    assert [recent.claim(key, (A,), 0.0).handlers for key in range(810, 1000)] == [()] * 190


def test_what_failed_may_run_again_and_what_is_done_may_not():
    """However often it comes: each attempt has its own claim."""
    recent = RecentEvents()
    for attempt in range(3):
        claim = recent.claim("e", (A, B), float(attempt))
        assert claim.handlers == (A, B)
        recent.settle(claim, ())
    recent.settle(recent.claim("e", (A, B), 9.0), (B,))

    assert recent.claim("e", (A, B), 10.0).handlers == (A,)
    assert recent.claim("e", (A, B), 11.0) is None


def test_a_claim_that_hung_and_ended_after_all_counts():
    """What it has done is done, though somebody else took the event in the meantime."""
    recent = RecentEvents()
    hung = recent.claim("e", (A, B), 0.0)
    second = recent.claim("e", (A, B), LEASE_SECONDS)
    assert second.handlers == (A, B)

    recent.settle(hung, (A,))
    assert recent.claim("e", (A, B), LEASE_SECONDS) is None  # the second is still at it
    recent.settle(second, (B,))

    assert recent.claim("e", (A, B), LEASE_SECONDS).handlers == ()


def test_one_of_several_threads_gets_an_event():
    """Whichever is first; the others are told that it is busy."""
    recent = RecentEvents(events_max=50)
    threads = 8
    start = Barrier(threads)

    def claims() -> list[bool]:
        start.wait(5)
        return [recent.claim(key, (A,), 0.0) is not None for key in range(40)]

    with ThreadPoolExecutor(threads) as pool:
        won = [future.result(5) for future in [pool.submit(claims) for _ in range(threads)]]

    assert [sum(column) for column in zip(*won, strict=True)] == [1] * 40
