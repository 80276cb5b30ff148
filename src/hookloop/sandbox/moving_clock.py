"""A clock that can be put forward: what is due in two weeks happens now."""

from hookloop.clock import Clock

__all__ = ["MovingClock"]


class MovingClock:
    """Goes as *clock* does, ahead of it by what it was put forward."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_seconds = 0.0

    def wall(self) -> float:
        return self._clock.wall() + self._ahead_seconds

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def put_forward_to(self, time: float) -> None:
        """Let it be *time* (Unix seconds), unless it is later already: a clock never goes back."""
        self._ahead_seconds += max(0.0, time - self.wall())
