"""How long to wait before trying again. Pure: the randomness is an argument."""

from typing import Protocol

__all__ = ["FIRST_SECONDS", "LONGEST_SECONDS", "Backoff", "Jitter"]

FIRST_SECONDS = 0.25  # a relay that restarts is back within a second or two
LONGEST_SECONDS = 15.0  # short enough that nobody restarts the agent by hand


class Jitter(Protocol):
    """What we need of `random.Random`."""

    def uniform(self, a: float, b: float) -> float: ...


class Backoff:
    """
    Waits that double, each drawn from its upper half.

    The draw keeps a thousand agents from coming back in the same instant; the first
    try after a working session comes almost at once.
    """

    def __init__(self, random: Jitter) -> None:
        self._random = random
        self._next = FIRST_SECONDS

    def next_seconds(self) -> float:
        """Return how long to wait now."""
        longest = self._next
        self._next = min(2 * longest, LONGEST_SECONDS)
        return self._random.uniform(longest / 2, longest)

    def reset(self) -> None:
        """The session works: begin anew the next time."""
        self._next = FIRST_SECONDS
