"""The store in a database that somebody else connects to: an ORM's engine, a framework."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from threading import Lock
from typing import Any, TypeVar

from hookloop.clock import Clock
from hookloop.errors import ConfigError, HookloopError, LocalError, StoreError

from .dialect import Query
from .message import DEDUPE_SECONDS
from .postgres_proof import SETTINGS, proved
from .sql_steps import SqlSteps, Steps
from .sql_store import SqlStore
from .steady_clock import SteadyClock
from .store import Durability, Store
from .your_transaction import Rows, arun, dialect_of, run

__all__ = ["ConnectionStore"]

OWN_FAULTS = {"DataError", "IntegrityError", "ProgrammingError"}
"""Of PEP 249: what a single call did wrong; all else is the database's."""

FULL = 2

Answer = TypeVar("Answer")
Begin = Callable[[], AbstractContextManager[Any]]
ABegin = Callable[[], AbstractAsyncContextManager[Any]]


class ConnectionStore(SqlStore):
    """
    A ledger in tables that begin with ``hookloop_``, made by somebody else.

    Its transactions are what *begin* (in a thread) or *abegin* gives. Made by `open`.
    """

    def __init__(
        self, steps: SqlSteps, *, name: str, durability: Durability, begin: Begin | None,
        abegin: ABegin | None,
    ) -> None:  # fmt: skip
        super().__init__(steps, name=name, durability=durability)
        self._begin = begin
        self._abegin = abegin
        self._clock: SteadyClock | None = None
        # SQLite has one writer: who waits here does not run into its busy timeout.
        self._turn = Lock()

    @classmethod
    async def open(
        cls,
        *,
        name: str,
        begin: Begin | None = None,
        abegin: ABegin | None = None,
        clock: Clock | None = None,
        dedupe_seconds: float = DEDUPE_SECONDS,
    ) -> "ConnectionStore":
        """
        Return the ledger that is reached by *begin* or *abegin*, once it has proved what it keeps.

        Raises `ConfigError` for a database that keeps no promises, `StoreError` for one that
        cannot be reached.
        """

        def prove(conn: Any) -> tuple[SqlSteps, Durability]:
            dialect = dialect_of(conn)
            steps = SqlSteps(dialect, dedupe_seconds=dedupe_seconds)
            if dialect.name == "postgresql":
                return steps, run(conn, lambda _: _proved(name), dialect=dialect)
            return steps, run(conn, lambda _: _proved_sqlite(name), dialect=dialect)

        if (begin is None) == (abegin is None):
            raise ConfigError("a store needs one way to begin a transaction")
        try:
            if abegin is not None:
                async with abegin() as conn:
                    steps, durability = await conn.run_sync(prove)
            elif begin is not None:
                steps, durability = await asyncio.to_thread(_within, begin, prove)
        except Exception as error:
            raise _translated(error, name) from error
        store = cls(steps, name=name, durability=durability, begin=begin, abegin=abegin)
        store._clock = SteadyClock(clock) if clock is not None else None
        return store

    def use(self, *, begin: Begin | None = None, abegin: ABegin | None = None) -> None:
        """Begin transactions by these from now on: the first one may have had more to do."""
        self._begin, self._abegin = begin, abegin

    async def _write(self, name: str, steps: Callable[[float | None], Steps[Answer]]) -> Answer:
        del name
        now = self._clock.now() if self._clock is not None else None
        return await self._run(lambda: self._locked(steps(now)))

    async def _read(self, steps: Callable[[], Steps[Answer]]) -> Answer:
        return await self._run(steps)

    def _locked(self, steps: Steps[Answer]) -> Steps[Answer]:
        """In SQLite nothing may be read before the write lock is ours."""
        if self._steps.dialect.name == "sqlite":
            yield self._steps.dialect.begin_writing()
        return (yield from steps)

    async def _run(self, steps: Callable[[], Steps[Answer]]) -> Answer:
        self._require_open()
        dialect = self._steps.dialect
        try:
            if self._abegin is not None:
                async with self._abegin() as conn:
                    return await arun(conn, lambda _: steps(), dialect=dialect)
            return await asyncio.to_thread(self._run_now, steps)
        except Exception as error:
            raise _translated(error, self.name) from error

    def _run_now(self, steps: Callable[[], Steps[Answer]]) -> Answer:
        assert self._begin is not None  # noqa: S101  # `open` has seen to one of the two
        dialect = self._steps.dialect
        if dialect.name != "sqlite":
            return _within(self._begin, lambda conn: run(conn, lambda _: steps(), dialect=dialect))
        with self._turn:
            return _within(self._begin, lambda conn: run(conn, lambda _: steps(), dialect=dialect))


def _within(begin: Begin, work: Callable[[Any], Answer]) -> Answer:
    with begin() as conn:
        return work(conn)


def _proved(name: str) -> Steps[Durability]:
    marks = ", ".join("?" for _ in SETTINGS)
    rows = yield Query(
        f"SELECT name, setting FROM pg_settings WHERE name IN ({marks})",  # noqa: S608  # marks
        SETTINGS,
    )
    [(standbys,)] = yield Query("SELECT count(*) FROM pg_stat_replication")
    return proved(dict(rows) | {"standbys": str(standbys)}, name=name, accept_loss=False)


def _proved_sqlite(name: str) -> Steps[Durability]:
    rows: Rows = yield Query("PRAGMA synchronous")
    if rows[0][0] < FULL:
        raise ConfigError(
            f"{name} runs with synchronous={rows[0][0]}, and would lose what it acknowledged when "
            "the power fails: set PRAGMA synchronous=FULL on each connection"
        )
    return Durability(outlives_kill=True, outlives_power_loss=True, loss_window="")


def _translated(error: Exception, name: str) -> Exception:
    if isinstance(error, HookloopError):
        return error
    kind = type(error).__name__
    if kind in OWN_FAULTS:
        return LocalError(f"the ledger {name} was asked for nonsense ({kind}), or has no tables")
    return StoreError(
        f"the ledger {name} cannot be reached or written ({kind}): nothing is acknowledged until "
        "its database is well again"
    )


def _is_a_store(store: ConnectionStore) -> Store:
    """For the type checker: what it returns must keep the whole protocol."""
    return store
