"""
How much passes and how long it takes: rates and percentiles over a moment that fades. Pure.

The figures are those of ngrok's agent, so that who knows its screen and its API can read ours:
moving averages and a decaying sample with the constants of rcrowley/go-metrics.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace

__all__ = ["DecayingSample", "Meter", "MovingRate", "Reading", "percentile"]

TICK_SECONDS = 5.0  # a rate moves this often; between two ticks it stands still
SAMPLE_SIZE = 1028  # 99.9 % confidence of a 5 % error, for values of a normal distribution
SAMPLE_ALPHA = 0.015  # the sample leans on the last five minutes
RESCALE_SECONDS = 3600.0  # weights grow with exp(alpha * age): e**54 is far from any limit


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter shows at one moment."""

    count: int
    """All that have ended since the start."""
    gauge: int
    """Open now."""
    rate1: float
    """Per second, averaged over the last minute; the next two over 5 and 15."""
    rate5: float
    rate15: float
    p50: float
    """Seconds that half of the lately ended took at most; 0 where none has ended."""
    p90: float
    p95: float
    p99: float


class Meter:
    """Counts what has ended; time and randomness are the caller's."""

    def __init__(self, now: float, random: Callable[[], float]) -> None:
        """*now* is in monotonic seconds, as in every call; *random* draws from [0, 1)."""
        self._count = 0
        self._rates = tuple(MovingRate(minutes, now) for minutes in (1, 5, 15))
        self._sample = DecayingSample(now, random)

    def ended(self, count: int, durations: Sequence[float], now: float) -> None:
        """
        Count *count* that have ended since the last call.

        *durations* are the seconds they took, or of a part of them where they are too
        many to look at each.
        """
        self._count += count
        for rate in self._rates:
            rate.add(count, now)
        self._sample.add(durations, now)

    def reading(self, now: float, *, open_now: int = 0) -> Reading:
        rate1, rate5, rate15 = (rate.at(now) for rate in self._rates)
        values = self._sample.sorted_values()
        p50, p90, p95, p99 = (percentile(values, share) for share in (0.5, 0.9, 0.95, 0.99))
        return Reading(self._count, open_now, rate1, rate5, rate15, p50, p90, p95, p99)


class MovingRate:
    """Events per second, an average whose weights fall by e in *minutes*."""

    def __init__(self, minutes: float, now: float) -> None:
        self._keeps = math.exp(-TICK_SECONDS / 60.0 / minutes)
        self._ticked = now
        self._uncounted = 0
        self._rate: float | None = None

    def add(self, count: int, now: float) -> None:
        self._tick(now)
        self._uncounted += count

    def at(self, now: float) -> float:
        """Return the rate of the last tick before *now*; 0 before the first."""
        self._tick(now)
        return self._rate or 0.0

    def _tick(self, now: float) -> None:
        ticks = int((now - self._ticked) // TICK_SECONDS)
        if ticks < 1:
            return
        self._ticked += ticks * TICK_SECONDS
        rate = self._uncounted / TICK_SECONDS
        self._uncounted = 0
        # The first tick has no past to be averaged with.
        if self._rate is not None:
            rate += (self._rate - rate) * self._keeps
        self._rate = rate * self._keeps ** (ticks - 1)  # and in the other ticks nothing came


class DecayingSample:
    """
    A fair choice of the values that came, where late ones are likelier to be in it.

    Forward decay with priority sampling: Cormode, Shkapenyuk, Srivastava, Xu, "Forward decay:
    a practical time decay model for streaming systems", 2009.
    """

    def __init__(self, now: float, random: Callable[[], float]) -> None:
        self._random = random
        self._landmark = now
        self._heap: list[tuple[float, float]] = []
        """(priority, value); the least likely to stay comes first."""

    def add(self, values: Sequence[float], now: float) -> None:
        if now - self._landmark > RESCALE_SECONDS:
            self._rescale(now)
        weight = math.exp(SAMPLE_ALPHA * (now - self._landmark))
        heap = self._heap
        for value in values:
            priority = weight / (1.0 - self._random())  # never a division by zero
            if len(heap) < SAMPLE_SIZE:
                heappush(heap, (priority, value))
            elif priority > heap[0][0]:
                heapreplace(heap, (priority, value))

    def sorted_values(self) -> list[float]:
        return sorted(value for _, value in self._heap)

    def _rescale(self, now: float) -> None:
        """Count ages from *now* on, so that no weight ever overflows."""
        factor = math.exp(-SAMPLE_ALPHA * (now - self._landmark))
        self._landmark = now
        # The order stays, so the list is a heap as before.
        self._heap = [(priority * factor, value) for priority, value in self._heap]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of the sorted *values* lie, between two if need be."""
    if not values:
        return 0.0
    position = share * (len(values) + 1)
    below = int(position)
    if below < 1:
        return values[0]
    if below >= len(values):
        return values[-1]
    lower, upper = values[below - 1], values[below]
    return lower + (position - below) * (upper - lower)
