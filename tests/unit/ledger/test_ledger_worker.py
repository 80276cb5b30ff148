"""The worker on a store in memory: what it does with what its targets say."""

import asyncio
import functools
from collections.abc import Awaitable, Callable

import pytest
from patience import PATIENCE, TEST_PATIENCE

from hookloop.errors import ConfigError, StoreError
from hookloop.ledger import worker as worker_module
from hookloop.ledger.delivery import Dead, Done, Outcome, Result, Retry, State
from hookloop.ledger.memory import MemoryStore
from hookloop.ledger.message import NewMessage
from hookloop.ledger.store import Lease, Selection
from hookloop.ledger.worker import Failed, Worker, WorkerSettings
from hookloop.schedule import RetrySchedule
from hookloop.testing.clock import ManualClock

SCHEDULE = RetrySchedule((0.0, 0.0))
QUICK = WorkerSettings(poll_seconds=0.01, lease_seconds=0.2, stop_seconds=0.05)


class Answering:
    """A target that answers by a function, and remembers what it was given."""

    def __init__(self, answer: Callable[[Lease], Awaitable[Outcome | Failed]]) -> None:
        self._answer = answer
        self.bodies: list[bytes] = []

    async def deliver(self, lease: Lease) -> Outcome | Failed:
        self.bodies.append(lease.message.body)
        return await self._answer(lease)


def always(outcome) -> Answering:
    async def answer(_lease):
        return outcome

    return Answering(answer)


def messages(count: int, *, target="app", **more) -> list[NewMessage]:
    return [NewMessage("s", b"%d" % number, (target,), **more) for number in range(count)]


async def states(store) -> list[State]:
    return [delivery.state for delivery in await store.find(Selection(), limit=1000)]


async def until(condition) -> None:
    """Return once the coroutine function *condition* says so."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  # a condition in a store rings no bell
            await asyncio.sleep(0)


async def settled(store) -> None:
    async def is_settled():
        return all(state.is_settled for state in await states(store))

    await until(is_settled)


def working(test):
    """Run a scenario beside a task group that is cancelled at its end."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        async def main():
            async with asyncio.timeout(TEST_PATIENCE):
                await test(*args, **kwargs)

        asyncio.run(main())

    return run


async def stopped(task: asyncio.Task) -> None:
    task.cancel()
    await asyncio.wait([task])


@working
async def test_everything_owed_is_delivered_and_recorded():
    """What was there before the worker, and what comes while it runs."""
    store, target = MemoryStore(), always(Done("200"))
    await store.append(messages(100))
    worker = Worker(store, {"app": target}, schedule=SCHEDULE)
    running = asyncio.create_task(worker.run())
    await settled(store)
    await store.append(messages(1))
    await settled(store)

    assert len(target.bodies) == 101
    assert set(await states(store)) == {State.DONE}
    assert worker.statistics().results == {"done": 101}
    await stopped(running)


@working
async def test_a_failure_is_tried_again_by_the_schedule_and_then_dead():
    """Two waits are three attempts."""
    store, target = MemoryStore(), always(Failed("503"))
    await store.append(messages(1))
    running = asyncio.create_task(Worker(store, {"app": target}, schedule=SCHEDULE).run())
    await settled(store)
    await stopped(running)

    results = [attempt.result for attempt in await store.attempts(1)]
    assert results == [Result.RETRY, Result.RETRY, Result.DEAD]
    [delivery] = await store.find(Selection(), limit=1)
    assert (delivery.state, delivery.detail) == (State.DEAD, "503 (after 3 failures)")


@working
async def test_an_exception_is_a_failure_named_by_its_type_alone():
    """Its text may hold what no record should."""

    async def raise_one(_lease):
        raise RuntimeError("4242 4242 4242 4242")

    store = MemoryStore()
    await store.append(messages(1))
    worker = Worker(store, {"app": Answering(raise_one)}, schedule=RetrySchedule(()))
    running = asyncio.create_task(worker.run())
    await settled(store)
    await stopped(running)

    [attempt] = await store.attempts(1)
    assert attempt.detail == "RuntimeError (after 1 failures)"


@working
async def test_an_outcome_of_the_targets_own_needs_no_schedule():
    """It may know better when, or that never."""
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    outcomes = iter([Retry(3600, "Retry-After"), Dead("410")])

    async def answer(_lease):
        return next(outcomes)

    await store.append(messages(1))
    worker = Worker(store, {"app": Answering(answer)}, schedule=SCHEDULE, settings=QUICK)
    running = asyncio.create_task(worker.run())

    async def is_waiting():
        [delivery] = await store.find(Selection(), limit=1)
        return delivery.due_at == clock.wall() + 3600

    await until(is_waiting)
    clock.advance(3600)
    await settled(store)
    await stopped(running)

    assert [a.result for a in await store.attempts(1)] == [Result.RETRY, Result.DEAD]


@working
async def test_a_slow_target_holds_up_no_other():
    """It has its own share of the worker, and no more."""
    forever = asyncio.Event()

    async def hang(_lease):
        await forever.wait()
        return Done()

    store, quick, slow = MemoryStore(), always(Done()), Answering(hang)
    await store.append(messages(100, target="slow") + messages(100, target="quick"))
    worker = Worker(store, {"slow": slow, "quick": quick}, schedule=SCHEDULE)
    running = asyncio.create_task(worker.run())

    async def is_through():
        return (await store.tally("quick")).done == 100

    await until(is_through)

    assert len(slow.bodies) == WorkerSettings().target_attempts_at_once
    forever.set()
    await stopped(running)


@working
async def test_a_stopped_worker_gives_back_what_it_cannot_finish():
    """The next one has it at once, and no failure is counted."""
    started = asyncio.Event()

    async def hang(_lease):
        started.set()
        await asyncio.Event().wait()

    store = MemoryStore()
    await store.append(messages(1))
    worker = Worker(store, {"app": Answering(hang)}, schedule=SCHEDULE, settings=QUICK)
    running = asyncio.create_task(worker.run())
    await started.wait()
    await stopped(running)

    [delivery] = await store.find(Selection(), limit=1)
    assert (delivery.state, delivery.failures) == (State.READY, 0)
    assert worker.statistics().in_flight == 0


@working
async def test_a_stopped_worker_lets_short_attempts_end():
    """What is nearly done is not done twice."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def wait(_lease):
        started.set()
        await may_end.wait()
        return Done()

    store = MemoryStore()
    await store.append(messages(1))
    running = asyncio.create_task(Worker(store, {"app": Answering(wait)}, schedule=SCHEDULE).run())
    await started.wait()
    running.cancel()
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.wait([running])

    assert await states(store) == [State.DONE]


@working
async def test_an_attempt_longer_than_its_lease_keeps_it():
    """A live worker extends in time: a second one finds nothing to claim."""
    may_end = asyncio.Event()

    async def wait(_lease):
        await may_end.wait()
        return Done()

    store, target = MemoryStore(), Answering(wait)
    settings = WorkerSettings(lease_seconds=0.06, poll_seconds=0.01)
    await store.append(messages(1))
    first = asyncio.create_task(
        Worker(store, {"app": target}, schedule=SCHEDULE, settings=settings).run()
    )
    second = asyncio.create_task(
        Worker(store, {"app": target}, schedule=SCHEDULE, settings=settings).run()
    )
    asyncio.get_running_loop().call_later(0.3, may_end.set)
    await settled(store)

    assert target.bodies == [b"0"]
    await stopped(first)
    await stopped(second)


@working
async def test_an_attempt_whose_lease_is_lost_is_cut_off_and_not_heard():
    """Somebody else has the delivery, and will say how it went."""
    started = asyncio.Event()
    cut = asyncio.Event()

    async def hang(lease):
        if lease.id.attempt > 1:
            return Done("by the heir")
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    store = MemoryStore()
    await store.append(messages(1))
    worker = Worker(store, {"app": Answering(hang)}, schedule=SCHEDULE, settings=QUICK)
    running = asyncio.create_task(worker.run())
    await started.wait()
    await store.forfeit(["app"])
    await cut.wait()
    await settled(store)
    await stopped(running)

    [delivery] = await store.find(Selection(), limit=1)
    assert delivery.detail == "by the heir"


@working
async def test_what_has_cost_its_worker_its_life_runs_with_nothing_beside_it():
    """And the rest goes on after it."""
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    beside = []

    async def look(lease):
        beside.append((lease.delivery.crashes, worker.statistics().in_flight))
        await asyncio.sleep(0)
        return Done()

    await store.append(messages(3))
    await store.claim({"app": 3}, limit=3, lease_seconds=1)
    clock.advance(1)
    await store.append(messages(5))
    worker = Worker(store, {"app": Answering(look)}, schedule=SCHEDULE)
    running = asyncio.create_task(worker.run())
    await settled(store)
    await stopped(running)

    assert [in_flight for crashes, in_flight in beside if crashes] == [1, 1, 1]
    assert len(beside) == 8


@working
async def test_three_crashes_are_the_end():
    """Whatever kills three workers is not handed to a fourth."""
    clock = ManualClock()
    store, target = MemoryStore(clock=clock), always(Done())
    await store.append(messages(1))
    for _ in range(3):
        await store.claim({"app": 1}, limit=1, lease_seconds=1)
        clock.advance(1)
    running = asyncio.create_task(Worker(store, {"app": target}, schedule=SCHEDULE).run())
    await settled(store)
    await stopped(running)

    [delivery] = await store.find(Selection(), limit=1)
    assert (delivery.state, delivery.detail) == (State.DEAD, "its worker died 3 times")
    assert target.bodies == []


class Failing(MemoryStore):
    """A store whose disk is full for the first calls of a kind."""

    def __init__(self, method: str, times: int) -> None:
        super().__init__()
        self._method, self._times = method, times

    def _fail(self, method: str) -> None:
        if method == self._method and self._times:
            self._times -= 1
            raise StoreError("the disk is full")

    async def claim(self, room, *, limit, lease_seconds):
        self._fail("claim")
        return await super().claim(room, limit=limit, lease_seconds=lease_seconds)

    async def settle(self, outcomes):
        self._fail("settle")
        return await super().settle(outcomes)

    async def extend(self, leases, *, lease_seconds):
        self._fail("extend")
        return await super().extend(leases, lease_seconds=lease_seconds)


@pytest.mark.parametrize("method", ["claim", "settle", "extend"])
def test_a_store_that_cannot_for_a_while_costs_no_second_delivery(method, monkeypatch):
    """A full disk holds the worker up, and what the application took it is not given again."""
    monkeypatch.setattr(worker_module, "STORE_AGAIN_SECONDS", 0.001)

    async def wait_for_a_beat(_lease):
        beat = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1 if method == "extend" else 0, beat.set)
        await beat.wait()
        return Done()

    @working
    async def scenario():
        store, target = Failing(method, 3), Answering(wait_for_a_beat)
        await store.append(messages(2))
        worker = Worker(store, {"app": target}, schedule=SCHEDULE, settings=QUICK)
        running = asyncio.create_task(worker.run())
        await settled(store)
        await stopped(running)

        assert sorted(target.bodies) == [b"0", b"1"]
        assert worker.statistics().results == {"done": 2}

    scenario()


@pytest.mark.parametrize(
    "settings",
    [
        {"attempts_at_once": 0},
        {"target_attempts_at_once": 0},
        {"crashes_max": -1},
        {"stop_seconds": -1.0},
        {"lease_seconds": 1.0, "poll_seconds": 1.0},
        {"poll_seconds": 0.0},
    ],
)
def test_settings_that_cannot_work_are_refused(settings):
    """Before the first delivery, not at it."""
    with pytest.raises(ConfigError):
        WorkerSettings(**settings)
