"""The power fails: what was acknowledged before is in the file, whatever else is."""

import asyncio
import random
from dataclasses import dataclass

import pytest
from power_cut import Disk

from hookloop.ledger import sqlite
from hookloop.ledger.delivery import Done, State
from hookloop.ledger.message import NewMessage
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.store import FIND_MAX, Durability, Selection

SENDERS = 8


@dataclass(frozen=True)
class Cut:
    """A moment: the files, and what somebody outside had been told by then."""

    files: dict[str, bytes]
    acked: list[int]
    settled: list[int]


@pytest.fixture
def disk():
    disk = Disk()
    yield disk
    disk.unregister()


def cuts_of(store_class, disk, path, *, cuts, messages, seed) -> list[Cut]:
    """Append and work off *messages*, with a look at the disk at *cuts* random moments."""
    dice = random.Random(seed)
    found: list[Cut] = []
    acked: list[int] = []
    settled: list[int] = []

    def look() -> None:
        if len(found) < cuts and dice.random() < 0.2:
            told = list(acked), list(settled)  # first: what is told later is no promise yet
            found.append(Cut(disk.cut(dice if dice.random() < 0.5 else None), *told))

    async def main() -> None:
        store = store_class(path)
        disk.on_step = look
        numbers = iter(range(messages))

        async def send() -> None:
            for number in numbers:
                body = b"%d" % number * dice.randint(1, 500)
                [receipt] = await store.append([NewMessage("s", body, ("app",), key=f"k{number}")])
                acked.append(receipt.message)
                for lease in await store.claim({"app": 2}, limit=2, lease_seconds=30):
                    await store.settle({lease.id: Done()})
                    settled.append(lease.id.delivery)

        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(send())
        disk.on_step = lambda: None
        await store.close()

    asyncio.run(main())
    return found


def lost_in(cut: Cut, folder) -> set[str]:
    """Start again from *cut*, and return what was promised and is not there."""
    folder.mkdir()
    for name, data in cut.files.items():
        if not name.endswith("-shm"):  # memory, not a file
            (folder / name).write_bytes(data)

    async def main() -> set[str]:
        store = SqliteStore(folder / "ledger.db")
        found, after = [], 0
        while page := await store.find(Selection(), limit=FIND_MAX, after=after):
            found += page
            after = page[-1].id
        kept = {delivery.message for delivery in found}
        done = {delivery.id for delivery in found if delivery.state is State.DONE}
        await store.close()
        return {f"message {n}" for n in set(cut.acked) - kept} | {
            f"outcome {n}" for n in set(cut.settled) - done
        }

    return asyncio.run(main())


@pytest.mark.parametrize("seed", range(2))
def test_what_was_acknowledged_outlives_any_power_cut(tmp_path, disk, seed):
    """Only what was flushed is left, or that and any of the sectors written since."""
    path = tmp_path / "ledger.db"
    cuts = cuts_of(SqliteStore, disk, path, cuts=40, messages=200, seed=seed)

    lost = [lost_in(cut, tmp_path / str(number)) for number, cut in enumerate(cuts)]

    assert len(cuts) == 40
    assert max(len(cut.acked) for cut in cuts) > 20
    assert set().union(*lost) == set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_thousand_power_cuts(tmp_path, disk, seed):
    """The same, with more of everything."""
    path = tmp_path / "ledger.db"
    cuts = cuts_of(SqliteStore, disk, path, cuts=50, messages=500, seed=seed)

    lost = [lost_in(cut, tmp_path / str(number)) for number, cut in enumerate(cuts)]

    assert set().union(*lost) == set()


class Careless(SqliteStore):
    """A store that does not wait for the disk."""

    def _connect(self):
        connection = super()._connect()
        connection.pragma("synchronous", "normal")
        return connection


def test_a_store_that_does_not_flush_is_found_out(tmp_path, disk, monkeypatch):
    """With synchronous=NORMAL this very test loses messages: it can fail, and does."""
    promise = Durability(outlives_kill=True, outlives_power_loss=True, loss_window="")
    monkeypatch.setattr(sqlite, "prove", lambda *_: promise)
    path = tmp_path / "ledger.db"
    cuts = cuts_of(Careless, disk, path, cuts=40, messages=200, seed=1)

    lost = [lost_in(cut, tmp_path / str(number)) for number, cut in enumerate(cuts)]

    assert set().union(*lost) != set()
