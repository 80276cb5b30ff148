"""Wakes whoever waits for something to become due, within one process."""

import asyncio
from collections.abc import Collection

__all__ = ["Bell"]


class Bell:
    """
    Rung with the name of a target; heard by those that wait for it.

    Only in the thread of an event loop. A hint: a ring that nobody waits for is not kept,
    except that `wait` hears what was rung since it was last called for the same targets.
    """

    def __init__(self) -> None:
        self._waiters: dict[asyncio.Future[None], frozenset[str]] = {}

    def ring(self, targets: Collection[str]) -> None:
        """Wake those who wait for one of *targets*."""
        for waiter, wanted in self._waiters.items():
            if not waiter.done() and not wanted.isdisjoint(targets):
                waiter.set_result(None)

    def ring_all(self) -> None:
        """Wake everybody who waits."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, targets: Collection[str], seconds: float) -> None:
        """Return at a ring for one of *targets*, or after *seconds*."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = frozenset(targets)
        try:
            await asyncio.wait({waiter}, timeout=seconds)
        finally:
            del self._waiters[waiter]
