"""Credit given, credit spent, and the bytes that wait for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.errors import LocalError, ProtocolError
from hookloop.tunnel.wire.flow import CHUNK_BYTES, Allowance, Budget, Outbox
from hookloop.tunnel.wire.messages import CREDIT_MAX


def test_a_grant_adds_to_the_budget():
    """What the other side grants may be spent on top of what is left."""
    budget = Budget(100)

    budget.grant(50)

    assert budget.left == 150


def test_a_budget_may_reach_the_limit_and_not_pass_it():
    """2^31-1 is the most that fits every language's integers."""
    budget = Budget(CREDIT_MAX - 1)
    budget.grant(1)

    with pytest.raises(ProtocolError, match=r"2\^31-1"):
        budget.grant(1)


def test_spending_to_the_last_byte_is_allowed_and_one_more_is_not():
    """The sender is held to what we granted."""
    allowance = Allowance(100)
    allowance.spend(100)

    with pytest.raises(ProtocolError, match="beyond"):
        allowance.spend(1)


def test_credit_is_granted_in_halves():
    """One CREDIT frame is worth half of the first grant, not one byte."""
    allowance = Allowance(100)
    allowance.spend(100)

    granted = [allowance.give_back(length) for length in (49, 1, 49, 1)]

    assert granted == [0, 50, 0, 50]


def test_what_is_granted_again_may_be_spent_again():
    """The credit goes round for as long as the reader reads."""
    allowance = Allowance(100)

    for _ in range(10):
        allowance.spend(100)
        assert allowance.give_back(100) == 100


def test_more_than_was_received_cannot_be_given_back():
    """A shell that counts a byte twice would promise memory it does not have."""
    allowance = Allowance(100)
    allowance.spend(10)
    allowance.give_back(4)

    with pytest.raises(LocalError, match="7 bytes"):
        allowance.give_back(7)


def test_an_outbox_gives_its_bytes_in_order_and_in_pieces():
    """Pieces are cut where the turn ends, never across two chunks."""
    outbox = Outbox()
    outbox.put(b"abcdef")
    outbox.put(b"gh")

    pieces = [bytes(outbox.take(4)) for _ in range(3)]

    assert pieces == [b"abcd", b"ef", b"gh"]
    assert outbox.queued == outbox.held == 0


def test_a_piece_is_a_view():
    """A large body is not copied to be cut."""
    body = b"x" * 100
    outbox = Outbox()
    outbox.put(body)

    assert outbox.take(10).obj is body


def test_an_empty_chunk_is_nothing():
    """It would be a frame that says nothing."""
    outbox = Outbox()

    outbox.put(b"")

    assert outbox.queued == outbox.held == 0


def test_a_body_in_crumbs_is_weighed_by_its_crumbs():
    """A caller that sends a chunk per byte must not get 200 times the memory."""
    outbox = Outbox()

    for _ in range(10):
        outbox.put(b"x")

    assert outbox.queued == 10
    assert outbox.held == 10 + 10 * CHUNK_BYTES


@given(st.integers(2, 1000), st.lists(st.integers(1, 1000)))
def test_an_allowance_never_gives_away_more_than_it_had(granted, lengths):
    """Left at the sender, held by us and not yet granted again are always the first grant."""
    allowance = Allowance(granted)
    at_sender, not_granted = granted, 0

    for length in lengths:
        spent = min(length, at_sender)
        allowance.spend(spent)
        again = allowance.give_back(spent)
        at_sender += again - spent
        not_granted += spent - again
        assert at_sender + not_granted == granted
        assert at_sender > 0
