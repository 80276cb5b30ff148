"""One event loop in a thread, for async handlers that are called from sync code."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any

__all__ = ["run_in_background"]

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_pid = 0


def run_in_background(coroutine: Coroutine[Any, Any, Any], *, seconds: float) -> Any:
    """
    Run *coroutine* on the shared loop and return its result.

    One loop for all calls, so that a handler's clients and pools outlive a single event.
    Raises `TimeoutError` after *seconds*, and cancels it then.
    """

    async def limited() -> Any:
        async with asyncio.timeout(seconds):
            return await coroutine

    return asyncio.run_coroutine_threadsafe(limited(), _shared_loop()).result()


def _shared_loop() -> asyncio.AbstractEventLoop:
    global _loop, _pid  # one loop per process is the point
    with _lock:
        # A forked worker inherits the loop object but not its thread.
        if _loop is None or _pid != os.getpid():
            _loop, _pid = asyncio.new_event_loop(), os.getpid()
            threading.Thread(target=_loop.run_forever, name="hookloop-async", daemon=True).start()
        return _loop
