"""
What one account holds, as a seam: the pure code above it knows no database.

A store keeps JSON objects by kind and id, deliveries, and the answers that
idempotency keys replay. Objects are values: whoever got one from a store never
changes it, and puts a new one instead.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from .authentication import AccountKey
from .delivery import Delivery
from .idempotency import SavedAnswer

__all__ = ["Changes", "Json", "Page", "PageRequest", "Store", "Task"]

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """What the account has yet to do by itself, such as to settle a charge."""

    due: float
    """Unix seconds."""
    name: str
    """Which of the objects' tasks."""
    subject: str
    """The id of the object it is about."""


@dataclass(slots=True)
class Changes:
    """All that one request, or one attempt, writes: kept together or not at all."""

    objects: list[tuple[str, Json]] = field(default_factory=list)
    """(kind, object) in the order written; an object's ``id`` is its key."""
    removed: list[tuple[str, str]] = field(default_factory=list)
    """(kind, id) to forget: gone from lists and from `Store.find`."""
    events: list[Json] = field(default_factory=list)
    """Event objects in causal order."""
    told_again: list[Json] = field(default_factory=list)
    """Events of before that whoever listens to the account is to hear of once more."""
    deliveries: list[Delivery] = field(default_factory=list)
    """New ones and new states of old ones."""
    tasks: list[Task] = field(default_factory=list)
    """To be done later."""
    done: Task | None = None
    """The task these changes are the outcome of."""
    answer: SavedAnswer | None = None
    """What the request's idempotency key will replay."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which objects of a kind are wanted, newest first."""

    limit: int
    starting_after: str | None = None
    """Only what is older than this object."""
    ending_before: str | None = None
    """Only what is newer than this object, the page next to it."""
    matches: Callable[[Json], bool] | None = None
    """Only objects it is true of; None takes all."""


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a list, newest first."""

    objects: list[Json]
    has_more: bool
    """Whether there are more in the direction of the request."""


class Store(Protocol):
    """One account's state."""

    @property
    def account(self) -> AccountKey:
        """Whose it is."""
        ...

    def find(self, kind: str, wanted: str) -> Json | None:
        """Return the object, or None."""
        ...

    def count(self, kind: str) -> int:
        """Return how many objects of *kind* a list would show."""
        ...

    def everything(self, kind: str) -> Sequence[Json]:
        """Return all objects of *kind*, oldest first: for kinds an account has few of."""
        ...

    def page(self, kind: str, request: PageRequest) -> Page | None:
        """Return a page of *kind*, or None where the cursor names no object."""
        ...

    def deliveries_of(self, event_id: str) -> Sequence[Delivery]:
        """Return what the event was owed to, in the order of the endpoints."""
        ...

    def deliveries_to(self, endpoint_id: str) -> Iterable[Delivery]:
        """Return what the endpoint was ever owed, newest first."""
        ...

    def pending_for(self, endpoint_id: str) -> Sequence[Delivery]:
        """Return what the endpoint has yet to take, oldest first."""
        ...

    def next_task(self) -> Task | None:
        """Return what is due first, or None."""
        ...

    def saved_answer(self, key: str) -> SavedAnswer | None:
        """Return what the idempotency *key* replays, or None."""
        ...

    def commit(self, changes: Changes, *, now: float) -> None:
        """Keep *changes*, all or none; also forget what is older than its retention at *now*."""
        ...
