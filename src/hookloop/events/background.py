"""One event loop in a thread, for async handlers that are called from sync code."""

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from typing import Any

from .running import late

__all__ = ["run_in_background", "run_in_thread"]

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_pid = 0


def run_in_background(function: Callable[[Any], Any], argument: object, *, seconds: float) -> Any:
    """
    Call the async *function* on the shared loop and return its result.

    One loop for all calls, so that a handler's clients and pools outlive a single event. The
    caller's context variables are seen there. Raises `TimeoutError` after *seconds*, and
    cancels the call then.
    """
    done: _Slot = _Slot()

    async def limited() -> None:
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout:
                done.put(await function(argument))
        except TimeoutError as error:
            done.fail(late(seconds) if timeout.expired() else error)
        except asyncio.CancelledError:
            done.fail(RuntimeError("the handler cancelled itself"))
        except BaseException as error:  # it is raised again, in the caller's thread
            done.fail(error)

    loop = _shared_loop()
    context = contextvars.copy_context()
    # The loop keeps only a weak reference to a task; this frame holds it until it is done.
    tasks: list[asyncio.Task[None]] = []
    loop.call_soon_threadsafe(
        lambda: tasks.append(loop.create_task(limited(), context=context)), context=context
    )
    return done.wait(None)


def run_in_thread(function: Callable[[Any], Any], argument: object, *, seconds: float) -> Any:
    """
    Call the sync *function* in a thread of its own, and wait no longer than *seconds*.

    Raises `TimeoutError` then; the thread runs on, and its result is dropped.
    """
    done: _Slot = _Slot()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            done.put(context.run(function, argument))
        except BaseException as error:  # it is raised again, in the caller's thread
            done.fail(error)

    threading.Thread(target=run, name="hookloop-deadline", daemon=True).start()
    return done.wait(seconds)


class _Slot:
    """Where one thread leaves a result or an error for another."""

    def __init__(self) -> None:
        self._is_set = threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None

    def put(self, result: Any) -> None:
        self._result = result
        self._is_set.set()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._is_set.set()

    def wait(self, seconds: float | None) -> Any:
        if not self._is_set.wait(seconds):
            raise late(seconds)
        if self._error is not None:
            raise self._error
        return self._result


def _shared_loop() -> asyncio.AbstractEventLoop:
    global _loop, _pid  # one loop per process is the point
    with _lock:
        # A forked worker inherits the loop object but not its thread.
        if _loop is None or _pid != os.getpid():
            _loop, _pid = asyncio.new_event_loop(), os.getpid()
            threading.Thread(target=_loop.run_forever, name="hookloop-async", daemon=True).start()
        return _loop
