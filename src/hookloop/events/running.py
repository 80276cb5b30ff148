"""How handlers are called, and how the sync faces do it; `async_runner` is for the async ones."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

from hookloop.errors import LocalError

__all__ = ["ASYNC_SECONDS", "Runner", "SyncRunner", "Waiting", "late"]

ASYNC_SECONDS = 20.0  # Stripe gives up soon after; an answer that late is a retry anyway

T = TypeVar("T")


class Waiting:
    """
    What is returned by what has come to wait: await it for the rest, and for the value.

    Most of what we call never waits, and to go on at once with its value costs a third of
    what awaiting it does.
    """

    __slots__ = ("_rest",)

    def __init__(self, rest: Awaitable[Any]) -> None:
        self._rest = rest

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._rest.__await__()


class Runner(Protocol):
    """Calls a function of the user's, sync or async, from code that is written once for both."""

    can_wait: bool
    """Whether it ever gives a `Waiting`: without, whoever must wait blocks the thread."""

    def call(
        self,
        function: Callable[[Any], Any],
        argument: object,
        is_async: bool,  # by its place: this is called for every event
        seconds: float | None = None,
    ) -> Any:
        """
        Return what ``function(argument)`` returns or resolves to, or a `Waiting` for it.

        Raises `TimeoutError` after *seconds*: an async function is cancelled then; a sync
        one cannot be, and runs on unheard.
        """
        ...

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T | Waiting:
        """Return what *coroutine* returns, or a `Waiting` for it."""
        ...

    def run_unbroken(self, work: Coroutine[Any, Any, None]) -> Waiting | None:
        """
        Run *work* to its end though its caller is cancelled; None: it has ended already.

        It returns nothing, for a value costs an exception where nobody awaits it.
        """
        ...


class SyncRunner:
    """
    For faces that are sync: it never gives a `Waiting`, so no coroutine over it waits either.

    Sync functions run in the calling thread, where the framework's own transactions and
    request contexts are; async ones on the shared loop.
    """

    can_wait = False

    def call(
        self,
        function: Callable[[Any], Any],
        argument: object,
        is_async: bool,  # as in `Runner`
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

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            coroutine.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        coroutine.close()
        raise LocalError("a sync face came to wait for something: this is a bug of hookloop")

    def run_unbroken(self, work: Coroutine[Any, Any, None]) -> None:
        self.run(work)  # nobody can cancel what never waits


def late(seconds: float | None) -> TimeoutError:
    """Return the error of what was not done in time."""
    return TimeoutError(f"not done after {seconds:g} s")
