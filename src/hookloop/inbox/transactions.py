"""The transactions a handler may ask for (``def paid(event, tx)``), on the databases we open."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookloop.errors import ConfigError
from hookloop.ledger.delivery import Done
from hookloop.ledger.store import Lease
from hookloop.ledger.your_transaction import asettle, settle

if TYPE_CHECKING:
    from hookloop.ledger.postgres import PostgresStore

__all__ = ["PostgresTransactions", "SqliteTransactions"]

BUSY_SECONDS = 5.0
"""How long to wait for the file's one writer before the attempt has failed, and is tried again."""


class SqliteTransactions:
    """
    ``tx`` is an `apsw.Connection` to the inbox's own file, where the tables of the handler lie too.

    It has the file's one write lock from its beginning: what comes in waits for its end. Closed
    without a commit, it has rolled back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def begin(self, lease: Lease) -> Iterator[Any]:
        from hookloop.ledger.sqlite_handle import lent

        with lent(str(self._path), self._connect) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            settle(connection, lease.id, Done())
            connection.execute("COMMIT")

    @asynccontextmanager
    async def abegin(self, lease: Lease) -> AsyncIterator[Any]:
        from hookloop.ledger.sqlite_handle import lent

        with lent(str(self._path), self._connect) as connection:
            # In a thread: another handler on this very loop may have the lock.
            await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
            yield connection
            settle(connection, lease.id, Done())
            connection.execute("COMMIT")

    def _connect(self) -> Any:
        import apsw

        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
        connection.pragma("synchronous", "full")
        connection.pragma("fullfsync", "on")
        return connection


class PostgresTransactions:
    """
    ``tx`` is an asyncpg connection for an async handler, one of psycopg for a sync one.

    Both are in a transaction that is ours to end.
    """

    def __init__(self, url: str, store: "PostgresStore") -> None:
        self._url = url
        self._store = store

    @contextmanager
    def begin(self, lease: Lease) -> Iterator[Any]:
        try:
            import psycopg
        except ImportError:
            raise ConfigError(
                "a sync handler that asks for tx is given a connection of psycopg, which is not "
                "installed: pip install 'psycopg[binary]', or make the handler async"
            ) from None

        with psycopg.connect(self._url) as connection, connection.transaction():
            yield connection
            settle(connection, lease.id, Done())

    @asynccontextmanager
    async def abegin(self, lease: Lease) -> AsyncIterator[Any]:
        async with self._store.transaction() as connection:
            yield connection
            await asettle(connection, lease.id, Done())
