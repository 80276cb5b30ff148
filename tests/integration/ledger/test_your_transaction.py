"""A ledger's words in a user's transaction, by every driver there is: one commit, one rollback."""

import asyncio
import contextlib
import sqlite3
from dataclasses import dataclass

import apsw
import asyncpg
import psycopg
import pytest
import sqlalchemy
from postgres_server import emptied, shared_database
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from hookloop.errors import ConfigError
from hookloop.ledger import your_transaction
from hookloop.ledger.delivery import Done, State
from hookloop.ledger.message import NewMessage
from hookloop.ledger.postgres import PostgresStore
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.store import Selection
from hookloop.ledger.your_transaction import LeaseLostError

NEW = NewMessage("s", b"\x00body\xff", ("app",), key="k", order_key="line")
MAKE = "CREATE TABLE effect (key text)"
EFFECT = "INSERT INTO effect VALUES ('done')"


class BackOutError(Exception):
    """The handler raises."""


@dataclass
class Blocking:
    """A driver whose transaction is a `with` block."""

    begin: object

    async def run(self, url, work) -> None:
        def main() -> None:
            with self.begin(url) as (conn, execute):
                execute(EFFECT)
                work(conn)

        await asyncio.to_thread(main)

    @staticmethod
    def settle(lease):
        return lambda conn: your_transaction.settle(conn, lease, Done("ours"))

    @staticmethod
    def append(conn):
        assert not your_transaction.append(conn, [NEW])[0].is_duplicate
        assert your_transaction.append(conn, [NEW])[0].is_duplicate


@dataclass
class Awaited:
    """A driver whose transaction is an `async with` block."""

    begin: object

    async def run(self, url, work) -> None:
        async with self.begin(url) as (conn, execute):
            await execute(EFFECT)
            await work(conn)

    @staticmethod
    def settle(lease):
        return lambda conn: your_transaction.asettle(conn, lease, Done("ours"))

    @staticmethod
    async def append(conn):
        assert not (await your_transaction.aappend(conn, [NEW]))[0].is_duplicate
        assert (await your_transaction.aappend(conn, [NEW]))[0].is_duplicate


@contextlib.contextmanager
def by_sqlite3(path):
    conn = sqlite3.connect(path)
    try:
        with conn:
            yield conn, conn.execute
    finally:
        conn.close()


@contextlib.contextmanager
def by_apsw(path):
    conn = apsw.Connection(str(path))
    try:
        with conn:
            yield conn, conn.execute
    finally:
        conn.close()


@contextlib.contextmanager
def by_psycopg(url):
    with psycopg.connect(url) as conn:
        yield conn, conn.execute


@contextlib.asynccontextmanager
async def by_async_psycopg(url):
    async with await psycopg.AsyncConnection.connect(url) as conn:
        yield conn, conn.execute


@contextlib.asynccontextmanager
async def by_asyncpg(url):
    conn = await asyncpg.connect(url)
    try:
        async with conn.transaction():
            yield conn, conn.execute
    finally:
        await conn.close()


def engine_of(url, driver):
    if str(url).startswith("postgresql:"):
        return "postgresql+" + driver + str(url).removeprefix("postgresql")
    return f"sqlite:///{url}"


def by_sqlalchemy(driver):
    @contextlib.contextmanager
    def begin(url):
        engine = sqlalchemy.create_engine(engine_of(url, driver))
        try:
            with engine.begin() as conn:
                yield conn, lambda sql: conn.execute(sqlalchemy.text(sql))
        finally:
            engine.dispose()

    return begin


@contextlib.contextmanager
def by_session(url):
    engine = sqlalchemy.create_engine(engine_of(url, "psycopg"))
    try:
        with Session(engine) as session, session.begin():
            yield session, lambda sql: session.execute(sqlalchemy.text(sql))
    finally:
        engine.dispose()


@contextlib.asynccontextmanager
async def by_async_sqlalchemy(url):
    engine = create_async_engine(engine_of(url, "asyncpg"))
    try:
        async with engine.begin() as conn:
            yield conn, lambda sql: conn.execute(sqlalchemy.text(sql))
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def by_async_session(url):
    engine = create_async_engine(engine_of(url, "psycopg"))
    try:
        async with AsyncSession(engine) as session, session.begin():
            yield session, lambda sql: session.execute(sqlalchemy.text(sql))
    finally:
        await engine.dispose()


ON_POSTGRES = {
    "psycopg": Blocking(by_psycopg),
    "async psycopg": Awaited(by_async_psycopg),
    "asyncpg": Awaited(by_asyncpg),
    "SQLAlchemy, psycopg": Blocking(by_sqlalchemy("psycopg")),
    "SQLAlchemy, a session": Blocking(by_session),
    "async SQLAlchemy, asyncpg": Awaited(by_async_sqlalchemy),
    "async SQLAlchemy, a session": Awaited(by_async_session),
}
ON_SQLITE = {"apsw": Blocking(by_apsw), "sqlite3": Blocking(by_sqlite3),
             "SQLAlchemy, sqlite3": Blocking(by_sqlalchemy(""))}  # fmt: skip


class OnPostgres:
    """A ledger and a user's table in one database."""

    def __init__(self, _folder) -> None:
        self.url = shared_database()

    @contextlib.asynccontextmanager
    async def store(self):
        store = await PostgresStore.open(self.url)
        try:
            yield store
        finally:
            await store.close()

    async def make(self) -> None:
        async with self.store():
            await emptied(self.url)
        conn = await asyncpg.connect(self.url)
        await conn.execute(f"DROP TABLE IF EXISTS effect; {MAKE}")
        await conn.close()

    async def effects(self) -> int:
        conn = await asyncpg.connect(self.url)
        count = await conn.fetchval("SELECT count(*) FROM effect")
        await conn.close()
        return count


class OnSqlite:
    """
    The same in one file. The store is never open while the user's driver is: two SQLite
    libraries in one process do not see each other's locks.
    """

    def __init__(self, folder) -> None:
        self.url = folder / "app.db"

    @contextlib.asynccontextmanager
    async def store(self):
        store = SqliteStore(self.url)
        try:
            yield store
        finally:
            await store.close()

    async def make(self) -> None:
        async with self.store():
            pass
        with contextlib.closing(apsw.Connection(str(self.url))) as conn:
            conn.execute(MAKE)

    async def effects(self) -> int:
        with contextlib.closing(apsw.Connection(str(self.url))) as conn:
            return conn.execute("SELECT count(*) FROM effect").get


@pytest.fixture(params=ON_POSTGRES | ON_SQLITE)
def place(request, tmp_path):
    """A database with a ledger and a user's table, and a driver to it."""
    place = OnSqlite(tmp_path) if request.param in ON_SQLITE else OnPostgres(tmp_path)
    asyncio.run(place.make())
    place.driver = (ON_POSTGRES | ON_SQLITE)[request.param]
    return place


async def claimed(place, *, seconds=30.0):
    async with place.store() as store:
        leases = await store.claim({"app": 1}, limit=1, lease_seconds=seconds)
        return leases[0].id if leases else None


async def deliveries(place):
    async with place.store() as store:
        return await store.find(Selection(), limit=10)


def test_rows_and_acknowledgement_are_one_commit(place):
    """And the next one of the line goes ahead in it."""

    async def main():
        async with place.store() as store:
            await store.append([NEW, NewMessage("s", b"", ("app",), order_key="line")])
        lease = await claimed(place)

        await place.driver.run(place.url, place.driver.settle(lease))

        assert await place.effects() == 1
        done, following = await deliveries(place)
        assert (done.state, done.detail, following.state) == (State.DONE, "ours", State.READY)

    asyncio.run(main())


def test_a_handler_that_raises_leaves_neither(place):
    """The delivery is leased as before, and its holder may retry it."""

    async def main():
        async with place.store() as store:
            await store.append([NEW])
        lease = await claimed(place)
        settle = place.driver.settle(lease)

        async def fail(conn):
            await settle(conn)
            raise BackOutError

        def fail_at_once(conn):
            settle(conn)
            raise BackOutError

        is_blocking = isinstance(place.driver, Blocking)
        with pytest.raises(BackOutError):
            await place.driver.run(place.url, fail_at_once if is_blocking else fail)

        assert await place.effects() == 0
        assert [delivery.state for delivery in await deliveries(place)] == [State.LEASED]

    asyncio.run(main())


def test_a_lost_lease_rolls_the_work_back(place):
    """The worker was too slow; another one has the delivery, and does the work once."""

    async def main():
        async with place.store() as store:
            await store.append([NEW])
        stale = await claimed(place, seconds=0.0)
        heir = await claimed(place)

        with pytest.raises(LeaseLostError, match="attempt 1"):
            await place.driver.run(place.url, place.driver.settle(stale))
        await place.driver.run(place.url, place.driver.settle(heir))

        assert await place.effects() == 1

    asyncio.run(main())


def test_a_message_is_kept_with_the_commit_and_not_without(place):
    """The outbox of a product, and its dedupe: bytes as they were."""

    async def main():
        async def fail(conn):
            await place.driver.append(conn)
            raise BackOutError

        def fail_at_once(conn):
            place.driver.append(conn)
            raise BackOutError

        is_blocking = isinstance(place.driver, Blocking)
        with pytest.raises(BackOutError):
            await place.driver.run(place.url, fail_at_once if is_blocking else fail)
        assert await deliveries(place) == []

        await place.driver.run(place.url, place.driver.append)

        [delivery] = await deliveries(place)
        async with place.store() as store:
            assert (await store.message(delivery.message)).body == NEW.body
        assert await place.effects() == 1

    asyncio.run(main())


def test_without_a_transaction_nothing_is_written(tmp_path):
    """It would be two commits that look like one."""
    place = OnSqlite(tmp_path)
    asyncio.run(place.make())
    plain = sqlite3.connect(place.url, isolation_level=None)
    with pytest.raises(ConfigError, match="no transaction"):
        your_transaction.append(plain, [NEW])
    plain.close()
    with psycopg.connect(shared_database(), autocommit=True) as conn:
        with pytest.raises(ConfigError, match="no transaction"):
            your_transaction.append(conn, [NEW])
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_what_is_no_connection_is_named(tmp_path):
    """And a driver of the other kind is told which function it needs."""
    with pytest.raises(ConfigError, match=r"builtins\.object"):
        your_transaction.append(object(), [NEW])
    with sqlite3.connect(tmp_path / "x.db") as conn, pytest.raises(ConfigError, match="not await"):
        asyncio.run(your_transaction.aappend(conn, [NEW]))
    conn.close()


def test_an_order_key_in_a_stricter_transaction_is_refused():
    """With an old snapshot the line could be left without a head, for ever."""
    place = OnPostgres(None)
    asyncio.run(place.make())
    with psycopg.connect(place.url) as conn:
        conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        with pytest.raises(ConfigError, match="READ COMMITTED"):
            your_transaction.append(conn, [NEW])


def test_a_commit_of_yours_that_holds_ours_is_durable():
    """A database whose default is to lose the last moments would lose an acknowledged message."""
    place = OnPostgres(None)
    asyncio.run(place.make())
    with psycopg.connect(place.url) as conn:
        conn.execute("SET synchronous_commit = off")
        your_transaction.append(conn, [NEW])
        assert conn.execute("SHOW synchronous_commit").fetchone() == ("on",)
        conn.commit()
        assert conn.execute("SHOW synchronous_commit").fetchone() == ("off",)
