"""What every store of `sql_steps` shares: calls that become transactions, several in one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from hookloop.errors import StoreError

from .batches import Batches
from .bell import Bell
from .delivery import Attempt, Delivery, LeaseId, Outcome
from .message import Message, NewMessage, Receipt
from .sql_steps import SqlSteps, Steps
from .store import Durability, Lease, Retention, Selection, Tally

__all__ = ["SqlStore"]

Answer = TypeVar("Answer")


class SqlStore(ABC):
    """The calls of `Store`; how a transaction is made is for those that derive from it."""

    def __init__(self, steps: SqlSteps, *, name: str, durability: Durability) -> None:
        self.durability: Durability = durability
        self.name = name
        """The server and the database, without the password."""
        self._steps = steps
        self._bell = Bell()
        self._is_closed = False
        self._appends = Batches(self._append_all)
        self._settles = Batches(self._settle_all)

    @abstractmethod
    async def _write(self, name: str, steps: Callable[[float | None], Steps[Answer]]) -> Answer:
        """Return what *steps* answer, once it is committed; told the time where we have a clock."""

    @abstractmethod
    async def _read(self, steps: Callable[[], Steps[Answer]]) -> Answer:
        """Return what *steps* read, all of it as it was at one moment."""

    # --- the way of a delivery --------------------------------------------------------------

    async def append(self, messages: Sequence[NewMessage]) -> list[Receipt]:
        self._require_open()
        receipts = await self._appends.ask(tuple(messages))
        self._bell.ring({target for message in messages for target in message.targets})
        return receipts

    async def _append_all(self, calls: Sequence[Sequence[NewMessage]]) -> list[list[Receipt]]:
        together = [message for messages in calls for message in messages]
        receipts = iter(await self._write("append", lambda now: self._steps.append(together, now)))
        return [[next(receipts) for _ in messages] for messages in calls]

    async def claim(
        self, room: Mapping[str, int], *, limit: int, lease_seconds: float
    ) -> list[Lease]:
        return await self._write(
            "claim",
            lambda now: self._steps.claim(room, now, limit=limit, lease_seconds=lease_seconds),
        )

    async def extend(self, leases: Collection[LeaseId], *, lease_seconds: float) -> set[LeaseId]:
        return await self._write(
            "extend", lambda now: self._steps.extend(leases, now, lease_seconds=lease_seconds)
        )

    async def settle(self, outcomes: Mapping[LeaseId, Outcome]) -> set[LeaseId]:
        self._require_open()
        heard = await self._settles.ask(dict(outcomes))
        self._bell.ring(set(heard.values()))
        return set(heard)

    async def _settle_all(
        self, calls: Sequence[Mapping[LeaseId, Outcome]]
    ) -> list[dict[LeaseId, str]]:
        together: dict[LeaseId, Outcome] = {}
        first: dict[LeaseId, int] = {}
        for number, outcomes in enumerate(calls):
            for lease, outcome in outcomes.items():
                if lease not in together:  # the second to settle the same is not heard
                    together[lease], first[lease] = outcome, number
        heard = await self._write("settle", lambda now: self._steps.settle(together, now))
        return [
            {lease: target for lease, target in heard.items() if first[lease] == number}
            for number in range(len(calls))
        ]

    async def forfeit(self, targets: Collection[str]) -> int:
        count = await self._write("forfeit", lambda now: self._steps.forfeit(targets, now))
        self._bell.ring(targets)
        return count

    # --- what a person asks for -------------------------------------------------------------

    async def replay(self, where: Selection, *, per_second: float | None = None) -> int:
        targets = await self._write(
            "replay", lambda now: self._steps.replay(where, now, per_second=per_second)
        )
        self._bell.ring(set(targets))
        return len(targets)

    async def find(self, where: Selection, *, limit: int, after: int = 0) -> list[Delivery]:
        return await self._read(lambda: self._steps.find(where, limit=limit, after=after))

    async def message(self, wanted: int) -> Message | None:
        return await self._read(lambda: self._steps.message(wanted))

    async def attempts(self, delivery: int) -> list[Attempt]:
        return await self._read(lambda: self._steps.attempts(delivery))

    async def tally(self, target: str) -> Tally:
        return await self._read(lambda: self._steps.tally(target))

    # --- housekeeping -----------------------------------------------------------------------

    async def prune(self, retention: Retention, *, limit: int) -> int:
        return await self._write(
            "prune", lambda now: self._steps.prune(retention, now, limit=limit)
        )

    async def wait_due(self, targets: Collection[str], seconds: float) -> None:
        await self._bell.wait(targets, seconds)

    async def close(self) -> None:
        if not self._is_closed:
            await self._finish()

    async def _finish(self) -> None:
        self._is_closed = True
        await self._appends.finish()
        await self._settles.finish()

    def _require_open(self) -> None:
        if self._is_closed:
            raise StoreError(f"the ledger {self.name} is closed")
