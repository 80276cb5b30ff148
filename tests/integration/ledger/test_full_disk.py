"""The disk takes no more, at any point: nothing is acknowledged, nothing is broken, it heals."""

import asyncio
import random

import apsw
import pytest
from power_cut import Disk

from hookloop.errors import StoreError
from hookloop.ledger.delivery import Done
from hookloop.ledger.message import NewMessage
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.store import FIND_MAX, Selection


@pytest.fixture
def disk():
    disk = Disk()
    yield disk
    disk.unregister()


@pytest.mark.parametrize("fault", [apsw.FullError, apsw.IOError], ids=["full", "broken"])
def test_a_disk_that_fails_now_and_then_costs_no_acknowledged_message(tmp_path, disk, fault):
    """Writes, truncations and flushes fail at random; the same store goes on when they do not."""
    dice = random.Random(7)
    acked: dict[str, int] = {}
    refused = 0

    def fail() -> None:
        if dice.random() < 0.05:
            raise fault("no")

    async def main() -> None:
        nonlocal refused
        store = SqliteStore(tmp_path / "ledger.db")
        disk.on_step = fail
        for number in range(300):
            key = f"k{number}"
            try:
                [receipt] = await store.append([NewMessage("s", b"x" * 2000, ("app",), key=key)])
            except StoreError:
                refused += 1
            else:
                acked[key] = receipt.message
        disk.on_step = lambda: None
        # Well again, with no restart: the senders come again, and it is all worked off.
        for number in range(300):
            key = f"k{number}"
            [receipt] = await store.append([NewMessage("s", b"x" * 2000, ("app",), key=key)])
            assert receipt.is_duplicate or key not in acked
            assert acked.setdefault(key, receipt.message) == receipt.message
        while leases := await store.claim({"app": 99}, limit=99, lease_seconds=30):
            await store.settle({lease.id: Done() for lease in leases})
        found = await store.find(Selection(), limit=FIND_MAX)
        assert {delivery.message for delivery in found} == set(acked.values())
        assert (await store.tally("app")).done == 300
        await store.close()

    asyncio.run(main())

    assert 10 < refused < 290
    with apsw.Connection(str(tmp_path / "ledger.db")) as db:
        assert db.pragma("integrity_check") == "ok"
    db.close()
