"""Wall time that never goes back: what a store on one machine times leases and retries by."""

from hookloop.clock import Clock

__all__ = ["SteadyClock"]


class SteadyClock:
    """
    The machine's wall clock, except that it never goes back.

    Where the wall clock is turned back, the time goes on from where it was at the pace of the
    monotonic clock, until the wall clock is ahead again: a lease of 30 s ends after 30 s, not
    after the hour that daylight saving or an administrator took. It goes forward with the wall
    clock, which a laptop's sleep moves and the monotonic clock does not see.
    """

    def __init__(self, clock: Clock, *, not_before: float = 0.0) -> None:
        """*not_before* is the latest time on record, from before a restart."""
        self._clock = clock
        self._at = max(clock.wall(), not_before)
        self._monotonic = clock.monotonic()

    def now(self) -> float:
        """Return Unix seconds, never less than before."""
        monotonic = self._clock.monotonic()
        self._at = max(self._clock.wall(), self._at + monotonic - self._monotonic)
        self._monotonic = monotonic
        return self._at
