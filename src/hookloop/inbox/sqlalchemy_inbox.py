"""
An inbox in the database of your SQLAlchemy engine, sync or async, Postgres or SQLite.

    hooks = Hooks(secrets="whsec_...", inbox=SQLAlchemyInbox(engine))

`metadata` is for Alembic: add it to ``target_metadata``, and autogenerate makes the tables.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import sqlalchemy as sa

from hookloop.errors import ConfigError
from hookloop.ledger.connection_store import ConnectionStore
from hookloop.ledger.delivery import Done
from hookloop.ledger.store import Lease, Store
from hookloop.ledger.your_transaction import asettle, settle

from .backend import Transactions

__all__ = ["SQLAlchemyInbox", "metadata"]

metadata = sa.MetaData()
"""The tables of a ledger, as `hookloop.ledger.postgres` would make them."""

_big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> "sa.Column[Any]":
    return sa.Column("id", _big, sa.Identity(always=False), primary_key=True)


sa.Table(
    "hookloop_message",
    metadata,
    _id(),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("key", sa.Text),
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("head", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("hookloop_message_received", "received_at"),
    sqlite_autoincrement=True,
)
sa.Table(
    "hookloop_dedupe",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("message", _big, nullable=False),
    sa.Column("body_sha256", sa.LargeBinary, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
    sa.Index("hookloop_dedupe_until", "until"),
)
_delivery = sa.Table(
    "hookloop_delivery",
    metadata,
    _id(),
    sa.Column("message", _big, sa.ForeignKey("hookloop_message.id"), nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("order_key", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False),
    sa.Column("attempts", _big, nullable=False),
    sa.Column("failures", _big, nullable=False),
    sa.Column("crashes", _big, nullable=False),
    sa.Column("claimed_at", sa.Double),
    sa.Column("settled_at", sa.Double),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("rank", sa.Double, nullable=False, server_default=sa.text("0")),
    sqlite_autoincrement=True,
)


def _index(name: str, *columns: str, where: str, unique: bool = False) -> None:
    text = sa.text(where)
    sa.Index(
        f"hookloop_delivery_{name}",
        *(_delivery.c[column] for column in columns),
        unique=unique,
        postgresql_where=text,
        sqlite_where=text,
    )


_index("due", "target", "due_at", "id", where="state IN ('ready', 'leased')")
_index(
    "head",
    "target",
    "order_key",
    where="order_key IS NOT NULL AND state IN ('ready', 'leased')",
    unique=True,
)
_index("waiting", "target", "order_key", "rank", "id", where="state = 'waiting'")
_index("settled", "state", "settled_at", where="settled_at IS NOT NULL")
sa.Index("hookloop_delivery_message", _delivery.c.message)
sa.Table(
    "hookloop_attempt",
    metadata,
    sa.Column("delivery", _big, primary_key=True, autoincrement=False),
    sa.Column("number", _big, primary_key=True, autoincrement=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)


class SQLAlchemyInbox:
    """
    A backend for `Hooks(inbox=...)`: its rows lie beside yours, and so do its transactions.

    A handler's ``tx`` is a `Connection` of the engine, an `AsyncConnection` of an async one,
    where handlers that ask for it must be async too. Tables that are missing are made at the
    start. Raises `ConfigError` for what is no engine.
    """

    any_loop = False

    def __init__(self, engine: Any) -> None:
        self._is_async = hasattr(engine, "sync_engine")
        if not self._is_async and not isinstance(engine, sa.Engine):
            raise ConfigError(
                f"a {type(engine).__qualname__} is no engine of SQLAlchemy: pass what "
                "create_engine or create_async_engine returns"
            )
        self._engine = engine
        self.name = engine.url.render_as_string(hide_password=True)

    async def open(self) -> Store:
        if self._is_async:
            store = await ConnectionStore.open(name=self.name, abegin=self._abegin_with_tables)
            store.use(abegin=self._engine.begin)
        else:
            store = await ConnectionStore.open(name=self.name, begin=self._begin_with_tables)
            store.use(begin=self._engine.begin)
        return store

    def transactions(self, _store: Store) -> Transactions:
        return _EngineTransactions(self._engine, is_async=self._is_async)

    @contextmanager
    def _begin_with_tables(self) -> Iterator[Any]:
        with self._engine.begin() as conn:
            metadata.create_all(conn)
            yield conn

    @asynccontextmanager
    async def _abegin_with_tables(self) -> AsyncIterator[Any]:
        async with self._engine.begin() as conn:
            await conn.run_sync(metadata.create_all)
            yield conn


class _EngineTransactions:
    """Transactions of the engine."""

    def __init__(self, engine: Any, *, is_async: bool) -> None:
        self._engine = engine
        self._is_async = is_async

    @contextmanager
    def begin(self, lease: Lease) -> Iterator[Any]:
        if self._is_async:
            raise ConfigError("the engine is async: a handler that asks for tx must be, too")
        with self._engine.begin() as conn:
            yield conn
            settle(conn, lease.id, Done())

    @asynccontextmanager
    async def abegin(self, lease: Lease) -> AsyncIterator[Any]:
        if self._is_async:
            async with self._engine.begin() as conn:
                yield conn
                await asettle(conn, lease.id, Done())
            return
        raise ConfigError("the engine is not async: a handler that asks for tx must not be, either")
