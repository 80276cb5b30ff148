"""
Time for the whole sandbox: put forward, and everything that falls due on the way happens in order.

What the accounts do by themselves and what deliveries wait for go by one clock. Signatures do
not: whoever checks them goes by the clock on the wall.
"""

import asyncio
from dataclasses import dataclass

from hookloop.errors import ConfigError

from .moving_clock import MovingClock
from .timekeeper import Timekeeper
from .worker import DeliveryWorker

__all__ = ["ADVANCE_SECONDS_MAX", "TimeMachine", "TimeOfSandbox"]

ADVANCE_SECONDS_MAX = 2 * 366 * 24 * 3600.0
"""Of one step: two years, Stripe's bound for a test clock with nothing on it."""


@dataclass(frozen=True, slots=True)
class TimeOfSandbox:
    """What time it is there, in Unix seconds."""

    now: float
    target: float | None
    """Where it is being put forward to; None where it goes as time does."""


class TimeMachine:
    """Puts the clock of a sandbox forward. One step at a time."""

    def __init__(self, clock: MovingClock, timekeeper: Timekeeper, worker: DeliveryWorker) -> None:
        self._clock = clock
        self._timekeeper = timekeeper
        self._worker = worker
        self._target: float | None = None
        self._advancing: asyncio.Task[None] | None = None

    def time(self) -> TimeOfSandbox:
        return TimeOfSandbox(self._clock.wall(), self._target)

    def begin(self, seconds: float) -> TimeOfSandbox:
        """
        Begin to put the clock forward by *seconds*, and return where it stands.

        Raises `ConfigError` for a step too long, backwards, or beside one that is going on.
        """
        if not 0 < seconds <= ADVANCE_SECONDS_MAX:
            raise ConfigError(
                f"the sandbox's clock cannot be put forward by {seconds:g} seconds: it goes "
                f"forward only, and by {ADVANCE_SECONDS_MAX:g} at most"
            )
        if self._target is not None:
            raise ConfigError("the sandbox's clock is being put forward already: wait for its end")
        self._target = self._clock.wall() + seconds
        self._advancing = asyncio.create_task(self._advance(self._target))
        return self.time()

    async def advance(self, seconds: float) -> None:
        """Do as `begin` does, and return when it is done: nothing is due, nothing in flight."""
        self.begin(seconds)
        if self._advancing is not None:
            await self._advancing

    def stop(self) -> None:
        if self._advancing is not None:
            self._advancing.cancel()

    async def _advance(self, target: float) -> None:
        try:
            while True:
                await self._worker.wait_idle()
                due = min(self._timekeeper.next_due(), self._worker.next_due())
                self._clock.put_forward_to(min(due, target))
                if due > target:
                    return
                self._timekeeper.perform_due()
                self._worker.start_due()
        finally:
            self._target = None
            self._timekeeper.wake()
            self._worker.wake()
