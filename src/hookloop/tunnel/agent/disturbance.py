"""
Did the machine sleep, or change networks? Pure: looked at once a tick.

A connection that was cut by either looks open for as long as nobody writes to it, so
these are the moments to ask whether the relay is still there.
"""

from dataclasses import dataclass

__all__ = ["LATE_SECONDS", "TICK_SECONDS", "Glance", "disturbance"]

TICK_SECONDS = 1.0  # a network is changed this much unnoticed; a tick costs some 20 microseconds
LATE_SECONDS = 3.0  # a busy loop is not that late, and no clock is set by that much every day


@dataclass(frozen=True, slots=True)
class Glance:
    """What one tick saw."""

    wall: float
    monotonic: float
    address: str | None
    """Ours, on the route to the relay; None where there is no route."""


def disturbance(before: Glance, now: Glance) -> str | None:
    """Return what happened between two ticks, in words for a log, or None."""
    ticked = now.monotonic - before.monotonic
    # Linux and macOS stop the monotonic clock in sleep; elsewhere it goes on and the tick is late.
    if now.wall - before.wall - ticked > LATE_SECONDS or ticked > TICK_SECONDS + LATE_SECONDS:
        return "the machine was asleep"
    if now.address != before.address:
        return "the network changed" if now.address else "the network is gone"
    return None
