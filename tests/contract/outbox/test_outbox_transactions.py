"""A message in your transaction, by every driver there is: it goes where your own rows go."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiosqlite
import apsw
import asyncpg
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa
from outbox_receiver import LOCAL, Receiver, running, until_settled
from postgres_server import emptied, shared_database
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from hookloop.errors import ConfigError
from hookloop.outbox import Outbox, OutboxMessage

DJANGO = Path(__file__).with_name("outbox_django_project.py")
INSERT = "INSERT INTO effect VALUES ('mine')"
NO_TRANSACTION = "no transaction is open"


class BackError(Exception):
    """Has a transaction rolled back, as an error in its middle does."""


def committed_or_not(transact):
    """Run *transact* twice: its first transaction is rolled back, its second one committed."""
    with contextlib.suppress(BackError):
        transact("msg_never", fails=True)
    transact("msg_once", fails=False)


async def acommitted_or_not(transact):
    with contextlib.suppress(BackError):
        await transact("msg_never", fails=True)
    await transact("msg_once", fails=False)


class Ways:
    """
    Each appends ``msg_never`` in a transaction that is rolled back, ``msg_once`` in one that
    commits, both beside a row of its own, and ``msg_bare`` where no transaction is open.
    """

    def __init__(self, outbox: Outbox, url: str) -> None:
        self.outbox = outbox
        self.url = url

    def append(self, conn, id_: str, *, fails: bool = False) -> None:
        assert self.outbox.append_sync(OutboxMessage("a.b", {"n": 1}, id=id_), conn=conn) == id_
        if fails:
            raise BackError

    async def aappend(self, conn, id_: str, *, fails: bool = False) -> None:
        with pytest.raises(ConfigError, match="await"):
            self.outbox.append_sync(OutboxMessage("a.b", id="msg_unawaited"), conn=conn)
        await self.outbox.append(OutboxMessage("a.b", {"n": 1}, id=id_, order_key="k"), conn=conn)
        if fails:
            raise BackError

    def bare(self, conn) -> None:
        with pytest.raises(ConfigError, match=NO_TRANSACTION):
            self.append(conn, "msg_bare")

    async def abare(self, conn) -> None:
        with pytest.raises(ConfigError, match=NO_TRANSACTION):
            await self.aappend(conn, "msg_bare")

    # --- SQLite -----------------------------------------------------------------------------

    def sqlite3(self):
        def transact(id_, *, fails):
            with contextlib.closing(sqlite3.connect(self.url)) as conn, conn:
                conn.execute(INSERT)
                self.append(conn, id_, fails=fails)

        committed_or_not(transact)
        with contextlib.closing(sqlite3.connect(self.url, isolation_level=None)) as conn:
            self.bare(conn)

    def apsw(self):
        conn = apsw.Connection(self.url)

        def transact(id_, *, fails):
            with conn:
                conn.execute(INSERT)
                self.append(conn, id_, fails=fails)

        committed_or_not(transact)
        self.bare(conn)
        conn.close()

    async def aiosqlite(self):
        async def transact(id_, *, fails):
            async with aiosqlite.connect(self.url) as conn:
                await conn.execute(INSERT)
                await self.aappend(conn, id_, fails=fails)
                await conn.commit()

        await acommitted_or_not(transact)
        async with aiosqlite.connect(self.url, isolation_level=None) as conn:
            await self.abare(conn)

    def sqlalchemy_on_sqlite(self):
        self._by_engine(f"sqlite:///{self.url}")

    def sqlalchemy_session_on_sqlite(self):
        self._by_session(f"sqlite:///{self.url}")

    async def sqlalchemy_aiosqlite(self):
        await self._by_async_engine(f"sqlite+aiosqlite:///{self.url}")

    def django_on_sqlite(self):
        self._by_django("sqlite3", self.url, "", "")

    # --- Postgres ---------------------------------------------------------------------------

    def psycopg(self):
        def transact(id_, *, fails):
            with psycopg.connect(self.url) as conn:
                conn.execute(INSERT)
                self.append(conn, id_, fails=fails)

        committed_or_not(transact)

    def psycopg_autocommit(self):
        with psycopg.connect(self.url, autocommit=True) as conn:

            def transact(id_, *, fails):
                with conn.transaction():
                    conn.execute(INSERT)
                    self.append(conn, id_, fails=fails)

            committed_or_not(transact)
            self.bare(conn)

    async def psycopg_async(self):
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as conn:

            async def transact(id_, *, fails):
                async with conn.transaction():
                    await conn.execute(INSERT)
                    await self.aappend(conn, id_, fails=fails)

            await acommitted_or_not(transact)
            await self.abare(conn)

    def psycopg2(self):
        with contextlib.closing(psycopg2.connect(self.url)) as conn:

            def transact(id_, *, fails):
                with conn, conn.cursor() as cursor:
                    cursor.execute(INSERT)
                    self.append(conn, id_, fails=fails)

            committed_or_not(transact)
            conn.autocommit = True
            self.bare(conn)

    async def asyncpg(self):
        conn = await asyncpg.connect(self.url)

        async def transact(id_, *, fails):
            async with conn.transaction():
                await conn.execute(INSERT)
                await self.aappend(conn, id_, fails=fails)

        await acommitted_or_not(transact)
        await self.abare(conn)
        await conn.close()

    async def asyncpg_pool(self):
        async with asyncpg.create_pool(self.url, min_size=0, max_size=1) as pool:

            async def transact(id_, *, fails):
                async with pool.acquire() as conn, conn.transaction():
                    await conn.execute(INSERT)
                    await self.aappend(conn, id_, fails=fails)

            await acommitted_or_not(transact)
            async with pool.acquire() as conn:
                await self.abare(conn)

    def sqlalchemy_psycopg(self):
        self._by_engine(self._url_of("psycopg"))

    def sqlalchemy_session_psycopg2(self):
        self._by_session(self._url_of("psycopg2"))

    async def sqlalchemy_asyncpg(self):
        await self._by_async_engine(self._url_of("asyncpg"))

    async def sqlalchemy_session_asyncpg(self):
        await self._by_async_session(self._url_of("asyncpg"))

    async def sqlalchemy_psycopg_async(self):
        await self._by_async_engine(self._url_of("psycopg"))

    def django_on_postgres(self):
        parts = urlsplit(self.url)
        self._by_django(
            "postgresql", parts.path[1:], parse_qs(parts.query)["host"][0], parts.username
        )

    # --- by what stands above the drivers ---------------------------------------------------

    def _url_of(self, driver: str) -> str:
        return self.url.replace("postgresql:", f"postgresql+{driver}:")

    def _by_engine(self, url):
        engine = sa.create_engine(url)

        def transact(id_, *, fails):
            with engine.begin() as conn:
                conn.execute(sa.text(INSERT))
                self.append(conn, id_, fails=fails)

        committed_or_not(transact)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            self.bare(conn)
        engine.dispose()
        each_by_itself = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with each_by_itself.connect() as conn:
            self.bare(conn)
        each_by_itself.dispose()

    def _by_session(self, url):
        engine = sa.create_engine(url)

        def transact(id_, *, fails):
            with Session(engine) as session, session.begin():
                session.execute(sa.text(INSERT))
                self.append(session, id_, fails=fails)

        committed_or_not(transact)
        with Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
            self.bare(session)
        engine.dispose()

    async def _by_async_engine(self, url):
        engine = create_async_engine(url)

        async def transact(id_, *, fails):
            async with engine.begin() as conn:
                await conn.execute(sa.text(INSERT))
                await self.aappend(conn, id_, fails=fails)

        await acommitted_or_not(transact)
        each_by_itself = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with each_by_itself.connect() as conn:
            await self.abare(conn)
        await engine.dispose()

    async def _by_async_session(self, url):
        engine = create_async_engine(url)

        class OurSession(AsyncSession):
            """As applications make their own, under a name that says nothing."""

        sessions = async_sessionmaker(engine, class_=OurSession)

        async def transact(id_, *, fails):
            async with sessions.begin() as session:
                await session.execute(sa.text(INSERT))
                await self.aappend(session, id_, fails=fails)

        await acommitted_or_not(transact)
        each_by_itself = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with OurSession(each_by_itself) as session:
            await self.abare(session)
        await engine.dispose()

    def _by_django(self, *where):
        command = [sys.executable, str(DJANGO), self.outbox_url, *where]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout == "ok\n", done.stderr

    @property
    def outbox_url(self) -> str:
        return self.url if "://" in self.url else f"sqlite:///{self.url}"


ON_SQLITE = [
    Ways.sqlite3,
    Ways.apsw,
    Ways.aiosqlite,
    Ways.sqlalchemy_on_sqlite,
    Ways.sqlalchemy_session_on_sqlite,
    Ways.sqlalchemy_aiosqlite,
    Ways.django_on_sqlite,
]
ON_POSTGRES = [
    Ways.psycopg,
    Ways.psycopg_autocommit,
    Ways.psycopg_async,
    Ways.psycopg2,
    Ways.asyncpg,
    Ways.asyncpg_pool,
    Ways.sqlalchemy_psycopg,
    Ways.sqlalchemy_session_psycopg2,
    Ways.sqlalchemy_asyncpg,
    Ways.sqlalchemy_session_asyncpg,
    Ways.sqlalchemy_psycopg_async,
    Ways.django_on_postgres,
]


async def outcome_of(way, url: str, *, outbox_url: str) -> list[str]:
    """Return the ids that a receiver was sent after *way* has done its appends."""
    outbox = Outbox(outbox_url, settings=LOCAL)
    async with outbox, Receiver().listening() as receiver:
        endpoint = await outbox.add_endpoint(receiver.url)
        ways = Ways(outbox, url)
        if asyncio.iscoroutinefunction(way):
            await way(ways)
        else:
            await asyncio.to_thread(way, ways)
        # What should not have been kept is older, and would be moved together with the rest.
        async with running(outbox):
            sent = await until_settled(outbox, endpoint.id)
        assert [one.message for one in sent] == ["msg_once"]
        return [headers["webhook-id"] for headers, _ in receiver.requests]


@pytest.mark.parametrize("way", ON_SQLITE, ids=lambda way: way.__name__)
def test_on_sqlite_a_message_goes_where_its_transaction_goes(way, tmp_path):
    """Committed: sent once. Rolled back: nothing. Without a transaction: refused."""
    path = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE effect (key TEXT)")

    sent = asyncio.run(outcome_of(way, str(path), outbox_url=f"sqlite:///{path}"))

    assert sent == ["msg_once"]
    with contextlib.closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT key FROM effect").fetchall() == [("mine",)]


@pytest.mark.parametrize("way", ON_POSTGRES, ids=lambda way: way.__name__)
def test_on_postgres_a_message_goes_where_its_transaction_goes(way):
    """The same, with the outbox and its ledger in one database."""
    url = asyncio.run(emptied(shared_database()))
    with psycopg.connect(url) as conn:
        conn.execute("DROP TABLE IF EXISTS effect, hookloop_outbox, hookloop_endpoint")
        conn.execute("CREATE TABLE effect (key TEXT)")

    sent = asyncio.run(outcome_of(way, url, outbox_url=url))

    assert sent == ["msg_once"]
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT key FROM effect").fetchall() == [("mine",)]


def test_what_cannot_run_a_statement_is_refused_by_name():
    """An engine is no connection: it would be in nobody's transaction."""
    outbox = Outbox("sqlite:///app.db")
    engine = sa.create_engine("sqlite://")
    for wrong in (engine, object()):
        with pytest.raises(ConfigError, match="given as the connection"):
            outbox.append_sync(OutboxMessage("a.b"), conn=wrong)
    engine.dispose()
