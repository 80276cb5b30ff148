"""The law of a delivery: the table of moves, and what each function makes of a delivery."""

import pytest

from hookloop.errors import LocalError
from hookloop.ledger.choice import chosen
from hookloop.ledger.delivery import (
    DETAIL_CHARACTERS_MAX,
    MOVES,
    Dead,
    Delivery,
    Done,
    LeaseId,
    Move,
    Release,
    Retry,
    State,
    advanced,
    claimed,
    extended,
    is_held,
    lost,
    replayed,
    settled,
    yielded,
)


def delivery(state=State.READY, **more) -> Delivery:
    fields = {"id": 1, "message": 1, "target": "app", "order_key": None, "due_at": 100.0}
    return Delivery(**{**fields, **more}, state=state)


MAKERS = {
    Move.ADVANCE: advanced,
    Move.YIELD: yielded,
    Move.CLAIM: lambda d: claimed(d, now=0, lease_seconds=30),
    Move.FINISH: lambda d: settled(d, Done(), now=0)[0],
    Move.RETRY: lambda d: settled(d, Retry(1), now=0)[0],
    Move.RELEASE: lambda d: settled(d, Release(), now=0)[0],
    Move.GIVE_UP: lambda d: settled(d, Dead(), now=0)[0],
    Move.LOSE: lambda d: lost(d, now=0)[0],
    Move.REPLAY: lambda d: replayed(d, due_at=0, has_head=False),
}


@pytest.mark.parametrize("move", Move, ids=lambda move: move.name)
@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_the_functions_keep_to_the_table(state, move):
    """A listed move leads where the table says, and an unlisted one is a bug that is named."""
    start = delivery(state)

    if (state, move) in MOVES:
        assert MAKERS[move](start).state is MOVES[state, move]
    else:
        with pytest.raises(LocalError, match=f"delivery 1 is {state.value} and cannot"):
            MAKERS[move](start)


def test_every_state_is_reached_by_a_move():
    """Also WAITING, which a new one may be: it is what one that gives way becomes."""
    assert set(MOVES.values()) == set(State)


def test_only_a_lease_is_extended():
    """What is not held has no end to move."""
    with pytest.raises(LocalError, match="no lease"):
        extended(delivery(State.READY), now=0, lease_seconds=1)


def test_the_number_of_the_attempt_is_the_fence():
    """An older number is the word of somebody who was given up."""
    first = claimed(delivery(), now=0, lease_seconds=30)
    second = claimed(lost(first, now=40)[0], now=40, lease_seconds=30)

    assert is_held(first, LeaseId(1, 1))
    assert is_held(second, LeaseId(1, 2))
    assert not is_held(second, first.lease)
    assert not is_held(settled(second, Done(), now=41)[0], second.lease)


def test_what_an_attempt_leaves_behind_is_cut():
    """A record of attempts is no store of answers."""
    after, attempt = settled(
        claimed(delivery(), now=0, lease_seconds=30), Done("x" * 10_000), now=1
    )

    assert len(after.detail) == len(attempt.detail) == DETAIL_CHARACTERS_MAX


def test_a_suspect_is_chosen_alone_and_only_in_its_turn():
    """Not before older ones, and never with others."""
    suspect = delivery(State.READY, id=2, crashes=1, due_at=2.0)
    older, younger = delivery(id=1, due_at=1.0), delivery(id=3, due_at=3.0)

    assert chosen({"app": [older, suspect, younger]}, limit=9) == [older, younger]
    assert chosen({"app": [suspect, younger]}, limit=9) == [suspect]
    assert chosen({"app": [older]}, limit=0) == []
    assert chosen({}, limit=9) == []
