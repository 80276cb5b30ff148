"""Every store there is, opened anew: what the contract says must hold on each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from postgres_server import emptied, shared_database

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


STORES = {"memory": memory_store, "sqlite": sqlite_store, "postgres": postgres_store}


@pytest.fixture(params=STORES)
def on_store(request, tmp_path) -> Callable[[Scenario], None]:
    """Run a scenario on a new store, with a clock that only the scenario moves."""

    if request.param == "postgres":
        shared_database()  # started before the loop of the test

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            clock = ManualClock()
            store = await STORES[request.param](tmp_path, clock)
            try:
                await scenario(store, clock)
            finally:
                await store.close()

        coroutine: Coroutine[Any, Any, None] = main()
        asyncio.run(coroutine)

    return run
