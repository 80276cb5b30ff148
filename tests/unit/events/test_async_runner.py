"""Async handlers: their deadline, their own timers, and a caller that goes away."""

import asyncio
import contextlib

import pytest

from hookloop.events.async_runner import AsyncRunner
from hookloop.events.running import Waiting

RUNNER = AsyncRunner()


async def next_turn(value):
    """Wait for the loop's next turn, and no longer."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, value)
    return await future


async def awaited(run, work):
    returned = run(work)
    return await returned if isinstance(returned, Waiting) else returned


def call(handler, *, seconds: float | None = None):
    async def main():
        returned = RUNNER.call(handler, "evt", is_async=True, seconds=seconds)
        return await returned if isinstance(returned, Waiting) else returned

    return asyncio.run(main())


def test_a_handler_that_never_waits_returns_its_value():
    """The short way, without a timer, gives what the long one does."""

    async def handler(event):
        return event.upper()

    assert call(handler) == "EVT"


def test_a_handler_that_waits_several_times_returns_its_value():
    """What it is sent at each step reaches it."""

    async def handler(event):
        seen = [await next_turn(number) for number in range(3)]
        loop = asyncio.get_running_loop()
        return event, seen, await loop.run_in_executor(None, lambda: "threaded")

    assert call(handler) == ("evt", [0, 1, 2], "threaded")


@pytest.mark.parametrize("steps_before", [0, 1])
def test_what_a_handler_raises_is_raised(steps_before: int):
    """Before its first wait and after it alike."""

    async def handler(event):
        for _ in range(steps_before):
            await next_turn(None)
        raise KeyError(event)

    with pytest.raises(KeyError, match="evt"):
        call(handler)


def test_a_handler_that_waits_too_long_is_cancelled():
    """It sees the cancel, may clean up, and the caller gets a `TimeoutError`."""
    seen = []

    async def handler(event):
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    with pytest.raises(TimeoutError):
        call(handler, seconds=0.01)
    assert seen == ["cleaned up"]


def test_a_handlers_own_timeout_works():
    """`asyncio.timeout` and `TaskGroup` know the task that they run in."""

    async def handler(event):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(next_turn("child"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        return task.result()

    assert call(handler) == "child"


@pytest.mark.parametrize("waits", [False, True])
def test_unbroken_work_runs_to_its_end(waits: bool):
    """Whether or not it comes to wait."""
    done = []

    async def work():
        if waits:
            await next_turn(None)
        done.append("done")

    async def main():
        waiting = RUNNER.run_unbroken(work())
        assert (waiting is not None) is waits
        if waiting is not None:
            await waiting

    asyncio.run(main())
    assert done == ["done"]


def test_unbroken_work_outlives_a_caller_that_is_cancelled():
    """A server that cancels a request whose sender hung up does not cut a handler in half."""

    async def main():
        begun, may_go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def work():
            begun.set()
            await may_go_on.wait()
            ended.set()

        caller = asyncio.ensure_future(awaited(RUNNER.run_unbroken, work()))
        await begun.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        may_go_on.set()
        await ended.wait()

    asyncio.run(asyncio.wait_for(main(), 5))
