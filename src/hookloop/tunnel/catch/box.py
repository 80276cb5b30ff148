"""
The line of caught requests before one app: kept on the ledger, delivered one after the other.

While anything waits, new requests go to the end of the line, also when the app is just back:
the app gets them in the order they came in. What is answered 2xx is on the disk before.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hookloop.clock import Clock
from hookloop.errors import ProtocolError, StoreError
from hookloop.exchange import ResponseHead
from hookloop.ledger.delivery import Dead, Done, Outcome, Retry
from hookloop.ledger.message import NewMessage
from hookloop.ledger.store import Lease, Retention, Store
from hookloop.ledger.worker import Worker, WorkerSettings
from hookloop.schedule import RetrySchedule
from hookloop.tunnel.wire.messages import Request

from .observer import (
    CatchObserver,
    Caught,
    Delivered,
    Delivering,
    Left,
    NotCaught,
    Postponed,
    nobody,
)
from .rules import CatchRules, as_delivered, is_final, not_caught, retry_seconds

__all__ = ["Answered", "App", "Broken", "CatchBox", "CatchStatistics", "Down"]

logger = logging.getLogger("hookloop.catch")

COMMIT_SECONDS = 3.0
"""For the disk: Shopify waits 5 s for an answer in all."""

FIRST_PROBE_SECONDS = 0.25  # a dev server restarts within a second
LONGEST_PROBE_SECONDS = 2.0  # so soon is a returning app found, and no sooner asked

RETENTION = Retention(done_seconds=24 * 3600.0)
PRUNE_MAX = 500
PRUNE_SECONDS = 3600.0
"""How late at most something is forgotten: it holds what customers typed."""

ORDER_KEY = "line"

SETTINGS = WorkerSettings(
    attempts_at_once=1,
    target_attempts_at_once=1,
    crashes_max=0,  # an app that is down, and an agent that is killed, are all in a day's work
    stop_seconds=0.5,  # Ctrl+C must feel instant; what is cut off is delivered again
)


@dataclass(frozen=True, slots=True)
class Answered:
    """The app has answered."""

    status: int
    detail: str = ""
    """The beginning of what it said."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The app was reached and gave no answer: it may have had the request, or not."""

    why: str


@dataclass(frozen=True, slots=True)
class Down:
    """The app was not reached: it did not have the request."""

    why: str


class App(Protocol):
    """Who the requests are for. None of these may raise."""

    async def is_up(self) -> bool:
        """Look whether a request could be sent now, without sending one."""
        ...

    async def send(self, request: Request, body: bytes) -> Answered | Broken | Down: ...


@dataclass(frozen=True, slots=True)
class CatchStatistics:
    """A moment's counts."""

    waiting: int
    waiting_bytes: int
    caught: int
    """Since the start, as the following."""
    not_caught: int
    delivered: int


class CatchBox:
    """
    Catches for one app. The owner's duty: `run` in a task; what comes before that waits for it.

    One process alone may have a box of a store and name: it takes over what a dead one held.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        app: App,
        rules: CatchRules,
        *,
        clock: Clock,
        observer: CatchObserver = nobody,
        is_known_empty: bool = False,
    ) -> None:
        """*is_known_empty*: nothing is left of the last time, as the owner has found out."""
        self.rules = rules
        self._store = store
        self._name = name
        self._app = app
        self._clock = clock
        self._observer = observer
        self._owed = 0
        self._owed_bytes = 0
        self._is_counted = is_known_empty
        """What is left of the last time is known."""
        self._looked = asyncio.Event()
        if is_known_empty:
            self._looked.set()
        self._committing = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._is_unsure = False
        """A commit failed, so that nobody knows what is on the disk: it has to be counted."""
        self._came = asyncio.Event()
        """Something is in the line."""
        self._pause = asyncio.Event()
        """The app is gone, or the line is empty."""
        self._caught = self._not_caught = self._delivered = 0

    async def wait_looked(self) -> None:
        """Return once `run` has looked at what is left of the last time, or could not."""
        await self._looked.wait()

    @property
    def has_line(self) -> bool:
        """Whether a request that comes now has to queue, whatever the app is doing."""
        return self._owed > 0 or not self._is_counted

    def statistics(self) -> CatchStatistics:
        return CatchStatistics(
            waiting=self._owed,
            waiting_bytes=self._owed_bytes,
            caught=self._caught,
            not_caught=self._not_caught,
            delivered=self._delivered,
        )

    # --- requests in ------------------------------------------------------------------------

    def catch_soon(
        self, request: Request, body: bytes, answer: Callable[[ResponseHead], None]
    ) -> None:
        """
        Keep the request, and call *answer* with what its sender is to be told.

        Whoever asked may be gone meanwhile: what was begun is finished all the same.
        """

        async def keep() -> None:
            try:
                head = await self.catch(request, body)
            except Exception as error:
                logger.exception("a request was not caught by a bug of ours")
                head = self._refuse(request, type(error).__name__)
            answer(head)

        if self._tasks is None:
            answer(self._refuse(request, "catch mode is stopping"))
        else:
            self._tasks.create_task(keep())

    async def catch(self, request: Request, body: bytes) -> ResponseHead:
        """
        Keep the request, and return the answer for its sender.

        2xx means that it is on the disk, at the end of the line. Everything else is a 503.
        """
        head = request.encode()
        size = len(head) + len(body)
        if full := self._is_full(size):
            return self._refuse(request, full)
        # Before the commit: whoever comes meanwhile is behind it.
        self._owed += 1
        self._owed_bytes += size
        self._committing += 1
        new = NewMessage(
            self._name,
            body,
            (self._name,),
            head=head,
            order_key=ORDER_KEY,
        )
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._store.append([new])
        except (StoreError, TimeoutError) as error:
            self._is_unsure = True
            return self._refuse(request, str(error) or "the disk is too slow")
        except BaseException:
            self._is_unsure = True
            raise
        finally:
            self._committing -= 1
            self._came.set()
            if self._must_count:
                self._pause.set()  # all is quiet: `run` can count
        self._caught += 1
        self._observer.catch_event(Caught(request.tunnel, request.head, self._owed))
        return self.rules.answer()

    def _is_full(self, size: int) -> str:
        if self._owed >= self.rules.requests_max:
            return f"{self._owed} requests are waiting, the limit"
        if self._owed_bytes + size > self.rules.bytes_max:
            return f"{self._owed_bytes} bytes are waiting, and {self.rules.bytes_max} the limit"
        return ""

    def _refuse(self, request: Request, why: str) -> ResponseHead:
        self._not_caught += 1
        logger.warning("not caught reason=%r", why)
        self._observer.catch_event(NotCaught(request.tunnel, request.head, why))
        return not_caught()

    # --- deliveries out ---------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver whenever something waits and somebody is there to take it, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                while True:
                    await self._round()
            finally:
                self._tasks = None

    async def _round(self) -> None:
        try:
            if not self._is_counted:
                await self._store.forfeit([self._name])
            if self._must_count or not self._is_counted:
                await self._count()
                self._looked.set()
            await self._store.prune(RETENTION, limit=PRUNE_MAX)
            if await self._has_come() and await self._is_app_back():
                await self._deliver_while_up()
        except StoreError as error:
            logger.warning("the ledger of caught requests cannot be used: %s", error)
            self._looked.set()
            await asyncio.sleep(LONGEST_PROBE_SECONDS)

    async def _has_come(self) -> bool:
        """Wait until something is in the line; False when it is time for housekeeping."""
        try:
            async with asyncio.timeout(PRUNE_SECONDS):
                await self._came.wait()
        except TimeoutError:
            return False
        return True

    async def _is_app_back(self) -> bool:
        """Wait until it is; False where the line has to be counted before."""
        wait = FIRST_PROBE_SECONDS
        while not self._must_count:
            if await self._app.is_up():
                return not self._must_count
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_PROBE_SECONDS)
        return False

    @property
    def _must_count(self) -> bool:
        return self._is_unsure and not self._committing

    async def _deliver_while_up(self) -> None:
        """Work the line off, until it is empty or the app is gone again."""
        self._pause.clear()
        if self._owed:
            self._observer.catch_event(Delivering(self._owed))
        worker = Worker(
            self._store, {self._name: self}, schedule=RetrySchedule(()), settings=SETTINGS
        )
        async with asyncio.TaskGroup() as group:
            working = group.create_task(worker.run())
            await self._pause.wait()
            working.cancel()

    # --- ledger.worker.Target ---------------------------------------------------------------

    async def deliver(self, lease: Lease) -> Outcome:
        """Send one request to the app, and say what its answer means."""
        try:
            request = Request.decode(lease.message.head)
        except ProtocolError as error:
            logger.error("a caught request cannot be read any more: %s", error)  # noqa: TRY400
            self._leave_line(lease)
            return Dead(f"cannot be read: {error}")
        match await self._sent(request, lease):
            case Answered(status, detail) if is_final(status):
                self._settled(lease, request, status)
                said = f"{status} {detail}".strip()
                # A 4xx is kept as dead: a person may want to replay it.
                return Done(said) if status < 400 else Dead(said)
            case Answered(status):
                return self._postponed(lease, request, f"the app answered {status}")
            case Broken(why):
                return self._postponed(lease, request, why)
            case Down(why):
                self._pause.set()
                self._tell_postponed(request, why, None)
                # Not at once: a port that opens and closes must not be asked in a circle.
                return Retry(FIRST_PROBE_SECONDS, why)

    async def _sent(self, request: Request, lease: Lease) -> Answered | Broken | Down:
        head = as_delivered(request.head, received_at=lease.message.received_at)
        sent = Request(request.tunnel, request.remote, head)
        try:
            return await self._app.send(sent, lease.message.body)
        except Exception as error:
            # Whatever it is, it is no reason to lose what was promised.
            logger.exception("a caught request could not be sent by a bug of ours")
            return Broken(type(error).__name__)

    def _settled(self, lease: Lease, request: Request, status: int) -> None:
        self._delivered += 1
        self._leave_line(lease)
        received = lease.message.received_at
        age = max(0.0, self._clock.wall() - received)
        event = Delivered(request.tunnel, request.head, status, received, age, self._owed)
        self._observer.catch_event(event)

    def _leave_line(self, lease: Lease) -> None:
        # As the outcome is not on the disk yet, a killed agent delivers this one once more.
        self._owed -= 1
        self._owed_bytes -= len(lease.message.head) + len(lease.message.body)
        if not self._owed:
            self._came.clear()
            self._pause.set()

    def _postponed(self, lease: Lease, request: Request, why: str) -> Outcome:
        wait = retry_seconds(lease.delivery.failures + 1)
        self._tell_postponed(request, why, wait)
        return Retry(wait, why)

    def _tell_postponed(self, request: Request, why: str, wait: float | None) -> None:
        self._observer.catch_event(Postponed(request.tunnel, request.head, why, wait, self._owed))

    # --- the count --------------------------------------------------------------------------

    async def _count(self) -> None:
        tally = await self._store.tally(self._name)
        if self._committing:
            # It may or may not be in there: count again when all is quiet.
            self._is_unsure = True
            self._owed = max(self._owed, tally.owed)
        else:
            self._is_unsure = False
            self._owed, self._owed_bytes = tally.owed, tally.owed_bytes
            if tally.owed and not self._is_counted:
                self._observer.catch_event(Left(tally.owed))
        self._is_counted = True
        if self._owed:
            self._came.set()
        else:
            self._came.clear()
