"""
Makes the attempts: lease, hand to the target, record what came of it, and so on.

The loop behind every use of the ledger. What an attempt *is* is the target's: run a handler,
post to an endpoint, pass a caught request to the application.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hookloop.errors import ConfigError, StoreError
from hookloop.schedule import RetrySchedule

from .delivery import Dead, LeaseId, Outcome, Release, Retry
from .store import Lease, Store

__all__ = ["Failed", "Settled", "Target", "Worker", "WorkerSettings", "WorkerStatistics"]

logger = logging.getLogger("hookloop.ledger")

STORE_AGAIN_SECONDS = 1.0
"""How long to leave a store alone that could not: a full disk is not emptied in milliseconds."""

GIVE_BACK_SECONDS = 2.0
"""For a stopped worker to write that it gives its leases back; else they run out by themselves."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt in vain: try again when the worker's schedule says so, while it lasts."""

    detail: str = ""
    after_seconds: float | None = None
    """When to try again, where the target knows better; the schedule still counts the tries."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The target has said it to the store itself, in a transaction of its own; or was not heard."""

    outcome: Outcome | None = None
    """What it said; None where the lease was lost."""


class Target(Protocol):
    """Takes deliveries of its name."""

    async def deliver(self, lease: Lease) -> Outcome | Failed | Settled:
        """
        Make the attempt and return what came of it.

        An exception counts as `Failed`, by its type's name: its text may hold a payload. Where
        the lease is lost meanwhile, the call is cancelled; somebody else has the delivery then.
        The same delivery comes again after a crash: its message's id is the same.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker goes about it. Raises `ConfigError` for what cannot be."""

    attempts_at_once: int = 32
    """Of all targets: also the batch a claim takes, one flush for all of them."""
    target_attempts_at_once: int = 8
    """Of one target: a slow one takes no more of the worker than this."""
    lease_seconds: float = 30.0
    """How soon another worker takes over after a crash; a live one extends its leases in time."""
    poll_seconds: float = 1.0
    """How late at most a retry, or what another process has appended, is seen."""
    crashes_max: int = 3
    """After so many lost leases a delivery is dead: it kills whoever touches it. 0 is never."""
    stop_seconds: float = 10.0
    """What attempts may take when the worker is stopped; the rest is cut off and given back."""

    def __post_init__(self) -> None:
        counts = (self.attempts_at_once, self.target_attempts_at_once)
        if min(counts) < 1 or self.crashes_max < 0 or self.stop_seconds < 0:
            raise ConfigError(f"{self} makes no attempts: its counts must be at least 1")
        if not 0 < 2 * self.poll_seconds <= self.lease_seconds:
            raise ConfigError(
                f"a lease of {self.lease_seconds:g} s and a poll every {self.poll_seconds:g} s: "
                "a lease must be at least twice as long, or it ends under its holder"
            )


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """What a worker has in hand, and has done."""

    in_flight: int
    results: Mapping[str, int]
    """Attempts by how they ended: ``done``, ``retry``, ``dead``, ``release``, ``lost``."""


class Worker:
    """
    Works off what a store owes to *targets*, until its `run` is cancelled.

    *targets* may grow meanwhile: what is added is asked for at the next claim. Any number of
    workers, in any number of processes, may share a store.
    """

    def __init__(
        self,
        store: Store,
        targets: Mapping[str, Target],
        *,
        schedule: RetrySchedule,
        settings: WorkerSettings | None = None,
        room_of: Callable[[str], int] | None = None,
    ) -> None:
        self._store = store
        self._targets = targets
        self._room_of = room_of
        self._schedule = schedule
        self._settings = settings or WorkerSettings()
        self._in_flight: dict[LeaseId, tuple[Lease, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._slot_freed = asyncio.Event()
        self._is_alone = False
        """Something that has killed a worker before is being attempted."""
        self._results: Counter[str] = Counter()

    def statistics(self) -> WorkerStatistics:
        return WorkerStatistics(in_flight=len(self._in_flight), results=dict(self._results))

    async def run(self) -> None:
        """
        Make attempts until cancelled; then let those in flight end, for `stop_seconds` at most.

        A store that cannot (`StoreError`) is left alone for a second, and asked again.
        """
        async with asyncio.TaskGroup() as self._tasks:
            beat = self._tasks.create_task(self._keep_leases())
            try:
                while True:
                    await self._turn()
            finally:
                await self._stop()
                beat.cancel()

    async def _turn(self) -> None:
        """Claim what there is room for; wait for something to do where there was nothing."""
        self._slot_freed.clear()
        room = self._room()
        # Before the claim: what comes between an empty claim and the wait would not be heard.
        waiting = asyncio.ensure_future(
            self._store.wait_due(tuple(room), self._settings.poll_seconds)
        )
        freed = asyncio.ensure_future(self._slot_freed.wait())
        try:
            if not await self._claim(room):
                await asyncio.wait({waiting, freed}, return_when=asyncio.FIRST_COMPLETED)
        except StoreError as error:
            logger.warning("the ledger cannot be claimed from: %s", error)
            await asyncio.sleep(STORE_AGAIN_SECONDS)
        finally:
            waiting.cancel()
            freed.cancel()

    def _room(self) -> dict[str, int]:
        if self._is_alone:
            return {}
        busy = Counter(lease.delivery.target for lease, _ in self._in_flight.values())
        most = {target: self._most(target) for target in self._targets}
        return {target: n - busy[target] for target, n in most.items() if busy[target] < n}

    def _most(self, target: str) -> int:
        if self._room_of is None:
            return self._settings.target_attempts_at_once
        return self._room_of(target)

    async def _claim(self, room: Mapping[str, int]) -> bool:
        """Say whether there may be more to claim at once."""
        limit = self._settings.attempts_at_once - len(self._in_flight)
        if not room or limit < 1:
            return False
        # Not cut off by a cancel: what was claimed and not heard of would wait for its lease's end.
        claiming = asyncio.ensure_future(
            self._store.claim(room, limit=limit, lease_seconds=self._settings.lease_seconds)
        )
        try:
            leases = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with contextlib.suppress(StoreError):
                await self._store.settle({lease.id: Release() for lease in await claiming})
            raise
        for lease in leases:
            if lease.delivery.crashes:
                self._is_alone = True  # the store leases such a one alone
            self._begin(lease)
        return bool(leases) and not self._is_alone

    # --- one attempt ------------------------------------------------------------------------

    def _begin(self, lease: Lease) -> None:
        assert self._tasks is not None  # noqa: S101  # only `run` leads here
        task = self._tasks.create_task(self._attempt(lease))
        self._in_flight[lease.id] = (lease, task)

    async def _attempt(self, lease: Lease) -> None:
        try:
            outcome: Outcome | Settled
            try:
                if lease.delivery.crashes:
                    await self._wait_alone()
                outcome = self._judged(lease, await self._deliver(lease))
            except asyncio.CancelledError:
                # We stop; or the lease is lost, and then nobody hears this.
                outcome = Release("the worker was stopped in the middle")
            if isinstance(outcome, Settled):
                self._count(outcome.outcome)
            else:
                await self._settle(lease, outcome)
        finally:
            del self._in_flight[lease.id]
            self._is_alone = any(other.delivery.crashes for other, _ in self._in_flight.values())
            self._slot_freed.set()

    async def _wait_alone(self) -> None:
        """Return once nothing else is in flight: the next crash must cost nobody else."""
        while len(self._in_flight) > 1:
            self._slot_freed.clear()
            await self._slot_freed.wait()

    async def _deliver(self, lease: Lease) -> Outcome | Failed | Settled:
        crashes = lease.delivery.crashes
        if 0 < self._settings.crashes_max <= crashes:
            return Dead(f"its worker died {crashes} times")
        try:
            return await self._targets[lease.delivery.target].deliver(lease)
        except Exception as error:
            logger.exception("delivery %d raised", lease.delivery.id)
            return Failed(type(error).__name__)

    def _judged(self, lease: Lease, outcome: Outcome | Failed | Settled) -> Outcome | Settled:
        """Let the schedule say what a failure means."""
        if not isinstance(outcome, Failed):
            return outcome
        failures = lease.delivery.failures + 1
        wait = self._schedule.next_attempt(attempts=failures, ended=0.0)
        if wait is None:
            return Dead(f"{outcome.detail} (after {failures} failures)")
        after = outcome.after_seconds
        return Retry(wait if after is None else max(after, 0.0), outcome.detail)

    async def _settle(self, lease: Lease, outcome: Outcome) -> None:
        """
        Record *outcome*, however long the store needs to be able to.

        A disk that is full when the application has already taken a delivery must not have it
        delivered again and again.
        """
        while True:
            try:
                heard = await self._store.settle({lease.id: outcome})
            except StoreError as error:
                logger.warning("delivery %d cannot be recorded: %s", lease.delivery.id, error)
                await asyncio.sleep(STORE_AGAIN_SECONDS)
            else:
                self._count(outcome if heard else None)
                return

    def _count(self, outcome: Outcome | None) -> None:
        self._results["lost" if outcome is None else type(outcome).__name__.lower()] += 1

    # --- leases -----------------------------------------------------------------------------

    async def _keep_leases(self) -> None:
        """Extend what is in flight, three times in a lease; let go of what is lost."""
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            leases = list(self._in_flight)
            if not leases:
                continue
            try:
                held = await self._store.extend(leases, lease_seconds=self._settings.lease_seconds)
            except StoreError as error:
                logger.warning("leases cannot be extended: %s", error)
                continue
            for lease in set(leases) - held:
                if lost := self._in_flight.get(lease):
                    logger.warning("delivery %d was lost to another worker", lease.delivery)
                    lost[1].cancel()

    async def _stop(self) -> None:
        tasks = {task for _, task in self._in_flight.values()}
        if tasks:
            await asyncio.wait(tasks, timeout=self._settings.stop_seconds)
        for task in tasks:
            task.cancel()
        if tasks:  # what is cut off gives its lease back
            await asyncio.wait(tasks, timeout=GIVE_BACK_SECONDS)
