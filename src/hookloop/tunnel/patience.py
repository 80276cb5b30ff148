"""How long somebody may take: a deadline that moves often, on a timer that seldom does."""

import asyncio
from collections.abc import Callable

from hookloop.clock import Clock

__all__ = ["Patience"]

LOOK_SECONDS_MIN = 0.05  # between two looks
_NEVER = float("inf")


class Patience:
    """
    Calls *run_out* once the time given by `wait` has passed.

    A deadline that moves away, as it does with every request, leaves the timer where it
    is: it looks, and looks again.
    """

    __slots__ = ("_clock", "_deadline", "_loop", "_next_look", "_run_out", "_timer")

    def __init__(self, clock: Clock, run_out: Callable[[], None]) -> None:
        self._clock = clock
        self._run_out = run_out
        self._loop = asyncio.get_running_loop()
        self._deadline = _NEVER
        self._next_look = _NEVER
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, seconds: float) -> None:
        """Run out in *seconds*, whatever was said before."""
        self._set(self._clock.monotonic() + seconds)

    def wait_no_longer(self, seconds: float) -> None:
        """Run out in *seconds*, or when it was to run out anyway."""
        self._set(min(self._deadline, self._clock.monotonic() + seconds))

    def stop(self) -> None:
        """Wait for nothing."""
        self._deadline = _NEVER

    def close(self) -> None:
        """The same, for good."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._next_look:
            self._look_at(deadline)

    def _look_at(self, time: float) -> None:
        now = self._clock.monotonic()
        time = max(time, now + LOOK_SECONDS_MIN)
        if time >= self._next_look:
            return  # one that has passed, set again and again, must not push its look away
        if self._timer is not None:
            self._timer.cancel()
        self._next_look = time
        self._timer = self._loop.call_later(time - now, self._look)

    def _look(self) -> None:
        self._timer = None
        self._next_look = _NEVER
        if self._deadline <= self._clock.monotonic():
            self._deadline = _NEVER
            self._run_out()
        elif self._deadline < _NEVER:
            self._look_at(self._deadline)
