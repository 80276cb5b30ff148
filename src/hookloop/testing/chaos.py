"""
Deliver events as badly as the internet can, and see that the end is always the same.

Every event may come twice, in any order, at the same time as another, and the process may
die after any commit. Handlers that stand this leave the same data behind.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

from hookloop.errors import ConfigError
from hookloop.shapes.package import closest

from .chaos_report import ChaosError, ChaosReport, Difference, Refused, told
from .crash import CommitPoints, Crash
from .delivering import Delivering, InTasks, InThreads, is_taken
from .schedules import KINDS, Kind, Schedule, Step, in_order, schedules, simpler

__all__ = ["achaos", "chaos"]

T = TypeVar("T")

ATTEMPTS_MAX = 5  # of one event, once everything has been delivered; more would fail for ever
SIMPLER_MAX = 200  # runs spent on making a failing schedule shorter


def chaos(  # the seams of a whole application
    deliver: Callable[[Any], Any],
    events: Sequence[Any],
    *,
    digest: Callable[[], Any],
    reset: Callable[[], object],
    restart: Callable[[], object] | None = None,
    commits: CommitPoints | None = None,
    kinds: Collection[Kind] = KINDS,
    seed: int | str = 0,
) -> ChaosReport:
    """
    Deliver *events* in many schedules, and compare what each leaves behind with a plain run.

        chaos(
            lambda event: send(shop.app, event, secret=SECRET),
            [make("checkout.session.completed"), make("invoice.paid")],
            digest=shop.orders, reset=shop.empty, restart=shop.start, commits=shop.commits,
        )

    The application supplies: *deliver*, which sends one event and returns the `Answer` (or
    anything with ``is_success``, or a status); *digest*, which returns what must be equal in
    the end, such as rows in a fixed order, balances, mails sent; *reset*, which empties all of
    it, memory included; *restart*, which does what a new process would after a crash: forget
    what was in memory, make the app anew, keep the data. By default that is nothing. *commits*:
    the `CommitPoints` that the application calls; without them nothing crashes.

    What is not answered 2xx comes again, as its sender would have it, up to `ATTEMPTS_MAX`
    times. *kinds*: which troubles to make; leave out ``reorder`` for handlers that are right
    to rely on an order. Concurrent deliveries run in threads.

    Raises `ChaosError`, an `AssertionError`, with the shortest schedule found that ends
    otherwise, and the seed; `ConfigError` where the plain run itself does not end the same
    twice, and for *commits* that nobody calls.
    """
    run = _Run(events, InThreads(deliver), digest, reset, restart, commits)
    return _finished(_chaos(run, kinds, seed))


async def achaos(  # as `chaos`
    deliver: Callable[[Any], Awaitable[Any]],
    events: Sequence[Any],
    *,
    digest: Callable[[], Any],
    reset: Callable[[], object],
    restart: Callable[[], object] | None = None,
    commits: CommitPoints | None = None,
    kinds: Collection[Kind] = KINDS,
    seed: int | str = 0,
) -> ChaosReport:
    """Do what `chaos` does on the running loop; each of the functions may be async."""
    return await _chaos(
        _Run(events, InTasks(deliver), digest, reset, restart, commits), kinds, seed
    )


async def _chaos(run: "_Run", kinds: Collection[Kind], seed: int | str) -> ChaosReport:
    _check(run, kinds)
    plain = in_order(len(run.events))
    expected = await run.ended(plain)
    if isinstance(expected, Refused):
        raise ChaosError(f"without any trouble, {told(run.events, plain, {})}\n{expected}")
    counts = [run.commits_of.get(number, 0) for number in range(len(run.events))]
    if run.commits is not None and "crash" in kinds and not any(counts):
        raise ConfigError(
            "a plain run made no commit: call commits.committed() after each of them, from the "
            "application that deliver() reaches"
        )
    again = await run.ended(plain)
    if again != expected:
        raise ConfigError(
            "two plain runs end otherwise: reset() leaves something behind, such as the events "
            "that Hooks remembers (make it anew), or digest() holds what never is the same, "
            f"such as a time or a new id\n{Difference(expected, again)}"
        )
    tried = schedules(len(run.events), counts, Random(f"{seed}"), kinds)  # noqa: S311  # no secrets
    for number, schedule in enumerate(tried, 1):
        found = await run.ended(schedule)
        if found != expected:
            shortest, found = await _shortest(run, schedule, expected, found)
            ending = found if isinstance(found, Refused) else Difference(expected, found)
            raise ChaosError(
                f"{told(run.events, shortest, run.crashed_at)}\n{ending}\n"
                f"found by schedule {number} of {len(tried)}; to repeat it: seed={seed!r}"
            )
    return ChaosReport(len(tried), run.deliveries, run.crashes, expected)


async def _shortest(
    run: "_Run", schedule: Schedule, expected: Any, found: Any
) -> tuple[Schedule, Any]:
    """Return the shortest failing schedule that leaving things out of *schedule* gives."""
    runs_left = SIMPLER_MAX
    is_shorter = True
    while is_shorter:
        is_shorter = False
        for candidate in simpler(schedule):
            runs_left -= 1
            if runs_left < 0:
                return schedule, found
            ended = await run.ended(candidate)
            if ended != expected:
                schedule, found, is_shorter = candidate, ended, True
                break
    # Once more, so that what is told of its crashes is of this one.
    return schedule, await run.ended(schedule)


class _Run:
    """The application, and how one schedule after the other is run on it."""

    def __init__(  # as `chaos`
        self,
        events: Sequence[Any],
        delivering: Delivering,
        digest: Callable[[], Any],
        reset: Callable[[], object],
        restart: Callable[[], object] | None,
        commits: CommitPoints | None,
    ) -> None:
        self.events = events
        self.commits = commits
        self.commits_of: dict[int, int] = {}
        self.crashed_at: dict[int, str] = {}
        self.deliveries = 0
        self.crashes = 0
        self._delivering = delivering
        self._digest = digest
        self._reset = reset
        self._restart = restart

    async def ended(self, schedule: Schedule) -> Any:
        """Return the digest after *schedule*, or `Refused`."""
        await _called(self._reset)
        self.crashed_at = {}
        owed = set(range(len(self.events)))
        for place, step in enumerate(schedule):
            owed -= await self._taken(step, place)
        answers: dict[int, Any] = {}
        for _ in range(ATTEMPTS_MAX):
            for number in sorted(owed):
                if await self._taken(Step((number,)), None, answers):
                    owed.discard(number)
        if owed:
            first = min(owed)
            return Refused(self.events[first], ATTEMPTS_MAX, answers.get(first))
        return await _called(self._digest)

    async def _taken(
        self, step: Step, place: int | None, answers: dict[int, Any] | None = None
    ) -> set[int]:
        """Return which events of *step* were answered 2xx by a process that lived on."""
        self.deliveries += len(step.events)
        if self.commits is not None:
            self.commits.arm(step.crash_after)
        got = await self._delivering.all([self.events[number] for number in step.events])
        has_crashed = any(isinstance(one, Crash) for one in got)
        if self.commits is not None:
            if step.crash_after is None and len(step.events) == 1:
                number = step.events[0]
                known = self.commits_of.get(number, 0)
                self.commits_of[number] = max(known, self.commits.count)
            has_crashed = has_crashed or self.commits.has_crashed
            self.commits.arm(None)
        if has_crashed:
            self.crashes += 1
            if self.commits is not None and place is not None:
                self.crashed_at[place] = self.commits.crashed_at
            if self._restart is not None:
                await _called(self._restart)
            return set()
        pairs = list(zip(step.events, got, strict=True))
        if answers is not None:
            answers.update(pairs)
        return {number for number, answer in pairs if is_taken(answer)}


def _check(run: _Run, kinds: Collection[Kind]) -> None:
    if not run.events:
        raise ConfigError("chaos() was given no event to deliver")
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"there is no kind of trouble {kind!r}{closest(kind, KINDS)}")


async def _called(function: Callable[[], Any]) -> Any:
    value = function()
    return await value if inspect.isawaitable(value) else value


def _finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run *coroutine*, which never waits, to its end without a loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coroutine.close()
    raise ConfigError("digest(), reset() or restart() is async: await achaos() instead")
