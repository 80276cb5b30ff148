"""
What the relay counts, as plain numbers: an exchange costs a few additions, and no lock.

`metrics` shows them to Prometheus. Those of several workers add up by `Counts.add`.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["SECONDS_BUCKETS", "Counts"]

# From a webhook handler's milliseconds to the minutes of a breakpoint or an event stream.
SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(slots=True)
class Counts:
    """All since the start."""

    connections: int = 0
    """Of callers and agents."""
    sessions: int = 0
    handshakes: int = 0
    """TLS handshakes that were done."""
    handshakes_failed: int = 0
    bytes_in: int = 0
    """Of requests' bodies."""
    bytes_out: int = 0
    """Of answers' bodies."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Exchanges by the class of their status; ``none`` for those without an answer."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers of the relay's own, by their code."""
    cut: Counter[str] = field(default_factory=Counter)
    """Exchanges and connections that ended before their time, by reason."""
    sessions_refused: Counter[str] = field(default_factory=Counter)
    names_refused: Counter[str] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS_BUCKETS) + 1))
    """Exchanges by how long they took, the last for longer ones."""
    seconds: float = 0.0
    """Of all exchanges together."""

    def exchange(
        self, status: int | None, seconds: float, *, bytes_in: int, bytes_out: int
    ) -> None:
        """An exchange has ended."""
        self.statuses["none" if status is None else _CLASSES[status // 100]] += 1
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
        self.buckets[bisect_left(SECONDS_BUCKETS, seconds)] += 1
        self.seconds += seconds

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for `add` in another process."""
        return {known.name: getattr(self, known.name) for known in fields(self)}

    def add(self, other: dict[str, Any]) -> None:
        """Add the counts of another worker."""
        for name, value in other.items():
            mine = getattr(self, name)
            if isinstance(mine, Counter):
                mine.update(value)
            elif isinstance(mine, list):
                setattr(self, name, [a + b for a, b in zip(mine, value, strict=True)])
            else:
                setattr(self, name, mine + value)


_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
