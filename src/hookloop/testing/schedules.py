"""
Schedules: the ways in which the same events may reach an application.

Senders promise at least once and no order. Pure: which schedules there are is a function of
how many events, how many commits each of them makes, and a source of randomness.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from random import Random
from typing import Literal, TypeAlias, get_args

__all__ = ["KINDS", "Kind", "Schedule", "Step", "in_order", "schedules", "simpler"]

Kind: TypeAlias = Literal["duplicate", "reorder", "concurrent", "crash"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ORDERS_MAX = 24  # every order of four events; of more, as many are drawn
MIXES_MAX = 40  # drawn ones that do everything at once: enough to meet pairs of troubles
SCHEDULES_MAX = 600  # at a few ms a run, what a test suite can still bear


@dataclass(frozen=True, slots=True)
class Step:
    """One delivery, or several at the same time."""

    events: tuple[int, ...]
    """Which events, by their place in the list; one twice is a duplicate in flight."""
    crash_after: int | None = None
    """After how many commits of this delivery the process dies."""


Schedule: TypeAlias = tuple[Step, ...]


def in_order(count: int) -> Schedule:
    """Return the schedule in which all goes well."""
    return tuple(Step((number,)) for number in range(count))


def schedules(
    count: int, commits: Sequence[int], random: Random, kinds: Collection[Kind]
) -> list[Schedule]:
    """
    Return schedules of *count* events, of which each makes that many *commits*, shortest first.

    All schedules with one trouble of the *kinds* come before the drawn ones with several; at
    most `SCHEDULES_MAX` are returned.
    """
    found: dict[Schedule, None] = {}
    if "duplicate" in kinds:
        found |= dict.fromkeys(_duplicated(count))
    if "reorder" in kinds:
        found |= dict.fromkeys(_reordered(count, random))
    if "concurrent" in kinds:
        found |= dict.fromkeys(_concurrent(count))
    if "crash" in kinds:
        found |= dict.fromkeys(_crashing(count, commits))
    single = sorted(found, key=_weight)
    mixed = [_mixed(count, commits, random, kinds) for _ in range(MIXES_MAX)]
    known = dict.fromkeys([*single[: SCHEDULES_MAX - MIXES_MAX], *sorted(mixed, key=_weight)])
    known.pop(in_order(count), None)
    return [*known]


def simpler(schedule: Schedule) -> Iterator[Schedule]:
    """Yield what *schedule* becomes with one thing less; every event still comes."""
    for place, step in enumerate(schedule):
        rest = (*schedule[:place], *schedule[place + 1 :])
        elsewhere = {event for other in rest for event in other.events}
        if elsewhere.issuperset(step.events):
            yield rest
        if step.crash_after is not None:
            yield _with(schedule, place, replace(step, crash_after=None))
        if len(step.events) > 1:
            alone = tuple(Step((event,)) for event in step.events)
            yield (*schedule[:place], *alone, *schedule[place + 1 :])
    for place in range(len(schedule) - 1):
        one, other = schedule[place], schedule[place + 1]
        if one.events > other.events:  # sorting only goes one way, so that this ends
            yield (*schedule[:place], other, one, *schedule[place + 2 :])


def _weight(schedule: Schedule) -> tuple[int, int]:
    """Return how much *schedule* asks of a reader: its deliveries, and what is special in them."""
    special = sum(len(step.events) > 1 or step.crash_after is not None for step in schedule)
    return sum(len(step.events) for step in schedule), special


def _with(schedule: Schedule, place: int, step: Step) -> Schedule:
    return (*schedule[:place], step, *schedule[place + 1 :])


def _duplicated(count: int) -> Iterator[Schedule]:
    plain = in_order(count)
    for place, step in enumerate(plain):
        yield (*plain[: place + 1], step, *plain[place + 1 :])
        yield (*plain, step)
    yield (*plain, *plain)


def _reordered(count: int, random: Random) -> Iterator[Schedule]:
    plain = in_order(count)
    for place in range(count - 1):
        yield (*plain[:place], plain[place + 1], plain[place], *plain[place + 2 :])
    yield plain[::-1]
    few = 4  # 24 orders
    if count <= few:
        yield from permutations(plain)
    else:
        yield from (tuple(random.sample(plain, count)) for _ in range(ORDERS_MAX))


def _concurrent(count: int) -> Iterator[Schedule]:
    plain = in_order(count)
    for place, step in enumerate(plain):
        yield _with(plain, place, Step(step.events * 2))
    for place in range(count - 1):
        pair = Step((place, place + 1))
        yield (*plain[:place], pair, *plain[place + 2 :])


def _crashing(count: int, commits: Sequence[int]) -> Iterator[Schedule]:
    plain = in_order(count)
    for place, step in enumerate(plain):
        for commit in range(1, commits[place] + 1):
            crashing = replace(step, crash_after=commit)
            # It comes again at once, or after everything else.
            yield (*plain[:place], crashing, *plain[place:])
            yield _with(plain, place, crashing)


def _mixed(count: int, commits: Sequence[int], random: Random, kinds: Collection[Kind]) -> Schedule:
    steps = list(in_order(count))
    if "duplicate" in kinds:
        steps += random.sample(steps, random.randint(1, count))
    if "reorder" in kinds:
        random.shuffle(steps)
    else:
        steps.sort(key=lambda step: step.events)
    if "concurrent" in kinds and len(steps) > 1:
        place = random.randrange(len(steps) - 1)
        steps[place : place + 2] = [Step(steps[place].events + steps[place + 1].events)]
    if "crash" in kinds:
        place = random.randrange(len(steps))
        most = commits[steps[place].events[0]]
        if most and len(steps[place].events) == 1:
            steps[place] = replace(steps[place], crash_after=random.randint(1, most))
    return tuple(steps)
