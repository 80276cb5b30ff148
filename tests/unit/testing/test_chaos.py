"""`chaos` finds the handlers that lose, double or mix up, and lets the good ones pass."""

import asyncio
import sqlite3
from collections.abc import Callable
from threading import Lock

import pytest
from fastapi import FastAPI

from hookloop import ConfigError, Event, Hooks
from hookloop.testing import (
    SECRET,
    ChaosError,
    CommitPoints,
    Crash,
    achaos,
    asend,
    chaos,
    make,
    send,
)
from hookloop.testing.delivering import is_taken

PAID = make("invoice.paid", {"id": "in_1"}, id="evt_paid", amount_paid=100)
VOID = make("invoice.voided", {"id": "in_2"}, id="evt_void")


class Shop:
    """An application with a database; what it does with an event is for each test to say."""

    def __init__(self, handle: Callable[["Shop", Event], None], *, recent_max: int = 0) -> None:
        self.commits = CommitPoints()
        self._handle = handle
        self._recent_max = recent_max
        self._lock = Lock()

    def reset(self) -> None:
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        self.db.executescript(
            "create table seen (id primary key); create table ledger (invoice, cents);"
        )
        self.restart()

    def restart(self) -> None:
        """What a new process does: roll back what was open, and know nothing but the data."""
        self.db.rollback()
        hooks = Hooks(secrets=SECRET, recent_max=self._recent_max)

        @hooks.on_any
        def handler(event: Event) -> None:
            with self._lock:
                self._handle(self, event)

        self.app = FastAPI()
        self.app.include_router(hooks.fastapi_router(), prefix="/webhooks/stripe")

    def commit(self, name: str) -> None:
        self.db.commit()
        self.commits.committed(name)

    def book(self, event: Event) -> None:
        paid = event.data["object"]
        self.db.execute("insert into ledger values (?, ?)", [paid["id"], paid["amount_paid"]])

    def is_new(self, event: Event) -> bool:
        rows = self.db.execute("insert or ignore into seen values (?)", [event.id])
        return rows.rowcount == 1

    def digest(self) -> list:
        self.db.rollback()
        return sorted(self.db.execute("select * from ledger").fetchall())

    def torment(self, events=(PAID, VOID), **how):
        return chaos(
            lambda event: send(self.app, event),
            list(events),
            **{
                "digest": self.digest,
                "reset": self.reset,
                "restart": self.restart,
                "commits": self.commits,
                **how,
            },
        )


def good(shop: Shop, event: Event) -> None:
    """The mark and the effect in one transaction."""
    if shop.is_new(event):
        shop.book(event)
    shop.commit("marked and booked")


def marks_first(shop: Shop, event: Event) -> None:
    """Commits the mark, and then the effect: a crash between loses the event."""
    if shop.is_new(event):
        shop.commit("marked")
        shop.book(event)
        shop.commit("booked")


def marks_last(shop: Shop, event: Event) -> None:
    """Commits the effect, and then the mark: a crash between doubles it."""
    if shop.db.execute("select 1 from seen where id = ?", [event.id]).fetchone():
        return
    shop.book(event)
    shop.commit("booked")
    shop.is_new(event)
    shop.commit("marked")


def never_marks(shop: Shop, event: Event) -> None:
    """Books whatever comes, as often as it comes."""
    shop.book(event)
    shop.commit("booked")


def last_wins(shop: Shop, event: Event) -> None:
    """Believes that the last to come is the last that happened."""
    shop.db.execute("delete from ledger")
    shop.book(event)
    shop.commit("booked")


def test_a_handler_with_one_transaction_passes():
    """Duplicates, orders, both at once, and a crash after every commit."""
    report = Shop(good).torment()

    assert report.digest == [("in_1", 100), ("in_2", VOID["data"]["object"]["amount_paid"])]
    assert report.crashes >= 4
    assert report.schedules >= 10
    assert report.deliveries > 3 * report.schedules


@pytest.mark.parametrize(
    ("handle", "kind", "sentence"),
    [
        (marks_first, "crash", "invoice.paid evt_paid; the process dies after commit 1 (marked)"),
        (marks_last, "crash", "invoice.paid evt_paid; the process dies after commit 1 (booked)"),
        (never_marks, "duplicate", "invoice.paid evt_paid again"),
        (last_wins, "reorder", "  1. invoice.voided evt_void\n  2. invoice.paid evt_paid"),
    ],
)
def test_a_wrong_handler_is_told_by_its_shortest_schedule(handle, kind: str, sentence: str):
    """In words that say what to do by hand, with the digests and the seed."""
    with pytest.raises(ChaosError) as caught:
        Shop(handle).torment(seed=7, kinds=[kind])

    told = str(caught.value)
    assert sentence in told
    assert "seed=7" in told
    assert "plain run:" in told
    assert "these 2 deliveries" in told or "these 3 deliveries" in told


def test_what_memory_remembers_does_not_survive_a_crash():
    """Hooks skips duplicates within a process; only a restart shows that it is not enough."""
    shop = Shop(never_marks, recent_max=1000)

    shop.torment(kinds=["duplicate"])

    with pytest.raises(ChaosError, match=r"dies after commit 1 \(booked\)"):
        shop.torment()


def test_a_race_is_found():
    """Look first, write later: two at the same time both see nothing."""
    seen: list[str] = []
    booked: list[str] = []
    both = 2
    waiting: list[int] = []

    async def deliver(event):
        is_new = event["id"] not in seen
        waiting.append(1)
        for _ in range(both):
            await asyncio.sleep(0)  # where a real handler awaits its database
        if is_new:
            seen.append(event["id"])
            booked.append(event["id"])
        return 200

    def reset() -> None:
        seen.clear()
        booked.clear()

    async def test() -> None:
        await achaos(deliver, [PAID], digest=lambda: sorted(booked), reset=reset)

    with pytest.raises(ChaosError, match=r"and, at the same time, invoice\.paid evt_paid"):
        asyncio.run(test())


def test_an_async_app_that_raises_is_refused_and_told():
    """The exception is in the report, and the other deliveries go on."""

    async def deliver(event):
        raise LookupError("no such invoice")

    async def test() -> None:
        await achaos(deliver, [PAID], digest=int, reset=int)

    with pytest.raises(ChaosError, match="without any trouble") as caught:
        asyncio.run(test())

    assert "after 5 attempts, raising LookupError: no such invoice" in str(caught.value)


def test_a_mistake_in_an_async_test_is_a_sentence():
    """It never looks like a fault of the application."""

    async def test() -> None:
        await achaos(lambda event: asend(None, event), [PAID], digest=int, reset=int)

    with pytest.raises(ConfigError, match="no application"):
        asyncio.run(test())


def test_threads_deliver_at_the_same_time():
    """Both are under way before either is answered."""
    together: list[int] = []
    under_way = set()
    lock = Lock()

    def deliver(event):
        with lock:
            under_way.add(event["id"])
            together.append(len(under_way))
        return 200

    chaos(deliver, [PAID, VOID], digest=lambda: 0, reset=under_way.clear, kinds=["concurrent"])

    assert max(together) == 2


def test_the_async_form_takes_async_functions():
    """An app with an async database has no sync digest."""
    rows: set[str] = set()
    shop_hooks = Hooks(secrets=SECRET)
    shop_hooks.on_any(lambda event: rows.add(event.id))

    async def digest() -> list[str]:
        await asyncio.sleep(0)
        return sorted(rows)

    async def test():
        return await achaos(
            lambda event: asend(shop_hooks.asgi, event),
            [PAID, VOID],
            digest=digest,
            reset=rows.clear,
            kinds=["reorder"],
        )

    with pytest.raises(ConfigError, match="make it anew"):
        asyncio.run(test())


def test_an_event_that_is_always_refused_is_named():
    """With what the application raised."""

    def refuse(shop: Shop, event: Event) -> None:
        shop.db.execute("insert or ignore into seen values (?)", [event.type])
        shop.commit("tried")
        if event.type == "invoice.voided":
            raise LookupError("no such invoice")

    with pytest.raises(ChaosError, match=r"invoice\.voided evt_void was still refused"):
        Shop(refuse).torment()


def test_an_order_an_app_relies_on_is_found():
    """An event that is refused until another has come is fine: it comes again."""
    paid_first: list[str] = []

    def patient(event):
        if event is VOID and PAID["id"] not in paid_first:
            return 503
        if event["id"] not in paid_first:
            paid_first.append(event["id"])
        return 200

    report = chaos(patient, [PAID, VOID], digest=lambda: [*paid_first], reset=paid_first.clear)

    assert report.digest == ["evt_paid", "evt_void"]


def test_an_event_that_was_refused_at_first_is_crashed_too():
    """Its commits are those of the attempt that went through."""
    commits = CommitPoints()
    paid, marked, voided = set(), set(), set()

    def deliver(event):
        if event is PAID:
            paid.add(event["id"])
        elif not paid:
            return 503
        elif event["id"] not in marked:
            marked.add(event["id"])
            commits.committed("marked")
            voided.add(event["id"])
        return 200

    def reset() -> None:
        for known in (paid, marked, voided):
            known.clear()

    with pytest.raises(ChaosError, match=r"evt_void; the process dies after commit 1 \(marked\)"):
        chaos(
            deliver,
            [VOID, PAID],
            digest=lambda: len(voided),
            reset=reset,
            commits=commits,
            kinds=["reorder", "crash"],
        )


def test_a_crash_the_app_catches_is_still_one():
    """`except BaseException` cannot save a process that was killed."""
    commits, booked = CommitPoints(), []

    def stubborn(event):
        booked.append(event["id"])
        try:
            commits.committed()
        except BaseException:  # the very thing that is tested
            return 200
        return 200

    with pytest.raises(ChaosError, match="dies after commit 1"):
        chaos(
            stubborn,
            [PAID],
            digest=lambda: len(booked),
            reset=booked.clear,
            commits=commits,
            kinds=["crash"],
        )


def test_the_dead_commit_nothing_more():
    """Every later commit of the delivery raises as well."""
    commits = CommitPoints()
    commits.arm(1)

    for _ in range(2):
        with pytest.raises(Crash):
            commits.committed("late")
    assert (commits.has_crashed, commits.count) == (True, 2)


def test_commits_that_nobody_tells_of_are_a_mistake():
    """A test without a crash in it must not look like one with."""
    with pytest.raises(ConfigError, match=r"call commits\.committed\(\)"):
        chaos(lambda _: 200, [PAID], digest=int, reset=int, commits=CommitPoints())


def test_a_digest_that_is_never_the_same_is_a_mistake():
    """Otherwise every schedule would look guilty."""
    numbers = iter(range(100))

    with pytest.raises(ConfigError, match="two plain runs end otherwise"):
        chaos(lambda _: 200, [PAID], digest=lambda: next(numbers), reset=int)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"events": []}, "no event to deliver"),
        ({"kinds": ["duplicates"]}, "did you mean 'duplicate'"),
        ({"deliver": lambda _: None}, "deliver\\(\\) returned NoneType"),
        ({"deliver": lambda _: send(None, PAID)}, "no application"),
    ],
)
def test_a_mistake_of_the_test_is_a_sentence(how: dict, sentence: str):
    """And never looks like a fault of the application."""
    arguments = {"deliver": lambda _: 200, "events": [PAID], "digest": int, "reset": int, **how}

    with pytest.raises(ConfigError, match=sentence):
        chaos(arguments.pop("deliver"), arguments.pop("events"), **arguments)


def test_an_async_digest_needs_the_async_form():
    """Not a coroutine that nobody awaits, equal to nothing."""

    async def digest() -> int:
        await asyncio.sleep(0)
        return 1

    with pytest.raises(ConfigError, match="await achaos"):
        chaos(lambda _: 200, [PAID], digest=digest, reset=int)


@pytest.mark.parametrize(("answer", "expected"), [(200, True), (503, False), (ValueError(), False)])
def test_a_status_is_an_answer(answer, expected: bool):
    """For applications reached in some other way."""
    assert is_taken(answer) is expected
