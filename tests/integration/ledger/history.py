"""What a ledger's outside saw, and the one checker that holds it against what was kept."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from victim import body_of, order_key_of

from hookloop.ledger.delivery import State
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.store import FIND_MAX, Selection


@dataclass
class History:
    """Lines of `victim.py`, over all its lives."""

    acked: dict[str, int] = field(default_factory=dict)
    """Key to the message's id, as the sender was told."""
    effects: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Key to the numbers of the attempts that had an effect."""
    order: list[str] = field(default_factory=list)
    """Keys in the order of their effects."""
    faults: list[str] = field(default_factory=list)
    is_drained: bool = False

    def read(self, line: str) -> None:
        match line.split():
            case ["acked", key, message]:
                self.acked[key] = int(message)
            case ["again", key, message, "True"] if self.acked.get(key, int(message)) == int(
                message
            ):
                pass
            case ["effect", key, attempt]:
                self.effects[key].append(int(attempt))
                self.order.append(key)
            case ["drained"]:
                self.is_drained = True
            case _:
                self.faults.append(line)


async def everything(store) -> list:
    found, after = [], 0
    while page := await store.find(Selection(), limit=FIND_MAX, after=after):
        found += page
        after = page[-1].id
    return found


async def faults_of(history: History, path: Path) -> list[str]:
    """Return every promise that was broken; none is what all this is for."""
    store = SqliteStore(path)
    faults = list(history.faults)
    deliveries = await everything(store)
    messages = {d.message: await store.message(d.message) for d in deliveries}
    by_key = {message.key: message for message in messages.values()}

    if len(by_key) != len(messages):
        faults.append("a key has two messages")
    for key, number in history.acked.items():
        if key not in by_key:
            faults.append(f"{key} was acknowledged and is not there")
        elif by_key[key].id != number:
            faults.append(f"{key} was acknowledged as {number} and is {by_key[key].id}")
    for delivery in deliveries:
        key = messages[delivery.message].key
        attempts = [attempt.number for attempt in await store.attempts(delivery.id)]
        ended = delivery.attempts - (delivery.state is State.LEASED)
        if messages[delivery.message].body != body_of(key):
            faults.append(f"{key} has other bytes")
        if attempts != list(range(1, ended + 1)):
            faults.append(f"{key} was claimed {delivery.attempts} times and tried {attempts}")
        if len(set(history.effects[key])) != len(history.effects[key]):
            faults.append(f"{key} had two effects under one lease: {history.effects[key]}")
        if not set(history.effects[key]) <= set(range(1, delivery.attempts + 1)):
            faults.append(f"{key} had an effect under a lease nobody gave")
        if delivery.state is State.DONE and not history.effects[key]:
            faults.append(f"{key} is done, and nothing was done")
        if history.is_drained and not delivery.state.is_settled:
            faults.append(f"{key} is {delivery.state.value} and nobody works on it")
    faults += lines_out_of_order(history, by_key)
    await store.close()
    return faults


def lines_out_of_order(history: History, by_key: dict) -> list[str]:
    """In each line the effects follow the messages; after a crash the one at the head repeats."""
    latest: dict[str | None, int] = {}
    faults = []
    for key in history.order:
        line = order_key_of(int(key[1:]))
        number = by_key[key].id if key in by_key else 0
        if line is not None and number < latest.get(line, 0):
            faults.append(f"{key} of {line} came after {latest[line]}")
        latest[line] = number
    return faults


def check(history: History, path: Path) -> None:
    assert asyncio.run(faults_of(history, path)) == []
