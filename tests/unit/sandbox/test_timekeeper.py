"""The timekeeper: what is due is done, and a bug in one task stops no other."""

import asyncio
import logging
from random import Random
from typing import Any

import pytest

from hookloop.sandbox import objects
from hookloop.sandbox.api import Api
from hookloop.sandbox.authentication import authenticate
from hookloop.sandbox.memory import MemoryAccounts
from hookloop.sandbox.store import Changes, Task
from hookloop.sandbox.timekeeper import Timekeeper

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    now = 1000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Worker:
    """Keeps what it is owed."""

    def __init__(self) -> None:
        self.owed: list[Any] = []

    def owe(self, store: Any, deliveries: Any) -> None:
        self.owed.append(list(deliveries))


@pytest.fixture
async def kept(catalogue, monkeypatch):
    """A running timekeeper, its clock, a store, and what tasks have done."""
    done: list[str] = []
    tasks = {"note": lambda _, subject: done.append(subject), "break": lambda *_: {}["x"]}
    monkeypatch.setattr("hookloop.sandbox.api.TASKS", {**objects.TASKS, **tasks})
    clock, accounts = Clock(), MemoryAccounts()
    keeper = Timekeeper(Api(accounts, catalogue, Random(7)), Worker(), clock)  # type: ignore[arg-type]
    store = accounts.store_of(authenticate("Bearer sk_test_one"))
    running = asyncio.create_task(keeper.run())
    yield keeper, clock, store, done
    running.cancel()


async def settle() -> None:
    """Let the timekeeper run as far as it gets."""
    for _ in range(10):
        await asyncio.sleep(0)


def plan(keeper, store, *tasks: Task) -> None:
    store.commit(Changes(tasks=list(tasks)), now=0.0)
    keeper.look_at(store)


async def test_tasks_are_done_in_the_order_they_are_due(kept):
    """And none before its time."""
    keeper, clock, store, done = kept
    plan(keeper, store, Task(1010.0, "note", "late"), Task(1005.0, "note", "soon"))
    await settle()
    assert done == []

    clock.now = 1005.0
    keeper.wake()
    await settle()
    assert done == ["soon"]

    clock.now = 2000.0
    keeper.wake()
    await settle()
    assert done == ["soon", "late"]
    assert store.next_task() is None


async def test_a_task_that_fails_is_logged_and_the_next_is_done(kept, caplog):
    """It is a bug of ours, and nobody else's."""
    keeper, clock, store, done = kept
    plan(keeper, store, Task(1001.0, "break", "x"), Task(1002.0, "note", "next"))
    clock.now = 1002.0
    keeper.wake()

    with caplog.at_level(logging.ERROR):
        await settle()

    assert done == ["next"]
    assert "the task break failed" in caplog.text


async def test_an_earlier_task_is_not_kept_waiting_by_a_later_one(kept):
    """Whichever was planned first."""
    keeper, clock, store, done = kept
    plan(keeper, store, Task(5000.0, "note", "far"))
    plan(keeper, store, Task(1001.0, "note", "near"))
    clock.now = 1001.0
    keeper.wake()
    await settle()

    assert done == ["near"]
