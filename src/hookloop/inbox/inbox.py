"""`Inbox`: accepts events durably, and has their handlers run."""

import asyncio
import os
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from hookloop.errors import ConfigError, StoreError
from hookloop.events.event import Event
from hookloop.events.incoming import Incoming
from hookloop.events.log import logger
from hookloop.events.receive import Rejected
from hookloop.events.result import Result, short_result
from hookloop.events.router import Handler
from hookloop.events.running import Runner, Waiting
from hookloop.ledger.message import NewMessage, Receipt
from hookloop.ledger.store import Retention, Store
from hookloop.ledger.worker import Target, Worker, WorkerSettings, WorkerStatistics
from hookloop.schedule import HANDLERS, RetrySchedule

from .admin import forget
from .backend import Backend, Transactions, backend_for
from .entry import new_entry
from .handler_target import HandlerTarget, target_names
from .home import Home, after_fork, at_exit, leave_behind

if TYPE_CHECKING:
    from hookloop.events.receiver import Receiver

__all__ = ["ACCEPT_SECONDS", "Inbox", "InboxSettings"]

ACCEPT_SECONDS = 2.5
"""Until an event is on the disk, or its sender is told to come again: Shopify waits 5 s in all, and
the way here and back is a part of them."""

RETRY_AFTER_SECONDS = 10
"""What the sender is told where an event cannot be kept."""

SPARE_THREADS = 4
"""For what is not a handler: the store's reads."""

PRUNE_SECONDS = 600.0
"""Between two looks for what need not be kept any longer."""

OWED_MAX = 1000
"""Kinds of events whose targets are remembered: more than Stripe has types."""

_ACCEPTED = short_result(200, "accepted")
_DUPLICATE = short_result(200, "duplicate")


@dataclass(frozen=True, slots=True)
class InboxSettings:
    """How an inbox goes about it."""

    work_here: bool = True
    """Whether this process runs handlers too, in a thread from its first event on. Without, it
    only accepts, and ``hookloop worker`` runs them."""
    schedule: RetrySchedule = HANDLERS
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    retention: Retention = field(default_factory=Retention)


class Inbox:
    """
    Keeps the events of the `Hooks` it is given to, and runs their handlers until they succeed.

        hooks = Hooks(secrets="whsec_...", inbox="sqlite:///hooks.db")

    *where* is a URL (`backend_for`), or a `Backend`. Safe to share by several `Hooks`, by
    threads and event loops; a forked process begins anew.
    """

    def __init__(self, where: str | Backend, settings: InboxSettings | None = None) -> None:
        self.backend = backend_for(where) if isinstance(where, str) else where
        self.settings = settings or InboxSettings()
        self.targets: dict[str, Target] = {}
        """Who is worked for, by their names in the ledger; grows with what is attached."""
        self._receivers: list[Receiver] = []
        self._names: dict[Handler, str] = {}
        self._owed: dict[tuple[Handler, ...], tuple[tuple[str, ...], frozenset[str]]] = {}
        """What an event for these handlers is owed to, and which of those in order."""
        self._after: list[Callable[[NewMessage, Receipt], None]] = []
        self._lock = Lock()
        self._begin_anew()
        after_fork(weakref.WeakMethod(self._unlock))

    def _begin_anew(self) -> None:
        """Be as in a new process."""
        threads = self.settings.worker.attempts_at_once + SPARE_THREADS
        self._pid = os.getpid()
        self._home = Home(self.backend.name, threads=threads)
        self._store: Store | None = None
        self._transactions: Transactions | None = None
        self._opening: Future[Store] | None = None
        self._working: asyncio.Task[None] | None = None
        self._worker: Worker | None = None

    def _unlock(self) -> None:
        """In a forked child: whoever had the lock is not here to give it back."""
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<Inbox {self.backend.name}>"

    # --- what is attached -------------------------------------------------------------------

    def attach(self, receiver: "Receiver") -> None:
        """Take events of *receiver* from now on, and run its handlers."""
        self._receivers.append(receiver)

    def on_accepted(self, tell: Callable[[NewMessage, Receipt], None]) -> None:
        """Call *tell* with every new entry, once it is kept: a hint, which a crash swallows."""
        self._after.append(tell)

    def find_targets(self) -> dict[str, Target]:
        """Look for the handlers of all that is attached, and return every target there is."""
        found = [
            (handler, receiver)
            for receiver in self._receivers
            for handler in receiver.router.handlers()
        ]
        names = target_names([handler for handler, _ in found])
        for handler, receiver in found:
            if names[handler] not in self.targets:
                self.targets[names[handler]] = HandlerTarget(
                    handler, receiver, lambda: self._transactions
                )
        self._names = names
        return self.targets

    def _targets_of(self, handlers: tuple[Handler, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
        known = self._owed.get(handlers)
        if known is None:
            if any(handler not in self._names for handler in handlers):
                self.find_targets()
            known = (
                tuple(dict.fromkeys(self._names[handler] for handler in handlers)),
                frozenset(self._names[one] for one in handlers if one.order is not None),
            )
            if len(self._owed) < OWED_MAX:
                self._owed[handlers] = known
        return known

    # --- accepting --------------------------------------------------------------------------

    def accept(
        self,
        receiver: "Receiver",
        event: Event[Any],
        request: Incoming | None,
        handlers: tuple[Handler, ...],
        runner: Runner,
        *,
        is_changed: bool,
    ) -> Result | Rejected | Waiting:
        """Keep *event* for *handlers*, and return what to answer: see `Intake.accept`."""
        targets, ordered = self._targets_of(handlers)
        entry = new_entry(
            event,
            request,
            receiver.provider.name,
            targets,
            ordered=ordered,
            is_changed=is_changed,
        )
        if runner.can_wait:
            return Waiting(self._accept(entry))
        return self._accept_here(entry)

    async def append(self, entries: Sequence[NewMessage]) -> list[Receipt]:
        """
        Keep *entries*, from any event loop, and return their receipts once they are durable.

        Raises `StoreError` where that is not known after some seconds.
        """
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                store = self._store if self._pid == os.getpid() else None
                if store is None:
                    store = await asyncio.shield(asyncio.wrap_future(self._begin_opening()))
                if self.backend.any_loop or self._home.is_here:
                    receipts = await store.append(entries)
                else:
                    receipts = await asyncio.wrap_future(self._home.submit(store.append(entries)))
        except TimeoutError:
            raise StoreError(
                f"the inbox {self.backend.name} has not kept an event within {ACCEPT_SECONDS:g} s"
            ) from None
        if self._after:
            self._tell(entries, receipts)
        return receipts

    def append_blocking(self, entries: Sequence[NewMessage]) -> list[Receipt]:
        """Do what `append` does, from code that is sync."""
        self._begin_opening()
        future = self._home.submit(self.append(entries))
        try:
            return future.result(ACCEPT_SECONDS + 0.2)  # its own limit comes first, but on a
        except TimeoutError:  # loop that a handler blocks
            future.cancel()
            raise StoreError(f"the inbox {self.backend.name} does not answer") from None

    async def _accept(self, entry: NewMessage) -> Result | Rejected:
        try:
            [receipt] = await self.append((entry,))
        except (StoreError, ConfigError) as error:
            return _unavailable(error)
        return _DUPLICATE if receipt.is_duplicate else _ACCEPTED

    def _accept_here(self, entry: NewMessage) -> Result | Rejected:
        try:
            [receipt] = self.append_blocking((entry,))
        except (StoreError, ConfigError) as error:
            return _unavailable(error)
        return _DUPLICATE if receipt.is_duplicate else _ACCEPTED

    def _tell(self, entries: Sequence[NewMessage], receipts: Sequence[Receipt]) -> None:
        for entry, receipt in zip(entries, receipts, strict=True):
            for tell in () if receipt.is_duplicate else self._after:
                try:
                    tell(entry, receipt)
                except Exception as error:  # it is kept, and must be answered so
                    logger().error("what is told of accepted events raised", exc_info=error)

    # --- opening ----------------------------------------------------------------------------

    def start(self) -> None:
        """Open the store, and begin to work off what is owed where this process is to."""
        self._begin_opening()

    def stop(self) -> None:
        """
        End the work in this process: what is running may finish, for some seconds at most.

        Blocks; never from an event loop. What is not done is done after the next `start`.
        """
        if self._pid == os.getpid():
            self._home.stop(self._end)
            self._begin_anew()

    async def open(self) -> Store:
        """
        Return a store of the caller's own on the running loop: for tools. Close it.

        Raises `ConfigError` and `StoreError` as `Backend.open` does.
        """
        return await self.backend.open()

    def _begin_opening(self) -> "Future[Store]":
        with self._lock:
            if self._pid != os.getpid():
                leave_behind(self._home, self._store, self._working, self._worker, self._opening)
                self._begin_anew()
            if self._opening is None or _has_failed(self._opening):
                self._opening = self._home.submit(self._open())
            return self._opening

    async def _open(self) -> Store:
        store = await self.backend.open()
        self._transactions = self.backend.transactions(store)
        self._store = store
        at_exit(weakref.WeakMethod(self.stop))
        if self.settings.work_here:
            self._working = asyncio.get_running_loop().create_task(self._work(store))
        return store

    async def _end(self) -> None:
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait({self._working})
        if self._store is not None:
            await self._store.close()

    # --- working ----------------------------------------------------------------------------

    async def work(self) -> None:
        """
        Run handlers on the running loop until cancelled: for a process that does nothing else.

        Cancelled, it lets what is running finish for `WorkerSettings.stop_seconds`, and gives
        the rest back.
        """
        store = await self.backend.open()
        self._transactions = self.backend.transactions(store)
        threads = self.settings.worker.attempts_at_once + SPARE_THREADS
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(threads, thread_name_prefix="hookloop-handler")
        )
        try:
            await self._work(store)
        finally:
            await store.close()

    async def _work(self, store: Store) -> None:
        self.find_targets()
        self._worker = Worker(
            store, self.targets, schedule=self.settings.schedule, settings=self.settings.worker
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._worker.run())
            tasks.create_task(self._keep_small(store))

    async def _keep_small(self, store: Store) -> None:
        """Forget what the retention does not keep, now and then."""
        while True:
            try:
                await forget(store, self.settings.retention)
            except StoreError as error:
                logger().warning("the inbox cannot be pruned: %s", error)
            await asyncio.sleep(PRUNE_SECONDS)

    def statistics(self) -> WorkerStatistics | None:
        """Return what the worker of this process has in hand and has done; None without one."""
        return self._worker.statistics() if self._worker is not None else None


def _unavailable(error: Exception) -> Rejected:
    return Rejected(
        503, "unavailable", "inbox", str(error), retry_after_seconds=RETRY_AFTER_SECONDS
    )


def _has_failed(opening: "Future[Store]") -> bool:
    return opening.done() and (opening.cancelled() or opening.exception() is not None)
