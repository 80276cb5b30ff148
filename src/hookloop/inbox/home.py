"""The thread and the event loop an inbox lives on, whatever kind of server receives its events."""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["Home", "after_fork", "at_exit", "leave_behind"]

T = TypeVar("T")

STOP_SECONDS = 15.0
"""For the last work at the end of the process: what is not done by then is done by the next one."""

_left_behind: list[object] = []
"""What a fork took along and must not close: to close a copied SQLite connection may remove the
write-ahead log under the parent."""


class Home:
    """
    One event loop in a daemon thread, from the first `submit` until `stop`.

    A forked child begins with none: the parent's belongs to the parent.
    """

    def __init__(self, name: str, *, threads: int) -> None:
        self._name = name
        self._threads = threads
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    @property
    def is_here(self) -> bool:
        """Whether the caller runs on this loop."""
        return threading.current_thread() is self._thread

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run *coroutine* on the loop, and return its future."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())

    def stop(self, last: Callable[[], Awaitable[Any]]) -> None:
        """Await *last* on the loop, for some seconds at most, and end the loop."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None or self._pid != os.getpid():
            return
        ending = asyncio.run_coroutine_threadsafe(_awaited(last), loop)
        with suppress(Exception):  # what it could not do now is done after a start
            ending.result(STOP_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_SECONDS)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is not None and self._pid == os.getpid():
            return loop
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._begin()
            assert self._loop is not None  # noqa: S101  # just begun
            return self._loop

    def _begin(self) -> None:
        loop = asyncio.new_event_loop()
        loop.set_default_executor(
            ThreadPoolExecutor(self._threads, thread_name_prefix="hookloop-handler")
        )
        self._loop, self._pid = loop, os.getpid()
        self._thread = threading.Thread(
            target=_run, args=(loop,), name=f"hookloop-inbox {self._name}", daemon=True
        )
        self._thread.start()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _awaited(last: Callable[[], Awaitable[Any]]) -> None:
    await last()


def leave_behind(*things: object) -> None:
    """Keep *things* of a parent process from being finalized in this one."""
    _left_behind.extend(things)


def after_fork(begin: "weakref.WeakMethod[Callable[[], None]]") -> None:
    """Call *begin* in each child this process forks."""

    def call() -> None:
        if (method := begin()) is not None:
            method()

    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(after_in_child=call)


def at_exit(stop: "weakref.WeakMethod[Callable[[], None]]") -> None:
    """Call *stop* when the interpreter ends, before its daemon threads do."""

    def call() -> None:
        if (method := stop()) is not None:
            method()

    atexit.register(call)
