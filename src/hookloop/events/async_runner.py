"""How the async faces call handlers: on the loop they run in."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from .running import ASYNC_SECONDS, Waiting, late

__all__ = ["AsyncRunner", "begin"]

T = TypeVar("T")

if sys.version_info >= (3, 12):
    _unbroken: set[asyncio.Task[Any]] = set()  # a loop itself holds its tasks but weakly

    def run_unbroken(work: Coroutine[Any, Any, None]) -> Waiting | None:
        """Run *work* to its end though its caller is cancelled; None: it has ended already."""
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        if task.done():
            return task.result()
        _unbroken.add(task)
        task.add_done_callback(_unbroken.discard)
        return Waiting(asyncio.shield(task))

else:
    from .spare_task import run_unbroken


class AsyncRunner:
    """For faces that are async: sync functions run in a thread, so that none blocks the loop."""

    can_wait = True

    def call(
        self,
        function: Callable[[Any], Any],
        argument: object,
        is_async: bool,  # as in `Runner`
        seconds: float | None = None,
    ) -> Any:
        if not is_async:
            return Waiting(_unless_ours(_call_in_thread(function, argument, seconds)))
        coroutine = function(argument)
        try:
            waits_for = coroutine.send(None)
        except StopIteration as end:
            return end.value
        except asyncio.CancelledError:
            _raise_unless_ours()
            raise
        rest = _rest_within(seconds or ASYNC_SECONDS, coroutine, waits_for)
        return Waiting(_unless_ours(rest))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T | Waiting:
        return Waiting(coroutine)

    # A caller that hangs up makes some servers cancel us. Handlers are in the middle of their
    # work then: they run on, and the sender's next attempt finds the event done.
    run_unbroken = staticmethod(run_unbroken)


def begin(coroutine: Coroutine[Any, Any, T], seconds: float) -> "T | Waiting":
    """
    Return what *coroutine* returns, or a `Waiting` for it, with `TimeoutError` after *seconds*.

    A timer costs as much as the rest of a short handler's call, and a coroutine that never
    waits needs none: so it gets one only where it comes to wait.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        returned: T = end.value
        return returned
    return Waiting(_rest_within(seconds, coroutine, waits_for))


async def _rest_within(seconds: float, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> T:
    async with _limit(seconds):
        rest: T = await _Rest(coroutine, waits_for)
        return rest


async def _call_in_thread(
    function: Callable[[Any], Any], argument: object, seconds: float | None
) -> Any:
    async with _limit(seconds):
        returned = await asyncio.to_thread(function, argument)
    if isinstance(returned, Coroutine):  # a plain function that made one
        async with _limit(ASYNC_SECONDS):
            return await returned
    return returned


@asynccontextmanager
async def _limit(seconds: float | None) -> AsyncIterator[None]:
    """Do what `asyncio.timeout` does, and say in the log how long was too long."""
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if timeout.expired():
            raise late(seconds) from None
        raise


async def _unless_ours(waiting: Awaitable[Any]) -> Any:
    try:
        return await waiting
    except asyncio.CancelledError:
        _raise_unless_ours()
        raise


def _raise_unless_ours() -> None:
    """Tell a cancel of our task from one that a function did to itself alone."""
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        # Nobody cancels us, and the function must not take the other handlers along.
        raise RuntimeError("the handler cancelled itself") from None


class _Rest:
    """Awaits the rest of a coroutine that has come to wait."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waited_for: Any) -> None:
        self._coroutine = coroutine
        self._waited_for = waited_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waited_for = self._waited_for
        try:
            while True:
                try:
                    sent = yield waited_for
                except BaseException as error:  # a cancel, say: the coroutine's to see
                    waited_for = self._coroutine.throw(error)
                else:
                    waited_for = self._coroutine.send(sent)
        except StopIteration as end:
            return end.value
