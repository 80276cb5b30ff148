"""What `chaos` has to say: how much was tried, or which schedule ends otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

from .schedules import Schedule, Step

__all__ = ["ChaosError", "ChaosReport", "Difference", "Refused", "told"]

DIGEST_CHARS_MAX = 2000  # of each digest in a message; a terminal's screen

_short = Repr()
_short.maxstring = _short.maxother = DIGEST_CHARS_MAX
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = 50


class ChaosError(AssertionError):
    """A schedule of deliveries leaves other data behind than the plain run, or is refused."""


@dataclass(frozen=True, slots=True)
class ChaosReport:
    """How much was tried; all of it ended with the same digest."""

    schedules: int
    deliveries: int
    crashes: int
    digest: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """Two digests that should be one."""

    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"  plain run: {_short.repr(self.expected)}\n  this one:  {_short.repr(self.found)}"


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that no attempt brought in."""

    event: Any
    attempts: int
    answer: Any

    def __str__(self) -> str:
        last = self.answer
        error = last if isinstance(last, BaseException) else getattr(last, "error", None)
        why = f", raising {type(error).__name__}: {error}" if error is not None else ""
        return f"  {_named(self.event)} was still refused after {self.attempts} attempts{why}"


def told(events: Sequence[Any], schedule: Schedule, crashed_at: Mapping[int, str]) -> str:
    """Return *schedule* in words, a line a step."""
    seen: set[int] = set()
    count = sum(len(step.events) for step in schedule)
    lines = [f"these {count} deliveries do not end as they should:"]
    for place, step in enumerate(schedule):
        lines.append(f"  {place + 1}. {_step_told(events, step, seen, crashed_at.get(place))}")
        seen.update(step.events)
    if any(step.crash_after is not None for step in schedule):
        lines.append("  and what was not answered 2xx comes again")
    return "\n".join(lines)


def _step_told(events: Sequence[Any], step: Step, seen: set[int], name: str | None) -> str:
    words = " and, at the same time, ".join(
        _named(events[number]) + (" again" if number in seen else "") for number in step.events
    )
    if step.crash_after is None:
        return words
    at = f" ({name})" if name else ""
    return f"{words}; the process dies after commit {step.crash_after}{at}"


def _named(event: Any) -> str:
    if isinstance(event, Mapping):
        return f"{event.get('type')} {event.get('id')}"
    return repr(event)
