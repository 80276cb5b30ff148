"""
What the ledger on SQLite costs, beside the flush rate of the very disk it is on.

    python benchmarks/bench_ledger.py [--folder DIR] [--seconds 2]

A webhook of 3,072 bytes with a key of its own is appended by 1, 8, 64 and 128 senders at once;
duplicates of a thousand keys by 64; then what is owed is claimed 32 at a time and settled. Before
each figure the raw probe: 4 KB appended to a file and flushed, one after the other. Figures move
with the disk's mood, so read each beside its probe. Three interleaved rounds, medians.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from hookloop.ledger.delivery import Done
from hookloop.ledger.message import NewMessage
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.store import Store

ROUNDS = 3
BODY = os.urandom(3072)
RAW_SECONDS = 0.5
KEYS = 1000

Row = tuple[float, float, float]
"""A second's worth, and the median and the 99th percentile in seconds."""


def row(latencies: list[float], elapsed: float, each: int = 1) -> Row:
    ordered = sorted(latencies)
    rate = each * len(ordered) / elapsed
    return rate, statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1))]


def raw(folder: Path) -> Row:
    """Append 4 KB and flush, for half a second."""
    latencies = []
    with (folder / "raw").open("wb", buffering=0) as file:
        began = time.perf_counter()
        while (start := time.perf_counter()) - began < RAW_SECONDS:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            latencies.append(time.perf_counter() - start)
    return row(latencies, time.perf_counter() - began)


async def beside(senders: int, seconds: float, call: Callable[[], Awaitable[object]]) -> Row:
    """Let *senders* at once repeat *call* for *seconds*."""
    latencies: list[float] = []
    began = time.perf_counter()

    async def send() -> None:
        while (start := time.perf_counter()) - began < seconds:
            await call()
            latencies.append(time.perf_counter() - start)

    await asyncio.gather(*(send() for _ in range(senders)))
    return row(latencies, time.perf_counter() - began)


async def append(store: Store, senders: int, seconds: float, keys: count) -> Row:
    async def one() -> None:
        await store.append([NewMessage("acct", BODY, ("app",), key=f"evt_{next(keys)}")])

    return await beside(senders, seconds, one)


async def duplicates(store: Store, seconds: float) -> Row:
    keys = count()

    async def one() -> None:
        await store.append([NewMessage("dup", BODY, ("none",), key=f"evt_{next(keys) % KEYS}")])

    return await beside(64, seconds, one)


async def work_off(store: Store, deliveries: int) -> Row:
    """Claim 32 and settle 32, until so many are through."""
    latencies = []
    began = time.perf_counter()
    for _ in range(deliveries // 32):
        start = time.perf_counter()
        leases = await store.claim({"app": 32}, limit=32, lease_seconds=30)
        await store.settle({lease.id: Done("200") for lease in leases})
        latencies.append(time.perf_counter() - start)
    return row(latencies, time.perf_counter() - began, each=32)


async def measure(store: Store, folder: Path, seconds: float, rows: dict[str, list]) -> None:
    keys = count()

    def note(what: str, probe: Row, got: Row) -> None:
        rows.setdefault(what, []).append((probe, got))

    for senders in (1, 8, 64, 128):
        note(f"append, {senders} senders", raw(folder), await append(store, senders, seconds, keys))
    note("duplicates, 64 senders", raw(folder), await duplicates(store, seconds))
    owed = (await store.tally("app")).owed
    note("claim 32 and settle 32", raw(folder), await work_off(store, min(owed, 6400)))


async def main(where: Path | None, seconds: float) -> None:
    rows: dict[str, list[tuple[Row, Row]]] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=where) as name:
            folder = Path(name)
            store = SqliteStore(folder / "ledger.db")
            loss = store.durability.loss_window
            await measure(store, folder, seconds, rows)
            await store.close()
    print(f"file system: {loss or 'a disk that is flushed'}")
    print(
        f"{'':26}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'raw/s':>9}{'raw p50':>9}{'x raw':>7}"
    )
    for what, pairs in rows.items():
        probe = [statistics.median(values) for values in zip(*(p for p, _ in pairs), strict=True)]
        got = [statistics.median(values) for values in zip(*(g for _, g in pairs), strict=True)]
        print(
            f"{what:26}{got[0]:10,.0f}{got[1] * 1e3:9.2f}{got[2] * 1e3:9.2f}"
            f"{probe[0]:9,.0f}{probe[1] * 1e3:9.2f}{got[0] / probe[0]:7.1f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    asyncio.run(main(options.folder, options.seconds))
