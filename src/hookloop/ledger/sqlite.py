"""
The store in a SQLite file: one writer with group commit, and readers beside it.

Write-ahead log, ``synchronous=FULL``: an acknowledged call is on the disk. The moves themselves
are decided in `delivery`; here are the two connections, the statements are in `sqlite_rows`.

Never open the file of a running store with Python's `sqlite3` in the same process: that is a
second SQLite library, and the locks of one process do not hold its two libraries apart.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import apsw

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError, StoreError

from . import sqlite_rows as rows
from .bell import Bell
from .delivery import Attempt, Delivery, LeaseId, Outcome
from .group_commit import GroupCommit, Points
from .message import DEDUPE_SECONDS, Message, NewMessage, Receipt
from .migrate import migrate
from .numbered_steps import numbered_steps
from .proof import prove
from .sqlite_handle import Handle
from .steady_clock import SteadyClock
from .store import Durability, Lease, Retention, Selection, Store, Tally

__all__ = ["BUSY_SECONDS", "SqliteStore"]

BUSY_SECONDS = 2.0
"""How long to wait for another process that writes: Shopify waits 5 s for an answer in all."""

Answer = TypeVar("Answer")


class SqliteStore:
    """
    A ledger in the file *path*, which is made where there is none.

    Raises `ConfigError` for a file that is not a ledger or whose disk keeps no promises
    (`proof.prove`), and `StoreError` where it cannot be opened. Several processes may share the
    file; each is woken for what the others append by its own polling. The owner's duty: `close`.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock | None = None,
        dedupe_seconds: float = DEDUPE_SECONDS,
        points: Points = lambda _: None,
    ) -> None:
        self.path = path
        self._dedupe_seconds = dedupe_seconds
        try:
            handle = Handle(str(path), self._connect)
            with handle.using() as writer:
                self.durability: Durability = prove(writer, path)
                migrate(writer, str(path), numbered_steps("schema"))
                newest = rows.newest_time(writer)
            self._reader = Handle(str(path), self._connect)
        except apsw.Error as error:
            raise StoreError(
                f"the ledger {path} cannot be opened ({type(error).__name__}: {error}): look at "
                "its folder's permissions and at the space on its disk"
            ) from error
        self._is_closed = False
        self._bell = Bell()
        self._clock = SteadyClock(clock or SystemClock(), not_before=newest)
        self._writer = GroupCommit(handle, name=str(path), points=points)

    def _connect(self) -> apsw.Connection:
        if self.path.is_dir():
            raise ConfigError(f"{self.path} is a folder: name a file for the ledger")
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        # Only macOS knows these; without them its fsync leaves the bytes in the drive's cache.
        connection.pragma("fullfsync", "on")
        connection.pragma("checkpoint_fullfsync", "on")
        return connection

    # --- the way of a delivery --------------------------------------------------------------

    async def append(self, messages: Sequence[NewMessage]) -> list[Receipt]:
        kept = self._dedupe_seconds
        receipts = await self._write(
            "append",
            lambda db, now: [rows.append(db, new, now=now, until=now + kept) for new in messages],
        )
        self._bell.ring({target for message in messages for target in message.targets})
        return receipts

    async def claim(
        self, room: Mapping[str, int], *, limit: int, lease_seconds: float
    ) -> list[Lease]:
        return await self._write(
            "claim",
            lambda db, now: rows.claim(db, room, limit=limit, now=now, lease_seconds=lease_seconds),
        )

    async def extend(self, leases: Collection[LeaseId], *, lease_seconds: float) -> set[LeaseId]:
        return await self._write(
            "extend",
            lambda db, now: rows.extend(db, leases, now=now, lease_seconds=lease_seconds),
        )

    async def settle(self, outcomes: Mapping[LeaseId, Outcome]) -> set[LeaseId]:
        heard = await self._write("settle", lambda db, now: rows.settle(db, outcomes, now=now))
        self._bell.ring(set(heard.values()))
        return set(heard)

    async def forfeit(self, targets: Collection[str]) -> int:
        count = await self._write("forfeit", lambda db, now: rows.forfeit(db, targets, now=now))
        self._bell.ring(targets)
        return count

    # --- what a person asks for -------------------------------------------------------------

    async def replay(self, where: Selection, *, per_second: float | None = None) -> int:
        targets = await self._write(
            "replay", lambda db, now: rows.replay(db, where, now=now, per_second=per_second)
        )
        self._bell.ring(set(targets))
        return len(targets)

    async def find(self, where: Selection, *, limit: int, after: int = 0) -> list[Delivery]:
        return await self._read(lambda db: rows.find(db, where, limit=limit, after=after))

    async def message(self, wanted: int) -> Message | None:
        return await self._read(lambda db: rows.message(db, wanted))

    async def attempts(self, delivery: int) -> list[Attempt]:
        return await self._read(lambda db: rows.attempts(db, delivery))

    async def tally(self, target: str) -> Tally:
        return await self._read(lambda db: rows.tally(db, target))

    # --- housekeeping -----------------------------------------------------------------------

    async def prune(self, retention: Retention, *, limit: int) -> int:
        return await self._write(
            "prune", lambda db, now: rows.prune(db, retention, limit=limit, now=now)
        )

    async def wait_due(self, targets: Collection[str], seconds: float) -> None:
        await self._bell.wait(targets, seconds)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._is_closed = True
        self._reader.close()

    # --- the connections --------------------------------------------------------------------

    async def _write(self, name: str, work: Callable[[apsw.Connection, float], Answer]) -> Answer:
        """Return what *work* returns, once it is on the disk; it is handed the time of its turn."""
        return await self._writer.run(name, lambda db: work(db, self._clock.now()))

    async def _read(self, work: Callable[[apsw.Connection], Answer]) -> Answer:
        """Return what *work* reads, in one transaction, of what is on the disk."""
        return await asyncio.to_thread(self._read_now, work)

    def _read_now(self, work: Callable[[apsw.Connection], Answer]) -> Answer:
        if self._is_closed:
            raise StoreError(f"the ledger {self.path} cannot be read: it is closed")
        try:
            with self._reader.using() as reader, contextlib.ExitStack() as end:
                reader.execute("BEGIN")
                end.callback(reader.execute, "COMMIT")
                return work(reader)
        except apsw.Error as error:
            raise StoreError(
                f"the ledger {self.path} cannot be read ({type(error).__name__}: {error})"
            ) from error


def _is_a_store(store: SqliteStore) -> Store:
    """For the type checker: what it returns must keep the whole protocol."""
    return store
