"""An inbox in the database of an engine, and its tables by Alembic."""

import asyncio

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata, produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations
from inbox_events import AT_ONCE, SECRET, WAIT_SECONDS, body_of, send
from postgres_server import emptied, new_database, shared_database
from sqlalchemy.ext.asyncio import create_async_engine

from hookloop import Hooks
from hookloop.errors import ConfigError
from hookloop.inbox import Inbox, SQLAlchemyInbox
from hookloop.inbox.admin import each_run
from hookloop.inbox.sqlalchemy_inbox import metadata
from hookloop.ledger.delivery import State
from hookloop.ledger.postgres import PostgresStore
from hookloop.ledger.store import Selection

theirs = sa.MetaData()
effect = sa.Table("sa_effect", theirs, sa.Column("key", sa.Text))


def settled_runs(hooks):
    async def look():
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                runs = [run async for run in each_run(hooks.inbox._store, Selection())]
                if runs and all(run.delivery.state.is_settled for run in runs):
                    return runs
                await hooks.inbox._store.wait_due((), 0.05)  # at once, and nobody writes

    return hooks.inbox._home.submit(look()).result(WAIT_SECONDS)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_sync_engine_holds_rows_and_acknowledgement(kind, tmp_path):
    """The first try fails after its row is written: one row in the end."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    if kind == "postgres":
        url = asyncio.run(emptied(shared_database())).replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(url)
    theirs.drop_all(engine)
    theirs.create_all(engine)
    hooks, tries = Hooks(SECRET, inbox=Inbox(SQLAlchemyInbox(engine), AT_ONCE)), []

    @hooks.on("customer.updated")
    def paid(event, tx):
        tx.execute(effect.insert().values(key=event.id))
        tries.append(event.id)
        if len(tries) == 1:
            raise RuntimeError

    try:
        assert send(hooks, body_of(1)).outcome == "accepted"
        assert send(hooks, body_of(1)).outcome == "duplicate"
        [run] = settled_runs(hooks)
        with engine.connect() as conn:
            assert conn.execute(effect.select()).fetchall() == [("evt_1",)]
        assert (run.delivery.state, len(tries)) == (State.DONE, 2)
    finally:
        hooks.inbox.stop()
        engine.dispose()


def test_an_async_engine_does_the_same():
    """On the loop of the inbox, where the engine is used from then on."""
    url = asyncio.run(emptied(shared_database())).replace("postgresql:", "postgresql+psycopg:")
    plain = sa.create_engine(url)
    theirs.drop_all(plain)
    theirs.create_all(plain)
    engine = create_async_engine(url)
    hooks, tries = Hooks(SECRET, inbox=Inbox(SQLAlchemyInbox(engine), AT_ONCE)), []

    @hooks.on("customer.updated")
    async def paid(event, tx):
        await tx.execute(effect.insert().values(key=event.id))
        tries.append(event.id)
        if len(tries) == 1:
            raise RuntimeError

    try:
        send(hooks, body_of(1))
        [run] = settled_runs(hooks)
        with plain.connect() as conn:
            assert conn.execute(effect.select()).fetchall() == [("evt_1",)]
        assert (run.delivery.state, len(tries)) == (State.DONE, 2)
    finally:
        hooks.inbox._home.submit(engine.dispose()).result(WAIT_SECONDS)
        hooks.inbox.stop()
        plain.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_alembic_makes_the_tables_and_then_sees_no_difference(kind, tmp_path):
    """Autogenerate, as `alembic revision --autogenerate` and `alembic upgrade` do."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    if kind == "postgres":
        url = new_database().replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        context = MigrationContext.configure(conn)
        assert compare_metadata(context, metadata)
        made = produce_migrations(context, metadata)
        operations = Operations(context)
        waiting = list(made.upgrade_ops.ops)
        while waiting:
            step = waiting.pop(0)
            if hasattr(step, "ops"):
                waiting[:0] = step.ops
            else:
                operations.invoke(step)
    with engine.begin() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
    engine.dispose()


def test_alembic_sees_no_difference_to_the_tables_of_our_own_migrations():
    """One database may be used by both; and ours take up what Alembic has made."""
    url = new_database()

    async def open_and_close(where):
        store = await PostgresStore.open(where)
        await store.close()

    asyncio.run(open_and_close(url))
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as conn:
        differences = compare_metadata(MigrationContext.configure(conn), metadata)
        assert [d for d in differences if d[0] != "remove_table"] == []
        conn.execute(sa.text("DROP TABLE hookloop_migration"))
    engine.dispose()

    asyncio.run(open_and_close(url))


def test_what_is_no_engine_is_refused():
    """Before the first event comes."""
    with pytest.raises(ConfigError, match="no engine"):
        SQLAlchemyInbox("sqlite:///app.db")
