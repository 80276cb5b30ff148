"""
What a person does with entries: look, replay, prune, count.

Functions over a `Store`, shared by the command line, metrics, Django's admin and the inspector.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any

from hookloop.ledger.delivery import Attempt, Delivery, State
from hookloop.ledger.message import Message
from hookloop.ledger.store import FIND_MAX, Retention, Selection, Store, Tally

__all__ = ["EntryView", "Run", "count", "dead", "forget", "replay", "runs", "show"]

PRUNE_BATCH = 500
"""Deliveries of one transaction: whoever accepts meanwhile waits no longer than that takes."""


@dataclass(frozen=True, slots=True)
class Run:
    """One handler's share of an entry: what it is owed, or was."""

    delivery: Delivery
    message: Message | None
    """None where it was pruned between two looks."""

    @property
    def handler(self) -> str:
        """The handler's name; for other targets the whole name of the target."""
        return self.delivery.target.removeprefix("handler:")


@dataclass(frozen=True, slots=True)
class EntryView:
    """All there is about one entry."""

    message: Message
    deliveries: list[Delivery]
    attempts: dict[int, list[Attempt]]
    """By the id of their delivery, oldest first."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it, without the body."""
        return {
            "id": self.message.id,
            "source": self.message.source,
            "type": self.message.type,
            "key": self.message.key,
            "received_at": self.message.received_at,
            "body_bytes": len(self.message.body),
            "deliveries": [
                {
                    "id": one.id,
                    "target": one.target,
                    "state": one.state.value,
                    "due_at": one.due_at,
                    "attempts": one.attempts,
                    "failures": one.failures,
                    "crashes": one.crashes,
                    "detail": one.detail,
                    "history": [
                        {
                            "number": attempt.number,
                            "started_at": attempt.started_at,
                            "ended_at": attempt.ended_at,
                            "result": attempt.result.value,
                            "detail": attempt.detail,
                        }
                        for attempt in self.attempts[one.id]
                    ],
                }
                for one in self.deliveries
            ],
        }


async def runs(store: Store, where: Selection, *, limit: int, after: int = 0) -> list[Run]:
    """Return at most *limit* of what fits *where*, oldest first, with ids above *after*."""
    found = await store.find(where, limit=limit, after=after)
    messages = {number: await store.message(number) for number in {one.message for one in found}}
    return [Run(one, messages[one.message]) for one in found]


async def each_run(store: Store, where: Selection) -> AsyncIterator[Run]:
    """Give all that fits *where*, page by page."""
    after = 0
    while page := await runs(store, where, limit=FIND_MAX, after=after):
        for run in page:
            yield run
        after = page[-1].delivery.id


async def dead(store: Store, *, limit: int, after: int = 0) -> list[Run]:
    """Return what was given up."""
    return await runs(store, Selection(state=State.DEAD), limit=limit, after=after)


async def show(store: Store, message: int) -> EntryView | None:
    """Return all there is about an entry, by its message's id; None where it is not there."""
    kept = await store.message(message)
    if kept is None:
        return None
    deliveries = await store.find(Selection(message=message), limit=FIND_MAX)
    return EntryView(kept, deliveries, {one.id: await store.attempts(one.id) for one in deliveries})


async def replay(store: Store, where: Selection, *, per_second: float | None = None) -> int:
    """Have the settled ones of *where* run again, at most *per_second* of them; say how many."""
    return await store.replay(where, per_second=per_second)


async def forget(store: Store, retention: Retention) -> int:
    """Forget what *retention* does not keep, in small steps, and return how much it was."""
    forgotten = 0
    while count := await store.prune(retention, limit=PRUNE_BATCH):
        forgotten += count
        if count < PRUNE_BATCH:
            break
    return forgotten


async def count(store: Store, targets: Collection[str]) -> dict[str, Tally]:
    """Count what each of *targets* is owed, and was."""
    return {target: await store.tally(target) for target in targets}
