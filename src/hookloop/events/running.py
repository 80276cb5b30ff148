"""How handlers are called: in this thread for the sync faces, on the loop for the async ones."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from hookloop.errors import LocalError

__all__ = ["ASYNC_SECONDS", "AsyncRunner", "Runner", "SyncRunner", "finish"]

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
                async with asyncio.timeout(seconds or ASYNC_SECONDS):
                    return await function(argument)
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


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to its end a coroutine that never waits, as those over a `SyncRunner` do not."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise LocalError("a sync face came to wait for something: this is a bug of hookloop")
