"""The store in memory: the whole promise of `Store` but its durability."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count, islice

from hookloop.clock import Clock, SystemClock

from .bell import Bell
from .choice import chosen
from .delivery import (
    Attempt,
    Delivery,
    LeaseId,
    Outcome,
    State,
    advanced,
    claimed,
    extended,
    gives_way,
    is_held,
    lost,
    replayed,
    settled,
    yielded,
)
from .message import DEDUPE_SECONDS, Message, NewMessage, Receipt
from .steady_clock import SteadyClock
from .store import (
    CLAIM_MAX,
    FIND_MAX,
    Durability,
    Lease,
    Retention,
    Selection,
    Store,
    Tally,
)

__all__ = ["MemoryStore"]

_OrderKey = tuple[str, str]
"""A target and an order key."""


class MemoryStore:
    """For tests, and for what may be lost with the process. No method waits, but `wait_due`."""

    durability = Durability(
        outlives_kill=False,
        outlives_power_loss=False,
        loss_window="everything, when the process ends: it is kept in memory",
    )

    def __init__(
        self, *, clock: Clock | None = None, dedupe_seconds: float = DEDUPE_SECONDS
    ) -> None:
        self._clock = SteadyClock(clock or SystemClock())
        self._dedupe_seconds = dedupe_seconds
        self._messages: dict[int, Message] = {}
        self._deliveries: dict[int, Delivery] = {}
        self._of_message: dict[int, set[int]] = {}
        self._attempts: defaultdict[int, list[Attempt]] = defaultdict(list)
        self._dedupe: dict[tuple[str, str], tuple[int, bytes, float]] = {}
        """(source, key) to message, body, and until when."""
        self._due: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        """By target a heap of (due_at, id); an entry that is not so any more is skipped."""
        self._heads: dict[_OrderKey, int] = {}
        self._waiting: defaultdict[_OrderKey, list[tuple[float, int]]] = defaultdict(list)
        """Heaps of ranks and ids."""
        self._message_ids = count(1)
        self._delivery_ids = count(1)
        self._bell = Bell()

    # --- the way of a delivery --------------------------------------------------------------

    async def append(self, messages: Sequence[NewMessage]) -> list[Receipt]:
        now = self._clock.now()
        receipts = [self._append(message, now) for message in messages]
        self._bell.ring({target for message in messages for target in message.targets})
        return receipts

    def _append(self, new: NewMessage, now: float) -> Receipt:
        if new.key is not None:
            known = self._dedupe.get((new.source, new.key))
            if known is not None and known[2] > now:
                return Receipt(known[0], is_duplicate=True, is_altered=known[1] != new.body)
        message = Message(
            next(self._message_ids), new.source, new.type, new.key, now, new.head, new.body
        )
        self._messages[message.id] = message
        self._of_message[message.id] = set()
        if new.key is not None:
            until = now + self._dedupe_seconds
            self._dedupe[new.source, new.key] = (message.id, new.body, until)
        for target in new.targets:
            number = next(self._delivery_ids)
            order_key = new.order_key_of(target)
            head = self._head(target, order_key)
            state = State.READY
            if head is not None and gives_way(head, rank=new.rank):
                self._put(yielded(head))
            elif head is not None:
                state = State.WAITING
            self._put(
                Delivery(number, message.id, target, order_key, state, due_at=now, rank=new.rank)
            )
            self._of_message[message.id].add(number)
        return Receipt(message.id)

    def _head(self, target: str, order_key: str | None) -> Delivery | None:
        number = self._heads.get((target, order_key)) if order_key is not None else None
        return self._deliveries[number] if number is not None else None

    async def claim(
        self, room: Mapping[str, int], *, limit: int, lease_seconds: float
    ) -> list[Lease]:
        now = self._clock.now()
        limit = min(limit, CLAIM_MAX)
        due = {
            target: self._look_due(target, min(most, limit), now) for target, most in room.items()
        }
        leases = []
        for delivery in chosen(due, limit=limit):
            freed = self._lose(delivery, now) if delivery.state is State.LEASED else delivery
            held = claimed(freed, now=now, lease_seconds=lease_seconds)
            self._put(held)
            leases.append(Lease(held, self._messages[held.message]))
        return leases

    def _look_due(self, target: str, most: int, now: float) -> list[Delivery]:
        """Look at what is due, oldest first. Whoever claims one leaves a stale entry behind."""
        heap = self._due[target]
        found: dict[int, Delivery] = {}
        while heap and heap[0][0] <= now and len(found) < most:
            due_at, number = heapq.heappop(heap)
            delivery = self._deliveries.get(number)
            if delivery and delivery.state.is_head and delivery.due_at == due_at:
                found[number] = delivery
        for delivery in found.values():
            heapq.heappush(heap, (delivery.due_at, delivery.id))
        return list(found.values())

    async def extend(self, leases: Collection[LeaseId], *, lease_seconds: float) -> set[LeaseId]:
        now = self._clock.now()
        held = {lease: delivery for lease in leases if (delivery := self._held(lease))}
        for delivery in held.values():
            self._put(extended(delivery, now=now, lease_seconds=lease_seconds))
        return set(held)

    async def settle(self, outcomes: Mapping[LeaseId, Outcome]) -> set[LeaseId]:
        now = self._clock.now()
        heard = set()
        for lease, outcome in outcomes.items():
            delivery = self._held(lease)
            if delivery is None:
                continue
            heard.add(lease)
            after, attempt = settled(delivery, outcome, now=now)
            self._put(after)
            self._attempts[after.id].append(attempt)
            self._bell.ring({after.target})
        return heard

    def _held(self, lease: LeaseId) -> Delivery | None:
        delivery = self._deliveries.get(lease.delivery)
        return delivery if delivery is not None and is_held(delivery, lease) else None

    async def forfeit(self, targets: Collection[str]) -> int:
        now = self._clock.now()
        leased = [
            delivery
            for delivery in self._deliveries.values()
            if delivery.state is State.LEASED and delivery.target in targets
        ]
        for delivery in leased:
            self._put(self._lose(delivery, now))
        self._bell.ring(targets)
        return len(leased)

    def _lose(self, delivery: Delivery, now: float) -> Delivery:
        freed, attempt = lost(delivery, now=now)
        self._attempts[delivery.id].append(attempt)
        return freed

    def _put(self, delivery: Delivery) -> None:
        """Write *delivery*, and let the next one of its order key go ahead if it is settled."""
        self._deliveries[delivery.id] = delivery
        if delivery.state.is_head:
            heapq.heappush(self._due[delivery.target], (delivery.due_at, delivery.id))
        if delivery.order_key is None:
            return
        order_key = (delivery.target, delivery.order_key)
        if delivery.state is State.WAITING:
            heapq.heappush(self._waiting[order_key], (delivery.rank, delivery.id))
        elif delivery.state.is_head:
            self._heads[order_key] = delivery.id
        else:
            self._heads.pop(order_key, None)
            if waiting := self._waiting.get(order_key):
                self._put(advanced(self._deliveries[heapq.heappop(waiting)[1]]))
            else:
                self._waiting.pop(order_key, None)

    # --- what a person asks for -------------------------------------------------------------

    async def replay(self, where: Selection, *, per_second: float | None = None) -> int:
        now = self._clock.now()
        wanted = [delivery for delivery in self._select(where) if delivery.state.is_settled]
        for number, delivery in enumerate(wanted):
            due_at = now + number / per_second if per_second else now
            has_head = (delivery.target, delivery.order_key) in self._heads
            self._put(replayed(delivery, due_at=due_at, has_head=has_head))
        self._bell.ring({delivery.target for delivery in wanted})
        return len(wanted)

    async def find(self, where: Selection, *, limit: int, after: int = 0) -> list[Delivery]:
        found = (delivery for delivery in self._select(where) if delivery.id > after)
        return list(islice(found, min(limit, FIND_MAX)))

    async def message(self, wanted: int) -> Message | None:
        return self._messages.get(wanted)

    async def attempts(self, delivery: int) -> list[Attempt]:
        return list(self._attempts.get(delivery, []))

    async def tally(self, target: str) -> Tally:
        tally = Tally()
        for delivery in self._select(Selection(target=target)):
            name = delivery.state.value
            tally = replace(tally, **{name: getattr(tally, name) + 1})
            if not delivery.state.is_settled:
                message = self._messages[delivery.message]
                oldest = tally.oldest_received_at
                tally = replace(
                    tally,
                    owed_bytes=tally.owed_bytes + len(message.head) + len(message.body),
                    oldest_received_at=message.received_at if oldest is None else oldest,
                )
        return tally

    def _select(self, where: Selection) -> Iterator[Delivery]:
        """Return what fits *where*, oldest first: ids grow, and a changed one keeps its place."""
        for delivery in self._deliveries.values():
            message = self._messages[delivery.message]
            if (
                (where.target is None or delivery.target == where.target)
                and (where.state is None or delivery.state is where.state)
                and (where.source is None or message.source == where.source)
                and (where.type is None or message.type == where.type)
                and (where.message is None or message.id == where.message)
                and (where.received_from is None or message.received_at >= where.received_from)
                and (where.received_before is None or message.received_at < where.received_before)
            ):
                yield delivery

    # --- housekeeping -----------------------------------------------------------------------

    async def prune(self, retention: Retention, *, limit: int) -> int:
        now = self._clock.now()
        old = list(islice(self._expired(retention, now), limit))
        for delivery in old:
            self._forget(delivery)
        keys = [key for key, (_, _, until) in self._dedupe.items() if until <= now]
        for key in islice(keys, limit):
            del self._dedupe[key]
        return len(old)

    def _expired(self, retention: Retention, now: float) -> Iterable[Delivery]:
        before = {
            State.DONE: now - retention.done_seconds,
            State.DEAD: now - retention.dead_seconds,
        }
        for delivery in self._deliveries.values():
            if delivery.settled_at is not None and delivery.settled_at < before[delivery.state]:
                yield delivery

    def _forget(self, delivery: Delivery) -> None:
        del self._deliveries[delivery.id]
        self._attempts.pop(delivery.id, None)
        others = self._of_message[delivery.message]
        others.discard(delivery.id)
        if not others:
            del self._of_message[delivery.message], self._messages[delivery.message]

    async def wait_due(self, targets: Collection[str], seconds: float) -> None:
        await self._bell.wait(targets, seconds)

    async def close(self) -> None:
        """Nothing is held."""


def _is_a_store(store: MemoryStore) -> Store:
    """For the type checker: what it returns must keep the whole protocol."""
    return store
