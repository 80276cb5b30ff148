"""Small charts of the last minutes, as SVG without a script. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from hookloop.meter import percentile

__all__ = ["BINS", "BIN_SECONDS", "Bin", "bins", "polyline"]

BINS = 60
BIN_SECONDS = 15.0  # a quarter of an hour in all
WIDTH, HEIGHT = 600.0, 96.0


class Bin(NamedTuple):
    """What ended well or badly in one stretch of time."""

    good: int
    bad: int
    """Answered 4xx or 5xx, or not at all."""
    p50: float
    p90: float


def bins(rows: Sequence[tuple[float, int | None, float]], now: float) -> tuple[Bin, ...]:
    """Return `BINS` of *rows* (started, status, seconds), the oldest first."""
    start = now - BINS * BIN_SECONDS
    good, bad = [0] * BINS, [0] * BINS
    seconds: list[list[float]] = [[] for _ in range(BINS)]
    for at, status, duration in rows:
        place = int((at - start) // BIN_SECONDS)
        if 0 <= place < BINS:
            if status is not None and status < 400:
                good[place] += 1
            else:
                bad[place] += 1
            seconds[place].append(duration)
    for values in seconds:
        values.sort()
    return tuple(
        Bin(good[at], bad[at], percentile(seconds[at], 0.5), percentile(seconds[at], 0.9))
        for at in range(BINS)
    )


def polyline(values: Sequence[float], top: float) -> str:
    """Return the points of a line through *values* in a box of `WIDTH` by `HEIGHT`."""
    step = WIDTH / max(1, len(values) - 1)
    scale = (HEIGHT - 4) / top if top > 0 else 0.0
    return " ".join(
        f"{at * step:.1f},{HEIGHT - 2 - value * scale:.1f}" for at, value in enumerate(values)
    )
