"""
Sends what is owed: a lane for each endpoint, so that none waits for another.

The decisions (what is sent, whether it counts, when to try again) are in
`delivery` and `hookloop.schedule`; here are the tasks and the waiting.
"""

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Iterable, MutableSequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from hookloop.clock import Clock
from hookloop.schedule import RetrySchedule

from .catalogue import Catalogue
from .chaos import Chaos, ChaosRandom
from .client import Reply, Transport
from .delivery import (
    Delivery,
    DeliveryState,
    abandoned,
    after_attempt,
    attempted,
    copied,
    delivery_headers,
    delivery_payload,
    overflowed,
    pending_webhooks,
    signing_secrets,
)
from .observer import AttemptEnded, AttemptStarted, DeliveryObserver
from .store import Changes, Json, Store
from .transaction import ENDPOINT_KIND, EVENT_KIND, SAMPLE_EVENT_KIND

__all__ = [
    "ENDPOINT_ATTEMPTS_MAX",
    "ENDPOINT_OWED_MAX",
    "DeliveryRules",
    "DeliveryWorker",
    "WorkerStatistics",
]

ENDPOINT_ATTEMPTS_MAX = 8
"""Attempts in flight to one endpoint: enough to keep a quick one busy, few for a small server."""

ENDPOINT_OWED_MAX = 10_000
"""Deliveries waiting for one endpoint, retries included; more are recorded as failed."""

LOOK_AGAIN_SECONDS = 30.0
"""The longest wait for a retry in one piece: the wall clock may jump, a laptop may sleep."""


ONCE = RetrySchedule(())
"""The schedule of what a person sends for a test: they are there to send it again."""


class WorkerRandom(ChaosRandom, Protocol):
    """What we need of `random.Random`."""

    def shuffle(self, x: MutableSequence[Any]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """What deliveries go by, apart from what their endpoints say."""

    schedule: RetrySchedule
    disable_after_seconds: float = math.inf
    """An endpoint that has taken nothing for so long is disabled."""
    endpoint_rate: float | None = None
    """Attempts a second to one endpoint; None for no limit."""
    shuffle: bool = False
    """Events of one request are sent in any order."""
    chaos: Chaos | None = None


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
    disabled: int
    """Endpoints that failed for too long."""


@dataclass(frozen=True, slots=True, order=True)
class _Owed:
    """A delivery by name; its state is read from the store when its turn comes."""

    due: float
    number: int
    store: Store = field(compare=False)
    event_id: str = field(compare=False)
    endpoint_id: str = field(compare=False)
    is_copy: bool = field(compare=False, default=False)
    """Sent a second time for the sake of chaos, whatever became of the first."""


@dataclass(slots=True)
class _Lane:
    """One endpoint's deliveries."""

    waiting: deque[_Owed] = field(default_factory=deque)
    in_flight: int = 0
    scheduled: int = 0
    next_start: float = 0.0
    """When its rate allows another attempt, in seconds of the event loop."""
    timer: asyncio.TimerHandle | None = None

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
        rules: DeliveryRules,
        catalogue: Catalogue,
        observer: DeliveryObserver,
        random: WorkerRandom,
        *,
        signing_clock: Clock | None = None,
    ) -> None:
        """*signing_clock*: what signatures go by, where *clock* is one that is put forward."""
        self._transport = transport
        self._clock = clock
        self._signing_clock = signing_clock or clock
        self._rules = rules
        self._catalogue = catalogue
        self._observer = observer
        self._random = random
        self._lanes: dict[str, _Lane] = {}
        self._later: list[_Owed] = []  # a heap by due time
        self._group: asyncio.TaskGroup | None = None
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._numbers = self._delivered = self._failed = self._overflowed = self._disabled = 0

    def owe(self, store: Store, deliveries: Iterable[Delivery]) -> None:
        """Take over *deliveries*, which are due now and stand in *store* as pending."""
        owed = list(deliveries)
        if self._rules.shuffle:
            self._random.shuffle(owed)
        for delivery in owed:
            lane = self._lanes.setdefault(delivery.endpoint_id, _Lane())
            if lane.owed >= ENDPOINT_OWED_MAX:
                self._overflowed += 1
                many = f"{ENDPOINT_OWED_MAX} deliveries were waiting for the endpoint already"
                self._give_up(store, delivery, many)
            elif self._rules.chaos is None or delivery.attempts:
                self._put(lane, self._owed(store, delivery, due=self._clock.wall()))
            else:
                self._put_to_chance(lane, store, delivery, self._rules.chaos)

    def _put_to_chance(self, lane: _Lane, store: Store, delivery: Delivery, chaos: Chaos) -> None:
        fate = chaos.fate(self._random)
        if fate.is_dropped:
            self._give_up(store, delivery, "it was dropped, as --chaos asked for")
            self._forget_if_done(delivery.endpoint_id, lane)
            return
        due = self._clock.wall() + fate.delay_seconds
        self._put(lane, self._owed(store, delivery, due=due))
        if fate.is_doubled:
            self._put(lane, replace(self._owed(store, delivery, due=due), is_copy=True))

    def _put(self, lane: _Lane, owed: _Owed) -> None:
        """Let *owed* wait for its turn, or for its time."""
        if owed.due > self._clock.wall():
            heapq.heappush(self._later, owed)
            lane.scheduled += 1
            self._woken.set()
            return
        lane.waiting.append(owed)
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
            scheduled=len(self._later),
            delivered=self._delivered,
            failed=self._failed,
            overflowed=self._overflowed,
            disabled=self._disabled,
        )

    async def run(self) -> None:
        """Make attempts until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for lane in self._lanes.values():
                    self._start_attempts(lane)
                while True:
                    self.start_due()
                    await self._wait_for_due()
            finally:
                self._group = None  # attempts that end from now on start no others

    # Lanes

    def _start_attempts(self, lane: _Lane) -> None:
        self._idle.clear()
        if self._group is None:
            return  # `run` will
        while lane.waiting and lane.in_flight < ENDPOINT_ATTEMPTS_MAX and self._may_start(lane):
            lane.in_flight += 1
            self._group.create_task(self._attempt(lane, lane.waiting.popleft()))

    def _may_start(self, lane: _Lane) -> bool:
        """Keep to the rate of one endpoint; say whether it allows an attempt now."""
        if self._rules.endpoint_rate is None:
            return True
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < lane.next_start:
            if lane.timer is None:
                lane.timer = loop.call_at(lane.next_start, self._rate_allows, lane)
            return False
        lane.next_start = now + 1 / self._rules.endpoint_rate
        return True

    def _rate_allows(self, lane: _Lane) -> None:
        lane.timer = None
        self._start_attempts(lane)

    def _end_attempt(self, endpoint_id: str, lane: _Lane) -> None:
        lane.in_flight -= 1
        self._start_attempts(lane)
        self._forget_if_done(endpoint_id, lane)

    def _forget_if_done(self, endpoint_id: str, lane: _Lane) -> None:
        # With a rate, when it may be sent to again must be known as long as it runs.
        if not lane.owed and self._rules.endpoint_rate is None:
            del self._lanes[endpoint_id]
        if not any(lane.waiting or lane.in_flight for lane in self._lanes.values()):
            self._idle.set()

    # Attempts

    async def _attempt(self, lane: _Lane, owed: _Owed) -> None:
        try:
            delivery = _known(owed)
            is_wanted = delivery is not None and (
                owed.is_copy or delivery.state is DeliveryState.PENDING
            )
            event = owed.store.find(EVENT_KIND, owed.event_id)
            event = event or owed.store.find(SAMPLE_EVENT_KIND, owed.event_id)
            endpoint = owed.store.find(ENDPOINT_KIND, owed.endpoint_id)
            # Settled, deleted or past its retention since it was put into the lane.
            if is_wanted and delivery is not None and event is not None and endpoint is not None:
                await self._attempt_now(lane, owed, delivery, event, endpoint)
        finally:
            self._end_attempt(owed.endpoint_id, lane)

    async def _attempt_now(
        self, lane: _Lane, owed: _Owed, delivery: Delivery, event: Json, endpoint: Json
    ) -> None:
        begun = self._clock.wall()
        payload = delivery_payload(
            event,
            api_version=endpoint["api_version"] or self._catalogue.api_version,
            pending=pending_webhooks(owed.store.deliveries_of(event["id"])),
        )
        headers = delivery_headers(
            payload,
            signing_secrets(endpoint, now=begun),
            signed_at=int(self._signing_clock.wall()),
        )
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
        self._record(lane, owed, started, begun, reply)

    def _record(
        self, lane: _Lane, owed: _Owed, started: AttemptStarted, begun: float, reply: Reply
    ) -> None:
        ended = self._clock.monotonic()
        delivery = _known(owed)
        settled = None
        # Else given up meanwhile, and the attempt changes nothing.
        if delivery is not None and (owed.is_copy or delivery.state is DeliveryState.PENDING):
            is_sample = owed.store.find(EVENT_KIND, owed.event_id) is None
            settled = attempted(
                delivery,
                ONCE if is_sample or owed.is_copy else self._rules.schedule,
                started=begun,
                duration_seconds=ended - started.started,
                status=reply.status,
                error=reply.error,
                excerpt=reply.excerpt,
            )
            record = copied(delivery, like=settled) if owed.is_copy else settled
            owed.store.commit(Changes(deliveries=[record]), now=self._clock.wall())
            if settled.next_attempt is not None:
                self._put(lane, self._owed(owed.store, settled, due=settled.next_attempt))
        is_disabled = settled is not None and self._judge_endpoint(owed, settled)
        self._tell(started, ended, reply, settled, is_disabled=is_disabled)

    def _judge_endpoint(self, owed: _Owed, settled: Delivery) -> bool:
        """Note how the endpoint fares, and say whether it has failed for too long now."""
        endpoint = owed.store.find(ENDPOINT_KIND, owed.endpoint_id)
        now = self._clock.wall()
        changed = endpoint and after_attempt(
            endpoint,
            is_delivered=settled.state is DeliveryState.DELIVERED,
            now=now,
            disable_after=self._rules.disable_after_seconds,
        )
        if not changed:
            return False
        changes = Changes([(ENDPOINT_KIND, changed)])
        is_disabled = bool(changed["status"] == "disabled")
        if is_disabled:
            self._disabled += 1
            changes.deliveries = [
                abandoned(one, "the endpoint was disabled: it has failed for days")
                for one in owed.store.pending_for(owed.endpoint_id)
            ]
        owed.store.commit(changes, now=now)
        return is_disabled

    def _tell(
        self,
        started: AttemptStarted,
        ended: float,
        reply: Reply,
        settled: Delivery | None,
        *,
        is_disabled: bool,
    ) -> None:
        delivered = settled is not None and settled.state is DeliveryState.DELIVERED
        self._delivered += delivered
        self._failed += not delivered
        again = settled.next_attempt if settled is not None and not is_disabled else None
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
                endpoint_disabled=is_disabled,
            )
        )

    def _give_up(self, store: Store, delivery: Delivery, reason: str) -> None:
        changes = Changes(deliveries=[overflowed(delivery, reason)])
        store.commit(changes, now=self._clock.wall())

    # What is due later: retries, and what chaos delays

    def _owed(self, store: Store, delivery: Delivery, *, due: float) -> _Owed:
        self._numbers += 1
        return _Owed(due, self._numbers, store, delivery.event_id, delivery.endpoint_id)

    def next_due(self) -> float:
        """Return when the next delivery is due, in Unix seconds; infinite where none is."""
        return self._later[0].due if self._later else math.inf

    def start_due(self) -> None:
        """Start what is due by the clock: for whoever puts it forward step by step."""
        now = self._clock.wall()
        while self._later and self._later[0].due <= now:
            owed = heapq.heappop(self._later)
            lane = self._lanes[owed.endpoint_id]
            lane.scheduled -= 1
            lane.waiting.append(owed)
            self._start_attempts(lane)

    async def _wait_for_due(self) -> None:
        seconds = None
        if self._later:
            seconds = min(LOOK_AGAIN_SECONDS, max(0.0, self._later[0].due - self._clock.wall()))
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()


def _known(owed: _Owed) -> Delivery | None:
    """Return the delivery as it stands in the store."""
    for delivery in owed.store.deliveries_of(owed.event_id):
        if delivery.endpoint_id == owed.endpoint_id:
            return delivery
    return None
