"""The memory of events seen lately."""

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
    assert recent.claim("e", (A,), 1.0).is_busy

    recent.settle("e", claim, ())

    assert recent.claim("e", (A,), 2.0).handlers == (A,)


def test_a_claim_that_hangs_ends_after_its_lease(recent: RecentEvents):
    """An event must not be busy for ever."""
    recent.claim("e", (A,), 0.0)

    assert recent.claim("e", (A,), LEASE_SECONDS - 1).is_busy
    assert not recent.claim("e", (A,), LEASE_SECONDS).is_busy


def test_what_is_done_is_not_claimed_again(recent: RecentEvents):
    """Only the rest is."""
    claim = recent.claim("e", (A, B), 0.0)
    recent.settle("e", claim, (A,))

    assert recent.claim("e", (A, B), 1.0).handlers == (B,)


def test_the_twin_s_own_handlers_need_not_wait(recent: RecentEvents):
    """A twin is the same event to those handlers alone that take both."""
    recent.claim("e", (A,), 0.0)

    claim = recent.claim("e", (B,), 0.0)

    assert (claim.is_busy, claim.handlers) == (False, (B,))


def test_a_reply_is_remembered_for_the_duplicate(recent: RecentEvents):
    """The sender still waits for an answer."""
    reply = Reply({"approved": True})
    claim = recent.claim("e", (A,), 0.0)
    recent.settle("e", claim, (A,), reply)

    assert recent.claim("e", (A,), 1.0).reply is reply


def test_the_oldest_are_forgotten_past_the_limit(recent: RecentEvents):
    """Memory does not grow with traffic."""
    for key in range(10):
        claim = recent.claim(key, (A,), 0.0)
        recent.settle(key, claim, (A,))

    assert len(recent) == 3
    assert recent.claim(9, (A,), 0.0).handlers == ()
    assert recent.claim(0, (A,), 0.0).handlers == (A,)


def test_settling_what_was_forgotten_is_no_error(recent: RecentEvents):
    """It may have run longer than the memory reaches."""
    claim = recent.claim("e", (A,), 0.0)
    recent.clear()

    recent.settle("e", claim, (A,))

    assert len(recent) == 0
