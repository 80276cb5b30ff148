"""Does what accounts do by themselves when it is due: one task that waits for the next."""

import asyncio
import heapq
import logging
import math

from hookloop.clock import Clock

from .api import Api
from .store import Changes, Store
from .worker import DeliveryWorker

__all__ = ["Timekeeper"]

LOOK_AGAIN_SECONDS = 30.0
"""The longest wait in one piece: the wall clock may jump, a laptop may sleep."""

_log = logging.getLogger("hookloop.sandbox")


class Timekeeper:
    """The caller's duty: `run` in a task, and cancel it to stop."""

    def __init__(self, api: Api, worker: DeliveryWorker, clock: Clock) -> None:
        self._api = api
        self._worker = worker
        self._clock = clock
        self._due: list[tuple[float, int, Store]] = []  # a heap
        self._planned: dict[Store, float] = {}
        self._number = 0
        self._woken = asyncio.Event()

    def look_at(self, store: Store) -> None:
        """Take note of when the account's next task is due."""
        task = store.next_task()
        if task is not None and task.due < self._planned.get(store, math.inf):
            self._number += 1
            self._planned[store] = task.due
            heapq.heappush(self._due, (task.due, self._number, store))
            self._woken.set()

    def wake(self) -> None:
        """Look at the clock again: for whoever moves it."""
        self._woken.set()

    async def run(self) -> None:
        """Do what is due until cancelled."""
        while True:
            self.perform_due()
            seconds = LOOK_AGAIN_SECONDS
            if self._due:
                seconds = min(seconds, max(0.0, self._due[0][0] - self._clock.wall()))
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue
            self._woken.clear()

    def next_due(self) -> float:
        """Return when the next task is due, in Unix seconds; infinite where none is."""
        return self._due[0][0] if self._due else math.inf

    def perform_due(self) -> None:
        """Do what is due by the clock."""
        now = self._clock.wall()
        while self._due and self._due[0][0] <= now:
            due, _, store = heapq.heappop(self._due)
            if self._planned.get(store) == due:  # else an earlier one has come since
                del self._planned[store]
                while self._perform_next(store, now):
                    pass
                self.look_at(store)

    def _perform_next(self, store: Store, now: float) -> bool:
        """Do the account's next task if it is due, and say whether it was."""
        try:
            owed = self._api.perform_next(store, now=now)
        except Exception:
            # A bug of ours. What is due after it is done all the same.
            task = store.next_task()
            _log.exception("the task %s failed", task and task.name)
            store.commit(Changes(done=task), now=now)
            return True
        if owed is None:
            return False
        self._worker.owe(store, owed)
        return True
