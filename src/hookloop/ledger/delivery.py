"""
One message owed to one target: its states, its moves, and the fence around a lease.

This is the law for every store. Pure: a store reads a `Delivery`, lets a function of this
file say what becomes of it, and writes that; ``now`` is Unix seconds of the store's clock.

    WAITING <─yield── READY, where an older one has come late

    WAITING ──advance──> READY ──claim──> LEASED ──finish──> DONE ──replay──┐
                          ^ ^               │ │                             │
                          │ └─retry,release─┘ └──give up──> DEAD ──replay──┤
                          └─────────────────────────────────────────────────┘

A lease that runs out stays LEASED until somebody claims the delivery anew: first it is lost
(to READY), then claimed, in one step. The attempt's number is the fence: it grows with every
claim, so that an outcome that bears an older number is the word of somebody who was given up.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from hookloop.errors import LocalError

__all__ = [
    "DETAIL_CHARACTERS_MAX",
    "MOVES",
    "Attempt",
    "Dead",
    "Delivery",
    "Done",
    "LeaseId",
    "Move",
    "Outcome",
    "Release",
    "Result",
    "Retry",
    "State",
    "advanced",
    "claimed",
    "extended",
    "gives_way",
    "is_held",
    "lost",
    "replayed",
    "settled",
    "yielded",
]

DETAIL_CHARACTERS_MAX = 4096
"""Of what an attempt leaves behind: the beginning of an answer, not the answer."""


class State(Enum):
    """How far a delivery has come."""

    WAITING = "waiting"
    """An earlier one of its target and order key is not settled yet."""
    READY = "ready"
    """To be attempted at `Delivery.due_at`, for the first time or again."""
    LEASED = "leased"
    """Somebody's alone, until `Delivery.due_at`."""
    DONE = "done"
    DEAD = "dead"
    """Given up, and kept: a person may replay it."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (State.DONE, State.DEAD)

    @property
    def is_head(self) -> bool:
        """Whether it may be attempted now or soon: one at a time for each order key."""
        return self in (State.READY, State.LEASED)


class Move(Enum):
    """What happens to a delivery."""

    ADVANCE = "advance"
    """The ones before it are settled."""
    YIELD = "yield"
    """One of a lower rank has come late, and goes first."""
    CLAIM = "claim"
    FINISH = "finish"
    RETRY = "retry"
    RELEASE = "release"
    """Given back without a try."""
    LOSE = "lose"
    """The lease ran out: its holder died, or hangs."""
    GIVE_UP = "give up"
    REPLAY = "replay"


# The whole law: a move that is not listed is a bug of ours.
MOVES: dict[tuple[State, Move], State] = {
    (State.WAITING, Move.ADVANCE): State.READY,
    (State.READY, Move.YIELD): State.WAITING,
    (State.READY, Move.CLAIM): State.LEASED,
    (State.LEASED, Move.FINISH): State.DONE,
    (State.LEASED, Move.RETRY): State.READY,
    (State.LEASED, Move.RELEASE): State.READY,
    (State.LEASED, Move.LOSE): State.READY,
    (State.LEASED, Move.GIVE_UP): State.DEAD,
    (State.DONE, Move.REPLAY): State.READY,
    (State.DEAD, Move.REPLAY): State.READY,
}


class LeaseId(NamedTuple):
    """The right to attempt a delivery, and to say how that went."""

    delivery: int
    attempt: int
    """The fence: only the latest attempt's holder is heard."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message owed to one target."""

    id: int
    """Grows with its message: the order of an order key, among equal ranks."""
    message: int
    target: str
    order_key: str | None
    state: State
    due_at: float
    """READY: when it may be claimed. LEASED: when its lease runs out. Else the last such time."""
    attempts: int = 0
    """How often it was claimed, ever. Counted at the claim, so that an attempt that kills its
    process is counted too."""
    failures: int = 0
    """Attempts in vain since it was made or replayed: what a retry schedule goes by."""
    crashes: int = 0
    """Those of them that ended with a lost lease."""
    claimed_at: float | None = None
    settled_at: float | None = None
    """When it became DONE or DEAD; None while it is owed."""
    detail: str = ""
    """What the latest attempt left behind."""
    rank: float = 0.0
    """Its message's: who goes first within an order key, before the id."""

    @property
    def lease(self) -> LeaseId:
        """The id of its present lease, or of the latest one."""
        return LeaseId(self.id, self.attempts)


# --- outcomes: what the holder of a lease says -----------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """The target has it: nothing more is owed."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt was in vain: once more in *wait_seconds*."""

    wait_seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Dead:
    """Given up: no further attempt would help, or enough were made."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """Not tried after all, because the worker stops: due at once, and no failure."""

    detail: str = ""


Outcome = Done | Retry | Dead | Release

OUTCOME_MOVES: dict[type, Move] = {
    Done: Move.FINISH,
    Retry: Move.RETRY,
    Dead: Move.GIVE_UP,
    Release: Move.RELEASE,
}


class Result(Enum):
    """How an attempt ended."""

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"
    RELEASED = "released"
    LOST = "lost"


OUTCOME_RESULTS: dict[type, Result] = {
    Done: Result.DONE,
    Retry: Result.RETRY,
    Dead: Result.DEAD,
    Release: Result.RELEASED,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery; written when it has ended, and never changed."""

    delivery: int
    number: int
    started_at: float
    ended_at: float
    """For a lost one, when the next claim found it lost."""
    result: Result
    detail: str = ""


# --- the moves -------------------------------------------------------------------------------


def claimed(delivery: Delivery, *, now: float, lease_seconds: float) -> Delivery:
    """Return *delivery* leased until *lease_seconds* from *now*."""
    return replace(
        delivery,
        state=_next(delivery, Move.CLAIM),
        attempts=delivery.attempts + 1,
        claimed_at=now,
        due_at=now + lease_seconds,
    )


def lost(delivery: Delivery, *, now: float) -> tuple[Delivery, Attempt]:
    """Return *delivery* freed from a lease that ran out, and the attempt that came to nothing."""
    state = _next(delivery, Move.LOSE)
    detail = "the lease ran out: the worker died or hung"
    freed = replace(
        delivery,
        state=state,
        failures=delivery.failures + 1,
        crashes=delivery.crashes + 1,
        due_at=now,
        detail=detail,
    )
    return freed, _attempt(delivery, Result.LOST, detail, now)


def is_held(delivery: Delivery, lease: LeaseId) -> bool:
    """
    Return whether *lease* is still the one that counts.

    A lease that ran out counts until somebody else claims: work that is done is not thrown away
    because it took long.
    """
    return delivery.state is State.LEASED and delivery.lease == lease


def extended(delivery: Delivery, *, now: float, lease_seconds: float) -> Delivery:
    """Return *delivery* with its lease ending *lease_seconds* from *now*."""
    if delivery.state is not State.LEASED:
        raise LocalError(f"delivery {delivery.id} is {delivery.state.value}: no lease to extend")
    return replace(delivery, due_at=now + lease_seconds)


def settled(delivery: Delivery, outcome: Outcome, *, now: float) -> tuple[Delivery, Attempt]:
    """
    Return *delivery* as *outcome* leaves it, and the attempt for the record.

    The caller's duty: `is_held` first. Where the new state `is_settled`, the next one of the
    order key is to be `advanced`, in the same transaction.
    """
    state = _next(delivery, OUTCOME_MOVES[type(outcome)])
    detail = outcome.detail[:DETAIL_CHARACTERS_MAX]
    after = replace(
        delivery,
        state=state,
        due_at=now + outcome.wait_seconds if isinstance(outcome, Retry) else now,
        failures=delivery.failures + isinstance(outcome, Retry | Dead),
        settled_at=now if state.is_settled else None,
        detail=detail,
    )
    return after, _attempt(delivery, OUTCOME_RESULTS[type(outcome)], detail, now)


def advanced(delivery: Delivery) -> Delivery:
    """Return *delivery*, whose turn has come, ready."""
    return replace(delivery, state=_next(delivery, Move.ADVANCE))


def gives_way(head: Delivery, *, rank: float) -> bool:
    """Return whether *head* of an order key lets one of *rank* go first, which has just come."""
    return head.state is State.READY and head.rank > rank


def yielded(delivery: Delivery) -> Delivery:
    """Return *delivery*, which `gives_way`, waiting; a retry's time stays what it was."""
    return replace(delivery, state=_next(delivery, Move.YIELD))


def replayed(delivery: Delivery, *, due_at: float, has_head: bool) -> Delivery:
    """
    Return *delivery* owed again from *due_at* on, with a fresh count of failures.

    With *has_head*, another one of its order key is not settled: it waits its turn, which by
    its rank and its id comes before that of all younger ones.
    """
    ready = _next(delivery, Move.REPLAY)
    return replace(
        delivery,
        state=State.WAITING if has_head else ready,
        due_at=due_at,
        failures=0,
        crashes=0,
        settled_at=None,
    )


def _next(delivery: Delivery, move: Move) -> State:
    try:
        return MOVES[delivery.state, move]
    except KeyError:
        raise LocalError(
            f"delivery {delivery.id} is {delivery.state.value} and cannot {move.value}"
        ) from None


def _attempt(delivery: Delivery, result: Result, detail: str, now: float) -> Attempt:
    started = now if delivery.claimed_at is None else delivery.claimed_at
    return Attempt(delivery.id, delivery.attempts, started, now, result, detail)
