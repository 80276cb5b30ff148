"""
A process to be killed: senders, a worker and its target on one SQLite ledger.

    python victim.py LEDGER FIRST COUNT POINT TIMES

Appends the messages FIRST to FIRST + COUNT, works them off, and writes a line for each thing
that somebody outside now knows: ``acked KEY``, ``effect KEY ATTEMPT``, ``drained``. At the
TIMES-th passing of POINT it kills itself, as by ``kill -9``.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from hookloop.ledger.delivery import Done, Retry
from hookloop.ledger.message import NewMessage
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.worker import Worker, WorkerSettings
from hookloop.schedule import RetrySchedule

SENDERS = 16
ORDER_KEYS = 4


def body_of(key: str) -> bytes:
    return f"body of {key}".encode() * 50


def order_key_of(number: int) -> str | None:
    """One in five is in no line."""
    return None if number % 5 == 4 else f"line {number % ORDER_KEYS}"


def say(line: str) -> None:
    """One write, whole or not at all, and out of this process before the next step."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


class KillAt:
    """The points of the store; at one of them it all ends."""

    def __init__(self, point: str, times: int) -> None:
        self._point, self._left = point, times

    def __call__(self, name: str) -> None:
        if name == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Effect:
    """Has its effect outside, and fails the first time for every seventh message."""

    async def deliver(self, lease):
        say(f"effect {lease.message.key} {lease.id.attempt}")
        if lease.message.id % 7 == 0 and lease.id.attempt == 1:
            return Retry(0.0, "503")
        return Done("200")


async def main(path: Path, first: int, count: int, points: KillAt) -> None:
    store = SqliteStore(path, points=points)
    await store.forfeit(["app"])  # we are the only one, and have just been killed
    settings = WorkerSettings(lease_seconds=5.0, poll_seconds=0.05, crashes_max=0)
    worker = Worker(store, {"app": Effect()}, schedule=RetrySchedule(()), settings=settings)
    working = asyncio.create_task(worker.run())
    numbers = iter(range(first, first + count))

    async def send() -> None:
        for number in numbers:
            key = f"k{number}"
            new = NewMessage("s", body_of(key), ("app",), key=key, order_key=order_key_of(number))
            [receipt] = await store.append([new])
            say(f"acked {key} {receipt.message}")
            if number % 10 == 0:  # a sender that did not hear it sends it again
                [again] = await store.append([new])
                say(f"again {key} {again.message} {again.is_duplicate}")

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(send())
    while (await store.tally("app")).owed:
        await store.wait_due(["app"], 0.02)
    say("drained")
    working.cancel()
    await asyncio.wait([working])
    await store.close()


if __name__ == "__main__":
    ledger, start, how_many, where, times = sys.argv[1:]
    asyncio.run(main(Path(ledger), int(start), int(how_many), KillAt(where, int(times))))
