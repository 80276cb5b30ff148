"""
What a handler may rely on, whoever hangs up, and wherever it comes to wait.

All through the ASGI face, on asyncio's own loop and on uvloop: most handlers end in their first
step and never see a task of their own made, and none may be able to tell.
"""

import asyncio
import contextlib
import contextvars
import gc
import logging
import threading
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import pytest
import uvloop
from patience import PATIENCE

from hookloop import Hooks
from hookloop.testing import make, sign

SECRET = "whsec_x"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

request_id = contextvars.ContextVar("request_id", default="none")


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable:
    """Run a coroutine to its end on a loop of its own, in debug mode, and not for ever."""

    def run(main: Awaitable):
        with asyncio.Runner(debug=True, loop_factory=LOOPS[request.param]) as runner:
            return runner.run(asyncio.wait_for(main, PATIENCE))

    return run


@pytest.fixture
def hooks() -> Hooks:
    return Hooks(SECRET)


async def post(hooks: Hooks, event=None) -> str:
    """Send an event as a server would, and return the outcome it is answered with."""
    request = sign(make("customer.updated") if event is None else event, SECRET)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    sent = []

    async def receive() -> dict:
        return {"type": "http.request", "body": request.body}

    async def send(message: dict) -> None:
        sent.append(message)

    await hooks.asgi(scope, receive, send)
    return sent[1]["body"].decode().split('"')[3]


async def next_turn(value: object = None) -> object:
    """Wait for the loop's next turn, and no longer."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, value)
    return await future


async def no_wait() -> None:
    """Be awaited without coming to wait."""


# --- who hangs up -----------------------------------------------------------------------------


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_handler_ends_its_work_though_the_request_is_cancelled(run, hooks: Hooks, turns: int):
    """At its first wait and at a later one; the sender's next attempt finds the event done."""

    async def main() -> tuple[list[str], str]:
        begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        seen = []

        @hooks.on("customer.updated")
        async def slow(event) -> None:
            for _ in range(turns):
                await next_turn()
            begun.set()
            await may_end.wait()
            seen.append(event.id)

        @hooks.on("customer.updated")
        async def after_it(event) -> None:
            seen.append(event.type)
            ended.set()

        event = make("customer.updated")
        asking = asyncio.ensure_future(post(hooks, event))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        may_end.set()
        await ended.wait()
        await next_turn()  # in which it is noted as done
        return [seen[0], seen[1]], await post(hooks, event)

    seen, again = run(main())

    assert seen[0].startswith("evt_")
    assert seen[1] == "customer.updated"
    assert again == "duplicate"


def test_a_sync_handler_ends_its_work_though_the_request_is_cancelled(run, hooks: Hooks):
    """It is in a thread; what matters is that its event counts as done afterwards."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        begun, may_end = asyncio.Event(), asyncio.Event()

        @hooks.on("customer.updated")
        def slow(_event) -> None:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result(5)

        event = make("customer.updated")
        asking = asyncio.ensure_future(post(hooks, event))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await post(hooks, event) == "busy"
        may_end.set()
        while (outcome := await post(hooks, event)) == "busy":
            await next_turn()
        return outcome

    assert run(main()) == "duplicate"


# --- what a handler's own task is good for ------------------------------------------------------


@pytest.mark.parametrize("turns", [0, 1])
def test_a_timeout_in_a_handler_fires_and_the_handler_goes_on(run, hooks: Hooks, turns: int):
    """`asyncio.timeout` remembers the task it was begun in: in the first step, or a later one."""
    seen = []

    @hooks.on("customer.updated")
    async def impatient(_event) -> None:
        for _ in range(turns):
            await next_turn()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        await next_turn()
        seen.append("went on")

    assert run(post(hooks)) == "handled"
    assert seen == ["went on"]


def test_a_timeout_that_is_over_at_once_fires_at_the_first_wait(run, hooks: Hooks):
    """Its timer runs out before the task has heard what the handler waits for."""

    @hooks.on("customer.updated")
    async def impatient(_event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

    assert run(post(hooks)) == "handled"


def test_a_wait_for_in_a_handler_works(run, hooks: Hooks):
    """The older form, which awaits what it cancels."""

    @hooks.on("customer.updated")
    async def impatient(_event) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)

    assert run(post(hooks)) == "handled"


@pytest.mark.parametrize("turns", [0, 1])
def test_a_task_group_in_a_handler_cancels_it_when_a_child_fails(run, hooks: Hooks, turns: int):
    """`TaskGroup` cancels the task it was begun in, and turns that into its own exception."""
    seen = []

    async def failing() -> None:
        raise KeyError

    @hooks.on("customer.updated")
    async def parent(_event) -> None:
        for _ in range(turns):
            await next_turn()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(failing())
                await asyncio.Event().wait()
        except* KeyError:
            seen.append("told")
        await next_turn()

    assert run(post(hooks)) == "handled"
    assert seen == ["told"]


def test_a_handler_has_one_task_and_it_is_not_the_request_s(run, hooks: Hooks):
    """A real one, the same at every step, and not about to be cancelled."""
    seen = []

    @hooks.on("customer.updated")
    async def looking(_event) -> None:
        seen.append(asyncio.current_task())
        await no_wait()
        seen.append(asyncio.current_task())
        for _ in range(2):
            await next_turn()
            seen.append(asyncio.current_task())

    async def main() -> asyncio.Task:
        await post(hooks)
        return asyncio.current_task()

    request_s = run(main())

    assert isinstance(seen[0], asyncio.Task)
    assert {id(task) for task in seen} == {id(seen[0])}
    assert seen[0] is not request_s
    assert seen[0].cancelling() == 0


def test_handlers_that_wait_at_once_have_a_task_each(run, hooks: Hooks):
    """None is taken for another's."""
    seen = {}

    @hooks.on("customer.updated")
    async def waiting(event) -> None:
        first = asyncio.current_task()
        await next_turn()
        seen[event.id] = (first, asyncio.current_task())

    async def main() -> list[str]:
        return await asyncio.gather(*(post(hooks) for _ in range(50)))

    assert run(main()) == ["handled"] * 50
    assert all(first is later for first, later in seen.values())
    assert len({id(first) for first, _ in seen.values()}) == 50


def test_the_request_s_task_is_the_current_one_again_afterwards(run, hooks: Hooks):
    """What a middleware does after us is done in its own name, failures or not."""

    @hooks.on("customer.updated")
    async def failing(_event) -> None:
        raise KeyError

    async def main() -> bool:
        before = asyncio.current_task()
        await post(hooks)
        return asyncio.current_task() is before

    assert run(main())


def test_a_handler_that_hands_an_event_to_the_hooks_again(run, hooks: Hooks):
    """The inner event has its own task, and the outer one keeps its own."""
    seen = []

    @hooks.on("customer.updated")
    async def outer(_event) -> None:
        mine = asyncio.current_task()
        seen.append(await post(hooks, make("customer.created")))
        seen.append(asyncio.current_task() is mine)

    @hooks.on("customer.created")
    async def inner(_event) -> None:
        await no_wait()

    assert run(post(hooks)) == "handled"
    assert seen == ["handled", True]


def test_somebody_who_waits_for_the_end_of_a_handler_s_task_hears_of_it(run, hooks: Hooks):
    """Though the handler never came to wait; libraries tidy up that way."""

    async def main() -> bool:
        heard = asyncio.Event()

        @hooks.on("customer.updated")
        async def tidy(_event) -> None:
            asyncio.current_task().add_done_callback(lambda _task: heard.set())

        await post(hooks)
        await post(hooks)
        return await heard.wait()

    assert run(main())


@pytest.mark.parametrize("waits", [True, False])
def test_a_handler_that_cancels_its_own_task_harms_no_later_one(run, hooks: Hooks, waits: bool):
    """Whatever becomes of its own event."""
    seen = []

    @hooks.on("customer.deleted")
    async def suicidal(_event) -> None:
        asyncio.current_task().cancel()
        if waits:
            await next_turn()

    @hooks.on("customer.updated")
    async def innocent(_event) -> None:
        seen.append(asyncio.current_task().cancelling())
        await next_turn()
        await next_turn()

    async def main() -> str:
        await post(hooks)
        with contextlib.suppress(asyncio.CancelledError):
            await post(hooks, make("customer.deleted"))
        return await post(hooks)

    assert run(main()) == "handled"
    assert seen == [0, 0]


def test_what_is_waited_for_is_cancelled_with_the_handler(run, hooks: Hooks):
    """As for any task: a cancel goes on to the child that is awaited."""

    async def main() -> bool:
        child: asyncio.Task = asyncio.ensure_future(asyncio.Event().wait())

        @hooks.on("customer.updated")
        async def waiting(_event) -> None:
            # Before the task has heard what is waited for.
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
            await child

        with contextlib.suppress(asyncio.CancelledError):
            await post(hooks)
        return child.cancelled()

    assert run(main())


@pytest.mark.parametrize("turns", [0, 1])
def test_a_handler_may_use_anyio(run, hooks: Hooks, turns: int):
    """Its scopes look deeper into a task than asyncio's own do; httpx and Starlette use them."""
    seen = []

    async def failing() -> None:
        raise KeyError

    @hooks.on("customer.updated")
    async def structured(_event) -> None:
        for _ in range(turns):
            await next_turn()
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        seen.append(scope.cancelled_caught)
        seen.append(await anyio.to_thread.run_sync(lambda: "from a thread"))
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(failing)
                await anyio.sleep_forever()
        except* KeyError:
            seen.append("told")

    assert run(post(hooks)) == "handled"
    assert seen == [True, "from a thread", "told"]


def test_the_stack_of_a_handler_s_task_can_be_seen(run, hooks: Hooks):
    """Who asks why an application hangs finds the handler's name."""

    async def main() -> list[str]:
        begun, may_end = asyncio.Event(), asyncio.Event()

        @hooks.on("customer.updated")
        async def hanging(_event) -> None:
            await next_turn()
            begun.set()
            await may_end.wait()

        asking = asyncio.ensure_future(post(hooks))
        await begun.wait()
        names = [frame.f_code.co_name for task in asyncio.all_tasks() for frame in task.get_stack()]
        texts = [repr(task) for task in asyncio.all_tasks()]
        may_end.set()
        await asking
        return names + texts

    assert any("run_handlers" in text for text in run(main()))


# --- contexts, ends and errors ------------------------------------------------------------------


@pytest.mark.parametrize("turns", [0, 1])
def test_a_handler_sees_the_request_s_context_and_changes_its_own(run, hooks: Hooks, turns: int):
    """As any task does: what it sets is there after it waited, and never with its caller."""
    seen = []

    @hooks.on("customer.updated")
    async def looking(_event) -> None:
        seen.append(request_id.get())
        request_id.set("handler's")
        for _ in range(turns):
            await next_turn()
        seen.append(request_id.get())

    async def main() -> str:
        for name in ("first", "second"):
            request_id.set(name)
            await post(hooks)
        return request_id.get()

    assert run(main()) == "second"
    assert seen == ["first", "handler's", "second", "handler's"]


@pytest.mark.parametrize("turns", [0, 1])
def test_a_handler_that_raises_stops_none_of_the_others(
    run, hooks: Hooks, turns: int, caplog: pytest.LogCaptureFixture
):
    """Async and sync ones, before it and after it."""
    seen = []

    @hooks.on("customer.updated")
    async def before(_event) -> None:
        seen.append("before")

    @hooks.on("customer.updated")
    async def failing(_event) -> None:
        for _ in range(turns):
            await next_turn()
        raise KeyError

    @hooks.on("customer.updated")
    def in_a_thread(_event) -> None:
        seen.append("thread")

    @hooks.on("customer.updated")
    async def after(_event) -> None:
        await next_turn()
        seen.append("after")

    assert run(post(hooks)) == "handler_failed"
    assert seen == ["before", "thread", "after"]
    assert "failing" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("turns", [0, 2])
def test_what_ends_a_process_ends_it(run, hooks: Hooks, error: type[BaseException], turns: int):
    """A handler's failure is told to the sender; Ctrl+C is not."""

    @hooks.on("customer.updated")
    async def ending(_event) -> None:
        for _ in range(turns):
            await next_turn()
        raise error

    with pytest.raises(error):
        run(post(hooks))


def test_a_bare_turn_of_the_loop_may_be_the_first_wait(run, hooks: Hooks):
    """`asyncio.sleep(0)` waits for nothing that could be named."""
    turns = []

    @hooks.on("customer.updated")
    async def polite(_event) -> None:
        for turn in range(3):
            await asyncio.sleep(0)
            turns.append(turn)

    assert run(post(hooks)) == "handled"
    assert turns == [0, 1, 2]


def test_a_deadline_holds_for_a_handler_that_waits(
    run, hooks: Hooks, caplog: pytest.LogCaptureFixture
):
    """It is cancelled in time, may clean up, the sender comes again, and the log says why."""
    seen = []

    @hooks.on("customer.updated", deadline_seconds=0.01)
    async def slow(_event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    assert run(post(hooks)) == "handler_failed"
    assert seen == ["cleaned up"]
    assert "TimeoutError: not done after 0.01 s" in caplog.text


@pytest.mark.parametrize("is_async", [True, False])
def test_a_late_handler_is_told_of_on_the_sync_face_too(
    hooks: Hooks, caplog: pytest.LogCaptureFixture, is_async: bool
):
    """In the same words."""
    may_end = threading.Event()

    async def waiting(_event) -> None:
        await asyncio.Event().wait()

    hooks.on("customer.updated", deadline_seconds=0.01)(
        waiting if is_async else lambda event: may_end.wait(5)
    )
    request = sign(make("customer.updated"), SECRET)

    assert hooks.receive(request.body, request.headers).outcome == "handler_failed"
    may_end.set()
    assert "TimeoutError: not done after 0.01 s" in caplog.text


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_a_loop_that_ends_leaves_nothing_to_complain_about(
    new_loop, hooks: Hooks, caplog: pytest.LogCaptureFixture
):
    """Even one that is closed without a word to its tasks; and the next loop works."""

    @hooks.on("customer.updated")
    async def quick(_event) -> None:
        await no_wait()

    gc.collect()  # what other tests have left
    caplog.clear()
    for _ in range(40):
        loop = new_loop()
        assert loop.run_until_complete(post(hooks)) == "handled"
        loop.close()
    gc.collect()

    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
