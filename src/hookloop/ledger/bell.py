"""Wakes whoever waits for something to become due, within one process."""

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from threading import Lock

__all__ = ["Bell"]


class Bell:
    """
    Rung with the name of a target; heard by those that wait for it.

    Rung and waited for in any event loop's thread. A hint: a ring that nobody waits for is not
    kept, except that `wait` hears what was rung since it was last called for the same targets.
    """

    def __init__(self) -> None:
        self._waiters: dict[asyncio.Future[None], frozenset[str]] = {}
        self._lock = Lock()

    def ring(self, targets: Collection[str]) -> None:
        """Wake those who wait for one of *targets*."""
        with self._lock:
            waiters = [
                waiter for waiter, own in self._waiters.items() if not own.isdisjoint(targets)
            ]
        _wake(waiters)

    def ring_all(self) -> None:
        """Wake everybody who waits."""
        with self._lock:
            waiters = list(self._waiters)
        _wake(waiters)

    async def wait(self, targets: Collection[str], seconds: float) -> None:
        """Return at a ring for one of *targets*, or after *seconds*."""
        waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiters[waiter] = frozenset(targets)
        try:
            await asyncio.wait({waiter}, timeout=seconds)
        finally:
            with self._lock:
                del self._waiters[waiter]


def _wake(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        with suppress(RuntimeError):  # its loop is closed: nobody waits
            waiter.get_loop().call_soon_threadsafe(_resolve, waiter)


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
