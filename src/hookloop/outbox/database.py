"""
The user's own database, where messages wait between a commit and the ledger.

A statement here is the same text for SQLite and Postgres, with ``?`` for its values.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hookloop.errors import ConfigError, StoreError

__all__ = ["Database", "PostgresDatabase", "Rows", "SqliteDatabase", "Statement", "database_of"]

Statement = tuple[str, Sequence[Any]]
Rows = list[tuple[Any, ...]]

BUSY_SECONDS = 5.0
"""How long to wait for a transaction of the application that writes."""


class Database(Protocol):
    """Runs statements in one transaction. Raises `StoreError` where it cannot now."""

    ledger_url: str
    """Where the ledger is kept, if the user names no other."""

    async def run(self, *statements: Statement) -> list[Rows]:
        """Return the rows of each, once all of them are committed."""
        ...

    async def create(self) -> None:
        """Make the tables where there are none; killed in between, it goes on the next time."""
        ...

    async def close(self) -> None: ...


class SqliteDatabase:
    """
    A file of the application's, by Python's own `sqlite3`, which the application uses as well.

    Two SQLite libraries in one process would undo each other's locks on a file, so the ledger,
    which brings its own, has a file to itself. Raises `ConfigError` for a folder.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir() or not path.parent.is_dir():
            raise ConfigError(f"{path} is no file of the application's: name its database")
        self.ledger_url = f"sqlite:///{path}.outbox"
        self._path = path
        self._lock = asyncio.Lock()

    async def run(self, *statements: Statement) -> list[Rows]:
        async with self._lock:
            return await asyncio.to_thread(self._run, statements)

    def _run(self, statements: Sequence[Statement]) -> list[Rows]:
        try:
            with contextlib.closing(
                sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            ) as conn:
                is_read = all(sql.lstrip().startswith("SELECT") for sql, _ in statements)
                conn.execute("BEGIN" if is_read else "BEGIN IMMEDIATE")
                answers = [conn.execute(sql, values).fetchall() for sql, values in statements]
                conn.execute("COMMIT")
                return answers
        except sqlite3.Error as error:
            raise StoreError(
                f"the outbox in {self._path} cannot be used ({type(error).__name__}: {error})"
            ) from error

    async def create(self) -> None:
        await self.run(*((sql, ()) for sql in _schema("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB")))

    async def close(self) -> None:
        """Each run has closed its connection."""


class PostgresDatabase:
    """The application's Postgres, by asyncpg. The owner's duty: `close`."""

    def __init__(self, url: str) -> None:
        self.ledger_url = url
        self._pool: Any = None

    async def run(self, *statements: Statement) -> list[Rows]:
        import asyncpg

        try:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(self.ledger_url, min_size=0, max_size=4)
            async with self._pool.acquire() as conn, conn.transaction():
                return [
                    [tuple(row) for row in await conn.fetch(_numbered(sql), *values)]
                    for sql, values in statements
                ]
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise StoreError(
                f"the outbox's Postgres cannot be used ({type(error).__name__})"
            ) from error

    async def create(self) -> None:
        # Two that make the same table at the same time would have one of them fail.
        lock = ("SELECT pg_advisory_xact_lock(1213025876)", ())
        number = "BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY"
        await self.run(lock, *((sql, ()) for sql in _schema(number, "BYTEA")))

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


def database_of(url: str) -> Database:
    """Return the database at *url*. Raises `ConfigError` for an unknown kind."""
    kind, _, rest = url.partition("://")
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SqliteDatabase(Path(rest[1:]))
    if kind in ("postgres", "postgresql"):
        return PostgresDatabase(url)
    raise ConfigError(
        "an outbox is in the application's own database: sqlite:///app.db (four slashes for an "
        "absolute path) or postgresql://user@host/name"
    )


def _numbered(sql: str) -> str:
    parts = sql.split("?")
    return "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]


def _schema(number: str, binary: str) -> list[str]:
    return [
        f"""
        CREATE TABLE IF NOT EXISTS hookloop_outbox (
            number {number},
            id TEXT NOT NULL UNIQUE,
            type TEXT NOT NULL,
            account TEXT NOT NULL,
            order_key TEXT,
            body {binary} NOT NULL
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS hookloop_endpoint (
            id TEXT PRIMARY KEY,
            url TEXT NOT NULL,
            secrets TEXT NOT NULL,
            account TEXT NOT NULL,
            enabled_events TEXT NOT NULL,
            disabled_at DOUBLE PRECISION,
            disabled_reason TEXT NOT NULL,
            failing_since DOUBLE PRECISION
        )
        """,
    ]
