"""The only file that reads the clock: everything else is handed the time."""

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Where a shell gets its time from; pure code takes ``now`` as an argument."""

    def wall(self) -> float:
        """Seconds since 1970, UTC: for timestamps other machines read."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back: for timeouts and durations."""
        ...


class SystemClock:
    """The machine's own clock."""

    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
