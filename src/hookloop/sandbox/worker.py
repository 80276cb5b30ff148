"""
Sends what is owed: a lane for each endpoint, so that none waits for another.

The decisions (what is sent, whether it counts, when to try again) are in
`delivery` and `hookloop.schedule`; here are the tasks and the waiting.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hookloop.clock import Clock
from hookloop.schedule import RetrySchedule

from .catalogue import Catalogue
from .client import Reply, Transport
from .delivery import (
    Delivery,
    DeliveryState,
    attempted,
    delivery_headers,
    delivery_payload,
    overflowed,
    pending_webhooks,
)
from .observer import AttemptEnded, AttemptStarted, DeliveryObserver
from .store import Changes, Json, Store
from .transaction import ENDPOINT_KIND, EVENT_KIND

__all__ = ["ENDPOINT_ATTEMPTS_MAX", "ENDPOINT_OWED_MAX", "DeliveryWorker", "WorkerStatistics"]

ENDPOINT_ATTEMPTS_MAX = 8
"""Attempts in flight to one endpoint: enough to keep a quick one busy, few for a small server."""

ENDPOINT_OWED_MAX = 10_000
"""Deliveries waiting for one endpoint, retries included; more are recorded as failed."""

LOOK_AGAIN_SECONDS = 30.0
"""The longest wait for a retry in one piece: the wall clock may jump, a laptop may sleep."""


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """What the worker has to do, and what it has done."""

    waiting: int
    """Due now, and behind others of the same endpoint."""
    in_flight: int
    scheduled: int
    """Failed before, and due later."""
    delivered: int
    """Attempts that were answered with 2xx."""
    failed: int
    """Attempts that were not."""
    overflowed: int
    """Deliveries given up because `ENDPOINT_OWED_MAX` was reached."""


@dataclass(frozen=True, slots=True, order=True)
class _Owed:
    """A delivery by name; its state is read from the store when its turn comes."""

    due: float
    number: int
    store: Store = field(compare=False)
    event_id: str = field(compare=False)
    endpoint_id: str = field(compare=False)


@dataclass(slots=True)
class _Lane:
    """One endpoint's deliveries."""

    waiting: deque[_Owed] = field(default_factory=deque)
    in_flight: int = 0
    scheduled: int = 0

    @property
    def owed(self) -> int:
        return len(self.waiting) + self.in_flight + self.scheduled


class DeliveryWorker:
    """
    Makes the attempts. The caller's duty: `run` in a task, and cancel it to stop.

    A cancelled attempt leaves its delivery pending, as if it had not been begun.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        schedule: RetrySchedule,
        catalogue: Catalogue,
        observer: DeliveryObserver,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._schedule = schedule
        self._catalogue = catalogue
        self._observer = observer
        self._lanes: dict[str, _Lane] = {}
        self._retries: list[_Owed] = []  # a heap by due time
        self._group: asyncio.TaskGroup | None = None
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._numbers = self._delivered = self._failed = self._overflowed = 0

    def owe(self, store: Store, deliveries: Iterable[Delivery]) -> None:
        """Take over *deliveries*, which are due now and stand in *store* as pending."""
        for delivery in deliveries:
            lane = self._lanes.setdefault(delivery.endpoint_id, _Lane())
            if lane.owed >= ENDPOINT_OWED_MAX:
                self._give_up(store, delivery)
                continue
            lane.waiting.append(self._owed(store, delivery, due=self._clock.wall()))
            self._start_attempts(lane)

    def wake(self) -> None:
        """Look at the clock again: for whoever moves it."""
        self._woken.set()

    async def wait_idle(self) -> None:
        """Return once no attempt is in flight or waiting; retries may be to come."""
        await self._idle.wait()

    def statistics(self) -> WorkerStatistics:
        lanes = self._lanes.values()
        return WorkerStatistics(
            waiting=sum(len(lane.waiting) for lane in lanes),
            in_flight=sum(lane.in_flight for lane in lanes),
            scheduled=len(self._retries),
            delivered=self._delivered,
            failed=self._failed,
            overflowed=self._overflowed,
        )

    async def run(self) -> None:
        """Make attempts until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for lane in self._lanes.values():
                    self._start_attempts(lane)
                while True:
                    self._move_due_retries()
                    await self._wait_for_retry()
            finally:
                self._group = None  # attempts that end from now on start no others

    # Lanes

    def _start_attempts(self, lane: _Lane) -> None:
        self._idle.clear()
        if self._group is None:
            return  # `run` will
        while lane.waiting and lane.in_flight < ENDPOINT_ATTEMPTS_MAX:
            lane.in_flight += 1
            self._group.create_task(self._attempt(lane, lane.waiting.popleft()))

    def _end_attempt(self, endpoint_id: str, lane: _Lane) -> None:
        lane.in_flight -= 1
        self._start_attempts(lane)
        if not lane.owed:
            del self._lanes[endpoint_id]
        if not any(lane.waiting or lane.in_flight for lane in self._lanes.values()):
            self._idle.set()

    # Attempts

    async def _attempt(self, lane: _Lane, owed: _Owed) -> None:
        try:
            delivery = _current(owed)
            event = owed.store.find(EVENT_KIND, owed.event_id)
            endpoint = owed.store.find(ENDPOINT_KIND, owed.endpoint_id)
            # Settled, deleted or past its retention since it was put into the lane.
            if delivery is not None and event is not None and endpoint is not None:
                await self._attempt_now(lane, owed, delivery, event, endpoint)
        finally:
            self._end_attempt(owed.endpoint_id, lane)

    async def _attempt_now(
        self, lane: _Lane, owed: _Owed, delivery: Delivery, event: Json, endpoint: Json
    ) -> None:
        signed = self._clock.wall()
        payload = delivery_payload(
            event,
            api_version=endpoint["api_version"] or self._catalogue.api_version,
            pending=pending_webhooks(owed.store.deliveries_of(event["id"])),
        )
        headers = delivery_headers(payload, [endpoint["secret"]], signed_at=int(signed))
        started = AttemptStarted(
            event_id=event["id"],
            event_type=event["type"],
            endpoint_id=endpoint["id"],
            url=endpoint["url"],
            number=len(delivery.attempts) + 1,
            signature=headers["Stripe-Signature"],
            started=self._clock.monotonic(),
        )
        self._observer.attempt_started(started)
        reply = await self._transport.post(endpoint["url"], headers, payload)
        self._record(lane, owed, started, signed, reply)

    def _record(
        self, lane: _Lane, owed: _Owed, started: AttemptStarted, signed: float, reply: Reply
    ) -> None:
        ended = self._clock.monotonic()
        delivery = _current(owed)
        settled = None
        if delivery is not None:  # else given up meanwhile, and the attempt changes nothing
            settled = attempted(
                delivery,
                self._schedule,
                started=signed,
                duration_seconds=ended - started.started,
                status=reply.status,
                error=reply.error,
                excerpt=reply.excerpt,
            )
            owed.store.commit(Changes(deliveries=[settled]), now=self._clock.wall())
            self._schedule_retry(lane, owed.store, settled)
        self._tell(started, ended, reply, settled)

    def _tell(
        self, started: AttemptStarted, ended: float, reply: Reply, settled: Delivery | None
    ) -> None:
        delivered = settled is not None and settled.state is DeliveryState.DELIVERED
        self._delivered += delivered
        self._failed += not delivered
        again = settled.next_attempt if settled is not None else None
        self._observer.attempt_ended(
            AttemptEnded(
                event_id=started.event_id,
                event_type=started.event_type,
                endpoint_id=started.endpoint_id,
                url=started.url,
                number=started.number,
                signature=started.signature,
                started=started.started,
                ended=ended,
                status=reply.status,
                error=reply.error,
                delivered=delivered,
                retry_seconds=None if again is None else again - self._clock.wall(),
            )
        )

    def _give_up(self, store: Store, delivery: Delivery) -> None:
        self._overflowed += 1
        reason = f"{ENDPOINT_OWED_MAX} deliveries were waiting for the endpoint already"
        changes = Changes(deliveries=[overflowed(delivery, reason)])
        store.commit(changes, now=self._clock.wall())

    # Retries

    def _owed(self, store: Store, delivery: Delivery, *, due: float) -> _Owed:
        self._numbers += 1
        return _Owed(due, self._numbers, store, delivery.event_id, delivery.endpoint_id)

    def _schedule_retry(self, lane: _Lane, store: Store, delivery: Delivery) -> None:
        if delivery.next_attempt is not None:
            heapq.heappush(self._retries, self._owed(store, delivery, due=delivery.next_attempt))
            lane.scheduled += 1
            self._woken.set()

    def _move_due_retries(self) -> None:
        now = self._clock.wall()
        while self._retries and self._retries[0].due <= now:
            owed = heapq.heappop(self._retries)
            lane = self._lanes[owed.endpoint_id]
            lane.scheduled -= 1
            lane.waiting.append(owed)
            self._start_attempts(lane)

    async def _wait_for_retry(self) -> None:
        seconds = None
        if self._retries:
            seconds = min(LOOK_AGAIN_SECONDS, max(0.0, self._retries[0].due - self._clock.wall()))
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()


def _current(owed: _Owed) -> Delivery | None:
    """Return the delivery as it stands in the store, if it is still pending."""
    for delivery in owed.store.deliveries_of(owed.event_id):
        if delivery.endpoint_id == owed.endpoint_id and delivery.state is DeliveryState.PENDING:
            return delivery
    return None
