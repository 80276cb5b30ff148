"""How handlers are called: in this thread for the sync faces, on the loop for the async ones."""

import sys
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hookloop.errors import LocalError

if TYPE_CHECKING:
    import asyncio

__all__ = ["ASYNC_SECONDS", "AsyncRunner", "Runner", "SyncRunner", "finish", "within"]

ASYNC_SECONDS = 20.0  # Stripe gives up soon after; an answer that late is a retry anyway

T = TypeVar("T")


class Runner(Protocol):
    """Calls a function of the user's, sync or async, from code that is written once for both."""

    async def call(
        self,
        function: Callable[[Any], Any],
        argument: object,
        *,
        is_async: bool,
        seconds: float | None = None,
    ) -> Any:
        """
        Return what ``function(argument)`` returns or resolves to.

        Raises `TimeoutError` after *seconds*: an async function is cancelled then; a sync
        one cannot be, and runs on unheard.
        """
        ...

    async def unbroken(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what *coroutine* returns; it runs to its end though its caller is cancelled."""
        ...


class SyncRunner:
    """
    For faces that are sync: its `call` never waits, so `finish` can run the caller to its end.

    Sync functions run in the calling thread, where the framework's own transactions and
    request contexts are; async ones on the shared loop.
    """

    async def call(
        self,
        function: Callable[[Any], Any],
        argument: object,
        *,
        is_async: bool,
        seconds: float | None = None,
    ) -> Any:
        if is_async:
            from .background import run_in_background

            return run_in_background(function, argument, seconds=seconds or ASYNC_SECONDS)
        if seconds is not None:
            from .background import run_in_thread

            return run_in_thread(function, argument, seconds=seconds)
        returned = function(argument)
        if isinstance(returned, Coroutine):  # a plain function that made one
            from .background import run_in_background

            return run_in_background(lambda made: made, returned, seconds=ASYNC_SECONDS)
        return returned

    async def unbroken(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return await coroutine  # nobody can cancel what never waits


class AsyncRunner:
    """For faces that are async: sync functions run in a thread, so that none blocks the loop."""

    async def call(
        self,
        function: Callable[[Any], Any],
        argument: object,
        *,
        is_async: bool,
        seconds: float | None = None,
    ) -> Any:
        import asyncio

        try:
            if is_async:
                return await within(seconds or ASYNC_SECONDS, function(argument))
            async with asyncio.timeout(seconds):
                returned = await asyncio.to_thread(function, argument)
            if isinstance(returned, Coroutine):  # a plain function that made one
                async with asyncio.timeout(ASYNC_SECONDS):
                    return await returned
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Nobody cancels us: the function did it to itself, and must not take the rest along.
            raise RuntimeError("the handler cancelled itself") from None
        return returned

    async def unbroken(self, coroutine: Coroutine[Any, Any, T]) -> T:
        # A caller that hangs up makes some servers cancel us. Handlers are in the middle of
        # their work then: they run on, and the sender's next attempt finds the event done.
        import asyncio

        task = _start(coroutine)
        if task.done():
            return task.result()
        _unbroken.add(task)
        task.add_done_callback(_unbroken.discard)
        return await asyncio.shield(task)


_unbroken: "set[asyncio.Task[Any]]" = set()  # a loop itself holds its tasks but weakly


def _start(coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Return a task: a started one where Python can do so, which is half the price."""
    import asyncio

    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)


async def within(seconds: float, coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Return what *coroutine* returns, or raise `TimeoutError` after *seconds*.

    A timer costs as much as the rest of a short handler's call, and a coroutine that never
    waits needs none: so it gets one only where it comes to wait.
    """
    import asyncio

    try:
        waited_for = coroutine.send(None)
    except StopIteration as end:
        returned: T = end.value
        return returned
    async with asyncio.timeout(seconds):
        rest: T = await _Rest(coroutine, waited_for)
        return rest


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


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to its end a coroutine that never waits, as those over a `SyncRunner` do not."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise LocalError("a sync face came to wait for something: this is a bug of hookloop")
