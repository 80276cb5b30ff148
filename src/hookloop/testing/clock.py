"""A clock that stands still until a test moves it."""

from hookloop.errors import ConfigError

__all__ = ["ManualClock"]

START_SECONDS = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC, when `make_event`'s events happen too


class ManualClock:
    """
    For whatever takes a ``clock=``: both of its times move by `advance`, and by nothing else.

        clock = ManualClock()
        hooks = Hooks(secrets=SECRET, clock=clock)
        clock.advance(301)          # now a signature of before is too old
    """

    def __init__(self, wall: float = START_SECONDS) -> None:
        self._wall = wall
        self._monotonic = 0.0

    def wall(self) -> float:
        """Unix seconds, as the test last left them."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. Raises `ConfigError` for less than none: see `set_wall`."""
        if not seconds >= 0:
            raise ConfigError(
                f"advance({seconds!r}) would turn the monotonic clock back, and that never "
                "happens: set_wall() moves the wall clock alone, either way"
            )
        self._wall += seconds
        self._monotonic += seconds

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock to *seconds*, in Unix time, as an administrator or NTP would."""
        self._wall = seconds

    def __repr__(self) -> str:
        return f"<ManualClock {self._wall:.3f}>"
