"""The store in memory: as fast as dictionaries, and gone when the process ends."""

import heapq
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from .authentication import AccountKey
from .delivery import Delivery, DeliveryState
from .errors import ApiError
from .idempotency import RETENTION_SECONDS as ANSWER_RETENTION_SECONDS
from .idempotency import SavedAnswer
from .objects.event import RETENTION_SECONDS as EVENT_RETENTION_SECONDS
from .observer import EventObserver, nobody
from .store import Changes, Json, Page, PageRequest, Task
from .transaction import EVENT_KIND

__all__ = ["ACCOUNTS_MAX", "ANSWERS_MAX", "EVENTS_MAX", "MemoryAccounts", "MemoryStore"]

ACCOUNTS_MAX = 10_000  # A test suite with a key for each test stays below; a loop of bugs does not.
EVENTS_MAX = 100_000  # Of an account, about 200 MB; the oldest go first.
ANSWERS_MAX = 10_000  # Of an account, about 20 MB: every POST of Stripe's clients leaves one.


class MemoryAccounts:
    """The accounts of one sandbox, made when their key is first seen."""

    def __init__(self, observer: EventObserver = nobody) -> None:
        self._observer = observer
        self._stores: dict[bytes, MemoryStore] = {}
        self._by_id: dict[str, MemoryStore] = {}

    def __len__(self) -> int:
        return len(self._stores)

    def store_of(self, account: AccountKey) -> "MemoryStore":
        """Return the account's store. Raises `ApiError` when there are too many accounts."""
        store = self._stores.get(account.digest)
        if store is None:
            if len(self._stores) >= ACCOUNTS_MAX:
                raise ApiError(
                    429,
                    f"This sandbox has seen {ACCOUNTS_MAX} API keys, each with an account of its "
                    "own, and takes no more; restart it, or use fewer keys.",
                    code="rate_limit",
                )
            store = self._stores[account.digest] = MemoryStore(account, self._observer)
            self._by_id[account.account_id] = store
        return store

    def by_id(self, account_id: str) -> "MemoryStore | None":
        """Return the store of the account ``acct_...``, or None."""
        return self._by_id.get(account_id)


@dataclass(slots=True)
class _Shelf:
    """The objects of one kind, in the order they were made."""

    objects: dict[str, Json] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    """Each id's place in the order; kept for deleted objects, which stay valid cursors."""
    ids: dict[int, str] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    """Ascending numbers of the objects a list shows."""
    made: int = 0

    def put(self, value: Json) -> None:
        wanted = value["id"]
        if wanted not in self.numbers:
            self.numbers[wanted] = self.made
            self.ids[self.made] = wanted
            self.order.append(self.made)
            self.made += 1
        self.objects[wanted] = value
        if value.get("deleted"):
            self._unlist(self.numbers[wanted])

    def remove(self, wanted: str) -> None:
        number = self.numbers.pop(wanted)
        self._unlist(number)
        del self.ids[number], self.objects[wanted]

    def oldest(self) -> Json | None:
        return self.objects[self.ids[self.order[0]]] if self.order else None

    def newer_than(self, wanted: str) -> Iterator[Json]:
        start = bisect_right(self.order, self.numbers[wanted])
        return (self.objects[self.ids[number]] for number in islice(self.order, start, None))

    def older_than(self, wanted: str | None) -> Iterator[Json]:
        end = len(self.order)
        if wanted is not None:
            end = bisect_left(self.order, self.numbers[wanted])
        return (self.objects[self.ids[self.order[at]]] for at in range(end - 1, -1, -1))

    def _unlist(self, number: int) -> None:
        at = bisect_left(self.order, number)
        if at < len(self.order) and self.order[at] == number:
            del self.order[at]


class MemoryStore:
    """One account in memory. A commit cannot fail half-way: it only sets dictionary items."""

    def __init__(self, account: AccountKey, observer: EventObserver = nobody) -> None:
        self.account = account
        self._observer = observer
        self._tasks: list[Task] = []  # a heap
        self._shelves: defaultdict[str, _Shelf] = defaultdict(_Shelf)
        self._deliveries: dict[str, dict[str, Delivery]] = {}
        self._owed: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._pending: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._answers: dict[str, SavedAnswer] = {}

    # Reading

    def find(self, kind: str, wanted: str) -> Json | None:
        return self._shelves[kind].objects.get(wanted)

    def count(self, kind: str) -> int:
        return len(self._shelves[kind].order)

    def everything(self, kind: str) -> Sequence[Json]:
        shelf = self._shelves[kind]
        return [shelf.objects[shelf.ids[number]] for number in shelf.order]

    def page(self, kind: str, request: PageRequest) -> Page | None:
        shelf = self._shelves[kind]
        cursor = request.starting_after or request.ending_before
        if cursor is not None and cursor not in shelf.numbers:
            return None
        if request.ending_before is not None:
            candidates = shelf.newer_than(request.ending_before)
        else:
            candidates = shelf.older_than(request.starting_after)
        if request.matches is not None:
            candidates = filter(request.matches, candidates)
        found = list(islice(candidates, request.limit + 1))
        objects = found[: request.limit]
        if request.ending_before is not None:
            objects.reverse()
        return Page(objects, has_more=len(found) > request.limit)

    def deliveries_of(self, event_id: str) -> Sequence[Delivery]:
        return list(self._deliveries.get(event_id, {}).values())

    def deliveries_to(self, endpoint_id: str) -> Iterable[Delivery]:
        events = reversed(self._owed.get(endpoint_id, {}))
        return (self._deliveries[event][endpoint_id] for event in events)

    def pending_for(self, endpoint_id: str) -> Sequence[Delivery]:
        return [self._deliveries[event][endpoint_id] for event in self._pending[endpoint_id]]

    def next_task(self) -> Task | None:
        return self._tasks[0] if self._tasks else None

    def saved_answer(self, key: str) -> SavedAnswer | None:
        return self._answers.get(key)

    # Writing

    def commit(self, changes: Changes, *, now: float) -> None:
        for kind, value in changes.objects:
            self._shelves[kind].put(value)
        for kind, wanted in changes.removed:
            self._shelves[kind].remove(wanted)
        for event in changes.events:
            self._shelves[EVENT_KIND].put(event)
        for delivery in changes.deliveries:
            self._put_delivery(delivery)
        for task in changes.tasks:
            heapq.heappush(self._tasks, task)
        if changes.done is not None:
            self._tasks.remove(changes.done)
            heapq.heapify(self._tasks)
        if changes.answer is not None:
            self._answers[changes.answer.key] = changes.answer
        self._forget_events(now)
        self._forget_answers(now)
        for event in (*changes.events, *changes.told_again):
            self._observer.event_happened(self.account, event)

    def _put_delivery(self, delivery: Delivery) -> None:
        self._deliveries.setdefault(delivery.event_id, {})[delivery.endpoint_id] = delivery
        self._owed[delivery.endpoint_id][delivery.event_id] = None
        if delivery.state is DeliveryState.PENDING:
            self._pending[delivery.endpoint_id][delivery.event_id] = None
        else:
            self._pending[delivery.endpoint_id].pop(delivery.event_id, None)

    def _forget_events(self, now: float) -> None:
        shelf = self._shelves[EVENT_KIND]
        while (oldest := shelf.oldest()) is not None and (
            len(shelf.order) > EVENTS_MAX or oldest["created"] < now - EVENT_RETENTION_SECONDS
        ):
            shelf.remove(oldest["id"])
            for endpoint_id in self._deliveries.pop(oldest["id"], {}):
                self._pending[endpoint_id].pop(oldest["id"], None)
                self._owed[endpoint_id].pop(oldest["id"], None)

    def _forget_answers(self, now: float) -> None:
        while self._answers:
            oldest = next(iter(self._answers.values()))
            if len(self._answers) <= ANSWERS_MAX and oldest.saved >= now - ANSWER_RETENTION_SECONDS:
                return
            del self._answers[oldest.key]
