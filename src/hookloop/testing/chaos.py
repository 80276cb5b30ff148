"""
Deliver events as badly as the internet can, and see that the end is always the same.

Senders promise at least once and no order: every event may come twice, in any order, and
the process may die after any commit. Handlers that stand this leave the same data behind.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from random import Random
from typing import Any, TypeVar

__all__ = ["ChaosReport", "CommitCrash", "Crashed", "chaos"]

ORDERS_MAX = 24  # all orders of four events; of more, as many are drawn
ATTEMPTS_MAX = 5  # of one delivery; a handler that fails as often will fail for ever
CRASHES_MAX = 1000  # commits in one run; more than that is a loop

E = TypeVar("E")


class Crashed(BaseException):
    """
    The process "died" here.

    No `Exception`: what dies does not run ``except Exception`` either.
    """


class CommitCrash:
    """
    Dies after a chosen commit. Let your storage call `committed` right after each commit:
    from SQLAlchemy's ``after_commit``, or a wrapper of ``connection.commit``.
    """

    def __init__(self) -> None:
        self._left: int | None = None

    def arm(self, commits: int) -> None:
        """Die after that many commits from now; once."""
        self._left = commits

    @property
    def is_armed(self) -> bool:
        """Whether it has still to die."""
        return self._left is not None

    def disarm(self) -> None:
        """Never mind."""
        self._left = None

    def committed(self) -> None:
        """Take note of a commit. Raises `Crashed` after the armed one."""
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            self._left = None
            raise Crashed


class ChaosReport:
    """How much was tried."""

    __slots__ = ("crashes", "deliveries", "orders")

    def __init__(self) -> None:
        self.orders = 0
        self.crashes = 0
        self.deliveries = 0

    def __repr__(self) -> str:
        return (
            f"<ChaosReport {self.orders} orders, {self.crashes} crashes, "
            f"{self.deliveries} deliveries>"
        )


def chaos(
    events: Sequence[E],
    *,
    deliver: Callable[[E], Any],
    reset: Callable[[], object],
    digest: Callable[[], object],
    restart: Callable[[], object] | None = None,
    crash: CommitCrash | None = None,
    seed: int = 0,
    orders_max: int = ORDERS_MAX,
) -> ChaosReport:
    """
    Deliver *events* in every order, each twice, with crashes; compare what is left behind.

    *deliver* sends one event and returns the `Answer`, or anything with ``is_success``: what
    fails is delivered again, as its sender would. *reset* empties the data before each run;
    *digest* returns what must be equal after each: rows as a sorted list, balances, mails
    sent. *restart* stands for a new process after a crash: by default nothing of the old one
    is forgotten, so pass ``hooks.forget_recent`` at least. With *crash*, each commit of a run
    in the given order is once the last thing a process does. The first run, in order and
    without mishap, sets the digest.

    Raises `AssertionError` with the scenario at the first difference.
    """
    run = _Run(deliver, reset, digest, restart or (lambda: None), crash)
    expected = run.of(events)
    random = Random(seed)  # noqa: S311  # which orders are tried, no secret
    for order in _orders(events, random, orders_max):
        run.compare(expected, run.of(_doubled(order, random)), _told(events, order, "each twice"))
        run.report.orders += 1
    if crash is not None:
        run.crash_everywhere(expected, events, crash)
    return run.report


class _Run:
    def __init__(
        self,
        deliver: Callable[[Any], Any],
        reset: Callable[[], object],
        digest: Callable[[], object],
        restart: Callable[[], object],
        crash: CommitCrash | None,
    ) -> None:
        self._deliver = deliver
        self._reset = reset
        self._digest = digest
        self._restart = restart
        self._crash = crash
        self.report = ChaosReport()

    def of(self, events: Sequence[Any], *, crash_after: int | None = None) -> object:
        """Deliver all *events* from an empty start, and return the digest."""
        self._reset()
        self._restart()
        if self._crash is not None and crash_after is not None:
            self._crash.arm(crash_after)
        late: list[Any] = [event for event in events if not self._arrives(event)]
        for _ in range(ATTEMPTS_MAX):
            late = [event for event in late if not self._arrives(event)]
        if late:
            raise AssertionError(
                f"{len(late)} of {len(events)} events were still refused after "
                f"{ATTEMPTS_MAX + 1} attempts"
            )
        return self._digest()

    def crash_everywhere(self, expected: object, events: Sequence[Any], crash: CommitCrash) -> None:
        for commit in range(1, CRASHES_MAX + 1):
            found = self.of(events, crash_after=commit)
            if crash.is_armed:  # there are fewer commits than that: all have been tried
                crash.disarm()
                return
            self.compare(expected, found, f"the process dies after commit {commit}")
            self.report.crashes += 1
        raise AssertionError(f"one run of these events takes over {CRASHES_MAX} commits")

    def compare(self, expected: object, found: object, scenario: str) -> None:
        if found != expected:
            raise AssertionError(
                f"the data differs where {scenario}:\n"
                f"  in order: {expected!r}\n  here:     {found!r}"
            )

    def _arrives(self, event: Any) -> bool:
        self.report.deliveries += 1
        try:
            return bool(self._deliver(event).is_success)
        except Crashed:
            self._restart()
            return False


def _orders(events: Sequence[E], random: Random, most: int) -> Iterator[list[E]]:
    """Return every order where there are few, and *most* drawn ones where there are many."""
    few = 5  # 120 orders at most to choose from
    if len(events) < few:
        found = [list(order) for order in permutations(events)]
        yield from found[:most]
        return
    yield list(reversed(events))
    for _ in range(most - 1):
        yield random.sample(list(events), len(events))


def _doubled(events: Sequence[E], random: Random) -> list[E]:
    """Put a second copy of each event somewhere after the first."""
    doubled = list(events)
    for event in events:
        doubled.insert(random.randint(doubled.index(event) + 1, len(doubled)), event)
    return doubled


def _told(events: Sequence[Any], order: Sequence[Any], how: str) -> str:
    numbers = ", ".join(str(events.index(event) + 1) for event in order)
    return f"events come in the order {numbers}, {how}"
