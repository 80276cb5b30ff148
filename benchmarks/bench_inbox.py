"""
What an accepted event costs through HTTP, beside the bare group commit and the disk's flush rate.

    python benchmarks/bench_inbox.py [--folder DIR] [--seconds 3] [--connections 64]

uvicorn in a process of its own serves `hooks.asgi` with an inbox in a SQLite file: HTTP, HMAC, one
commit with ``synchronous=FULL``, 200. This process sends signed events of 3,072 bytes over
connections that stay, one after the other on each; both share the machine. Beside it, in the same
round: 4 KB appended and flushed, one after the other; and `SqliteStore.append` alone by as many
callers at once. Three rounds, medians; read each figure beside its round's probe.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from hookloop.ledger.message import NewMessage
from hookloop.ledger.sqlite import SqliteStore
from hookloop.signing import stripe_signature_header

ROUNDS = 3
RAW_SECONDS = 0.5
SECRET = "whsec_bench"
BODY_BYTES = 3072

APP = f"""
from hookloop import Hooks
from hookloop.inbox import Inbox, InboxSettings
hooks = Hooks({SECRET!r}, inbox=Inbox("sqlite:///hooks.db", InboxSettings(work_here=False)))
@hooks.on_any
async def handled(event): ...
app = hooks.asgi
"""

Row = tuple[float, float, float]
"""A second's worth, and the median and the 99th percentile in seconds."""


def row(latencies: list[float], elapsed: float) -> Row:
    ordered = sorted(latencies)
    rate = len(ordered) / elapsed
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


async def beside(senders: int, seconds: float, call: Callable[[int], Awaitable[object]]) -> Row:
    """Let *senders* at once repeat *call* for *seconds*."""
    latencies: list[float] = []
    began = time.perf_counter()

    async def send(number: int) -> None:
        while (start := time.perf_counter()) - began < seconds:
            await call(number)
            latencies.append(time.perf_counter() - start)

    await asyncio.gather(*(send(number) for number in range(senders)))
    return row(latencies, time.perf_counter() - began)


async def bare(folder: Path, senders: int, seconds: float) -> Row:
    store, keys = SqliteStore(folder / "bare.db"), count()
    body = os.urandom(BODY_BYTES)

    async def one(_number: int) -> None:
        await store.append([NewMessage("acct", body, ("app",), key=f"evt_{next(keys)}")])

    try:
        return await beside(senders, seconds, one)
    finally:
        await store.close()


def request(number: int, signed_at: int) -> bytes:
    event = {
        "id": f"evt_{number}",
        "object": "event",
        "type": "customer.updated",
        "created": signed_at,
        "livemode": False,
        "data": {"object": {"id": "cus_1", "object": "customer", "description": ""}},
    }
    event["data"]["object"]["description"] = "x" * (BODY_BYTES - len(json.dumps(event)))
    body = json.dumps(event).encode()
    header = stripe_signature_header(body, [SECRET], signed_at=signed_at)
    return (
        f"POST /webhooks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: {header}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def over_http(folder: Path, senders: int, seconds: float, numbers: count) -> Row:
    (folder / "bench_app.py").write_text(APP)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        command = [sys.executable, "-m", "uvicorn", "bench_app:app", "--no-access-log"]
        server = subprocess.Popen(  # noqa: ASYNC220  # nothing else runs on this loop yet
            [*command, "--log-level", "warning", "--fd", str(listening.fileno())],
            cwd=folder,
            pass_fds=[listening.fileno()],
        )
        address = listening.getsockname()
    try:
        links = [await asyncio.open_connection(*address) for _ in range(senders)]
        signed_at = int(time.time())

        async def one(number: int) -> None:
            reader, writer = links[number]
            writer.write(request(next(numbers), signed_at))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"not accepted: {head!r}")
            await reader.readexactly(len(b'{"outcome": "accepted"}'))

        await one(0)  # it has opened its store
        figures = await beside(senders, seconds, one)
        for _, writer in links:
            writer.close()
        return figures
    finally:
        server.terminate()
        server.wait()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    given = parser.parse_args()
    rows: dict[str, list[Row]] = {"raw flush": [], "bare group commit": [], "HTTP": []}
    ratios, numbers = [], count()
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=given.folder) as made:
            folder = Path(made)
            rows["raw flush"].append(raw(folder))
            rows["bare group commit"].append(await bare(folder, given.connections, given.seconds))
            rows["HTTP"].append(await over_http(folder, given.connections, given.seconds, numbers))
            ratios.append(rows["HTTP"][-1][0] / rows["bare group commit"][-1][0])
    print(f"{'':20}{'/s':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for name, found in rows.items():
        rate, half, most = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:20}{rate:10,.0f}{half * 1000:10.2f}{most * 1000:10.2f}")
    print(f"HTTP / bare group commit: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    asyncio.run(main())
