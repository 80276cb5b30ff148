"""A handler that asks for ``tx``: its rows and our acknowledgement are one commit."""

import asyncio
import contextlib

import apsw
import asyncpg
import pytest
from inbox_events import AT_ONCE, SECRET, WAIT_SECONDS, body_of, send
from postgres_server import emptied, shared_database

from hookloop import Hooks
from hookloop.inbox import Inbox
from hookloop.inbox.admin import each_run
from hookloop.ledger.delivery import State
from hookloop.ledger.store import Selection

MAKE = "CREATE TABLE effect (key text)"


class SqlitePlace:
    """One file for the inbox and the handler's table."""

    mark = "?"

    def __init__(self, folder) -> None:
        self.path = folder / "hooks.db"
        self.url = f"sqlite:///{self.path}"

    def execute(self, sql):
        with contextlib.closing(apsw.Connection(str(self.path))) as conn:
            conn.set_busy_timeout(10_000)
            return list(conn.execute(sql))


class PostgresPlace:
    """One database for both."""

    mark = "%s"

    def __init__(self, _folder) -> None:
        self.url = asyncio.run(emptied(shared_database()))
        self.execute("DROP TABLE IF EXISTS effect")

    def execute(self, sql):
        async def main():
            conn = await asyncpg.connect(self.url)
            try:
                return [tuple(row) for row in await conn.fetch(sql)]
            finally:
                await conn.close()

        return asyncio.run(main())


@pytest.fixture(params=[SqlitePlace, PostgresPlace])
def place(request, tmp_path):
    return request.param(tmp_path)


@pytest.fixture
def hooks(place):
    """Hooks whose inbox is open, and a table for their handlers beside it."""
    hooks = Hooks(SECRET, inbox=Inbox(place.url, AT_ONCE))
    hooks.inbox._begin_opening().result(WAIT_SECONDS)
    place.execute(MAKE)
    yield hooks
    hooks.inbox.stop()


def settled_runs(hooks):
    async def look():
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                runs = [run async for run in each_run(hooks.inbox._store, Selection())]
                if runs and all(run.delivery.state.is_settled for run in runs):
                    return runs
                await hooks.inbox._store.wait_due((), 0.05)  # at once, and nobody writes

    return hooks.inbox._home.submit(look()).result(WAIT_SECONDS)


def test_a_sync_handler_commits_with_our_acknowledgement(hooks, place):
    """Failing the first time after its row is written, it leaves one row in the end."""
    tries = []

    @hooks.on("customer.updated")
    def paid(event, tx):
        tx.execute(f"INSERT INTO effect VALUES ({place.mark})", (event.id,))
        tries.append(event.id)
        if len(tries) == 1:
            raise RuntimeError

    send(hooks, body_of(1))
    [run] = settled_runs(hooks)

    assert (run.delivery.state, run.delivery.attempts, len(tries)) == (State.DONE, 2, 2)
    assert place.execute("SELECT key FROM effect") == [("evt_1",)]


def test_an_async_handler_commits_with_our_acknowledgement(hooks, place):
    """The same with asyncpg, or apsw."""
    tries = []

    @hooks.on("customer.updated")
    async def paid(event, tx):
        written = tx.execute(f"INSERT INTO effect VALUES ('{event.id}')")
        if asyncio.iscoroutine(written):
            await written
        tries.append(event.id)
        if len(tries) == 1:
            raise RuntimeError

    send(hooks, body_of(1))
    [run] = settled_runs(hooks)

    assert (run.delivery.state, len(tries)) == (State.DONE, 2)
    assert place.execute("SELECT key FROM effect") == [("evt_1",)]


def test_a_lease_lost_in_the_middle_leaves_one_effect(tmp_path):
    """Whoever has it by then does the work; the slow one's rows are rolled back."""
    place, tries = PostgresPlace(tmp_path), []
    hooks = Hooks(SECRET, inbox=Inbox(place.url, AT_ONCE))

    @hooks.on("customer.updated")
    def paid(event, tx):
        tries.append(event.id)
        if len(tries) == 1:  # as a lease that has run out
            forfeit = hooks.inbox._store.forfeit(list(hooks.inbox.targets))
            hooks.inbox._home.submit(forfeit).result(WAIT_SECONDS)
        tx.execute("INSERT INTO effect VALUES (%s)", (event.id,))

    try:
        hooks.inbox._begin_opening().result(WAIT_SECONDS)
        place.execute(MAKE)
        send(hooks, body_of(1))
        [run] = settled_runs(hooks)

        assert (run.delivery.state, run.delivery.crashes) == (State.DONE, 1)
        assert place.execute("SELECT key FROM effect") == [("evt_1",)]
        assert len(tries) == 2
    finally:
        hooks.inbox.stop()
