"""How `chaos` delivers one event, or several at the same time: in threads, or in tasks."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from hookloop.errors import ConfigError

from .crash import Crash

__all__ = ["Delivering", "InTasks", "InThreads", "is_taken"]

SUCCESS = range(200, 300)


class Delivering(Protocol):
    """Delivers, and returns for each event the answer, or the exception in its place."""

    async def all(self, events: Sequence[Any]) -> list[Any]: ...


class InThreads:
    """For a *deliver* that is no coroutine function; one event alone stays in this thread."""

    def __init__(self, deliver: Callable[[Any], Any]) -> None:
        self._deliver = deliver

    async def all(self, events: Sequence[Any]) -> list[Any]:
        if len(events) == 1:
            return [self._one(events[0])]
        from concurrent.futures import ThreadPoolExecutor
        from threading import Barrier

        start = Barrier(len(events))

        def one(event: Any) -> Any:
            start.wait()
            return self._one(event)

        with ThreadPoolExecutor(len(events)) as threads:
            return list(threads.map(one, events))

    def _one(self, event: Any) -> Any:
        try:
            return self._deliver(event)
        except ConfigError:
            raise  # the test is wrong, and not the application
        except (Exception, Crash) as error:
            return error


class InTasks:
    """For an async *deliver*."""

    def __init__(self, deliver: Callable[[Any], Awaitable[Any]]) -> None:
        self._deliver = deliver

    async def all(self, events: Sequence[Any]) -> list[Any]:
        if len(events) == 1:
            return [await self._one(events[0])]
        import asyncio

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(event)) for event in events]
        return [task.result() for task in tasks]

    async def _one(self, event: Any) -> Any:
        try:
            return await self._deliver(event)
        except ConfigError:
            raise  # as above
        except (Exception, Crash) as error:
            return error


def is_taken(answer: Any) -> bool:
    """Say whether *answer* is a success to a sender. Raises `ConfigError` for no answer."""
    if isinstance(answer, BaseException):
        return False
    if isinstance(answer, int) and not isinstance(answer, bool):
        return answer in SUCCESS
    success = getattr(answer, "is_success", None)
    if not isinstance(success, bool):
        raise ConfigError(
            f"deliver() returned {type(answer).__name__}, and must return what send() does: an "
            "Answer, or anything with is_success, or a status"
        )
    return success
