"""Every store there is, opened anew: what the contract says must hold on each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from postgres_server import emptied, shared_database
from sqlalchemy.ext.asyncio import create_async_engine

from hookloop.inbox.sqlalchemy_inbox import metadata
from hookloop.ledger.connection_store import ConnectionStore
from hookloop.ledger.memory import MemoryStore
from hookloop.ledger.postgres import PostgresStore
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.store import Store
from hookloop.testing.clock import ManualClock

Scenario = Callable[[Store, ManualClock], Awaitable[None]]


async def memory_store(_folder: Path, clock: ManualClock) -> Store:
    return MemoryStore(clock=clock)


async def sqlite_store(folder: Path, clock: ManualClock) -> Store:
    return SqliteStore(folder / "ledger.db", clock=clock)


async def postgres_store(_folder: Path, clock: ManualClock) -> Store:
    return await PostgresStore.open(await emptied(shared_database()), clock=clock)


async def sqlalchemy_store(folder: Path, clock: ManualClock) -> Store:
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'app.db'}")
    DISPOSE.append(lambda: asyncio.to_thread(engine.dispose))
    with engine.begin() as conn:
        metadata.create_all(conn)
    return await ConnectionStore.open(name="app.db", begin=engine.begin, clock=clock)


async def async_sqlalchemy_store(_folder: Path, clock: ManualClock) -> Store:
    url = await emptied(shared_database())
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    DISPOSE.append(engine.dispose)
    async with engine.begin() as conn:
        await conn.run_sync(metadata.create_all)
    return await ConnectionStore.open(name="app", abegin=engine.begin, clock=clock)


STORES = {
    "memory": memory_store,
    "sqlite": sqlite_store,
    "postgres": postgres_store,
    "sqlalchemy": sqlalchemy_store,
    "async sqlalchemy": async_sqlalchemy_store,
}
DISPOSE: list[Callable[[], Awaitable[None]]] = []
"""What a store does not end, because its user owns it."""


@pytest.fixture(params=STORES)
def on_store(request, tmp_path) -> Callable[[Scenario], None]:
    """Run a scenario on a new store, with a clock that only the scenario moves."""

    if "memory" not in request.param and "sqlite" not in request.param:
        shared_database()  # started before the loop of the test

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            clock = ManualClock()
            store = await STORES[request.param](tmp_path, clock)
            try:
                await scenario(store, clock)
            finally:
                await store.close()
                while DISPOSE:
                    await DISPOSE.pop()()

        coroutine: Coroutine[Any, Any, None] = main()
        asyncio.run(coroutine)

    return run
