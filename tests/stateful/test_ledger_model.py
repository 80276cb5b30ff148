"""Any sequence of calls, on the store in memory and on the others: no difference."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from postgres_server import emptied, shared_database

from hookloop.ledger.delivery import Dead, Done, LeaseId, Release, Retry, State
from hookloop.ledger.memory import MemoryStore
from hookloop.ledger.message import NewMessage
from hookloop.ledger.postgres import PostgresStore
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.store import Retention, Selection
from hookloop.testing.clock import ManualClock

TARGETS = ("a", "b")
LEASE_SECONDS = 10.0
EVERYTHING = Selection()

new_messages = st.builds(
    NewMessage,
    source=st.sampled_from(["s", "t"]),
    body=st.sampled_from([b"one", b"two"]),
    targets=st.sampled_from([("a",), ("b",), ("a", "b")]),
    key=st.none() | st.sampled_from(["k1", "k2", "k3"]),
    order_key=st.none() | st.sampled_from(["o1", "o2"]),
    ordered_targets=st.none() | st.sampled_from([frozenset(), frozenset("a"), frozenset("ab")]),
    rank=st.sampled_from([0.0, 1.0, 2.0]),
    type=st.sampled_from(["x", "y"]),
)
outcomes = st.one_of(
    st.builds(Done),
    st.builds(Retry, wait_seconds=st.sampled_from([0.0, 5.0])),
    st.builds(Dead),
    st.builds(Release),
)
selections = st.builds(
    Selection,
    target=st.none() | st.sampled_from(TARGETS),
    state=st.none() | st.sampled_from(list(State)),
    source=st.none() | st.sampled_from(["s", "t"]),
    type=st.none() | st.sampled_from(["x", "y"]),
    message=st.none() | st.integers(1, 5),
)


class TwoStores(RuleBasedStateMachine):
    """The store in memory is the model: dictionaries, and the same law. The other is SQLite's."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.model = MemoryStore(clock=self.clock, dedupe_seconds=100)
        self.open_other()
        self.leases: list[LeaseId] = []

    def open_other(self) -> None:
        path = Path(self.folder.name) / "ledger.db"
        self.other = SqliteStore(path, clock=self.clock, dedupe_seconds=100)

    def both(self, call):
        """Return what both stores answer to *call*: the same."""
        expected = self.runner.run(call(self.model))
        assert self.runner.run(call(self.other)) == expected
        return expected

    @rule(messages=st.lists(new_messages, min_size=1, max_size=3))
    def append(self, messages):
        self.both(lambda store: store.append(messages))

    @rule(
        room=st.dictionaries(st.sampled_from(TARGETS), st.integers(0, 3)), limit=st.integers(0, 4)
    )
    def claim(self, room, limit):
        leases = self.both(
            lambda store: store.claim(room, limit=limit, lease_seconds=LEASE_SECONDS)
        )
        self.leases += [lease.id for lease in leases]

    @rule(data=st.data())
    def settle(self, data):
        if self.leases:  # stale ones among them
            ids = data.draw(st.lists(st.sampled_from(self.leases), unique=True, max_size=4))
            said = {lease: data.draw(outcomes) for lease in ids}
            self.both(lambda store: store.settle(said))

    @rule(data=st.data())
    def extend(self, data):
        if self.leases:
            ids = data.draw(st.lists(st.sampled_from(self.leases), unique=True, max_size=4))
            self.both(lambda store: store.extend(ids, lease_seconds=LEASE_SECONDS))

    @rule(whose=st.sets(st.sampled_from(TARGETS)))
    def forfeit(self, whose):
        self.both(lambda store: store.forfeit(whose))

    @rule(where=selections, per_second=st.none() | st.just(0.5))
    def replay(self, where, per_second):
        self.both(lambda store: store.replay(where, per_second=per_second))

    @rule(limit=st.integers(1, 3))
    def prune(self, limit):
        retention = Retention(done_seconds=20, dead_seconds=40)
        self.both(lambda store: store.prune(retention, limit=limit))

    @rule(seconds=st.sampled_from([1.0, 9.0, 10.0, 50.0]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(where=selections, limit=st.integers(0, 4), after=st.integers(0, 9))
    def find(self, where, limit, after):
        self.both(lambda store: store.find(where, limit=limit, after=after))

    @rule()
    def restart(self):
        self.runner.run(self.other.close())
        self.open_other()

    @invariant()
    def the_same_is_kept(self):
        deliveries = self.both(lambda store: store.find(EVERYTHING, limit=1000))
        for delivery in deliveries:
            attempts = self.both(lambda store, d=delivery: store.attempts(d.id))
            # Each claim but the present one has left its attempt, in order.
            ended = delivery.attempts - (delivery.state is State.LEASED)
            assert [attempt.number for attempt in attempts] == list(range(1, ended + 1))
            assert self.both(lambda store, d=delivery: store.message(d.message)) is not None
        for target in TARGETS:
            self.both(lambda store, t=target: store.tally(t))

    @invariant()
    def an_order_key_has_one_head(self):
        deliveries = self.runner.run(self.model.find(EVERYTHING, limit=1000))
        lines: dict[tuple[str, str], list[State]] = {}
        for delivery in deliveries:
            if delivery.order_key is not None and not delivery.state.is_settled:
                line = lines.setdefault((delivery.target, delivery.order_key), [])
                line.append(delivery.state)
        assert all(sum(state.is_head for state in line) == 1 for line in lines.values())

    def teardown(self) -> None:
        self.runner.run(self.other.close())
        self.runner.close()
        self.folder.cleanup()


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=12, stateful_step_count=25)


class WithPostgres(TwoStores):
    """The same with a real server; its tables are emptied for each sequence."""

    def __init__(self) -> None:
        shared_database()
        self.is_new = True
        super().__init__()

    def open_other(self) -> None:
        self.other = self.runner.run(self.open_database())

    async def open_database(self) -> PostgresStore:
        url = shared_database()
        if self.is_new:
            await emptied(url)
        self.is_new = False
        return await PostgresStore.open(url, clock=self.clock, dedupe_seconds=100)


TestWithPostgres = WithPostgres.TestCase
TestWithPostgres.settings = settings(max_examples=6, stateful_step_count=20)


@pytest.mark.slow
class TestWithPostgresForLong(WithPostgres.TestCase):
    """The same, a hundred times as long."""

    settings = settings(max_examples=200, stateful_step_count=60)


@pytest.mark.slow
class TestTwoStoresForLong(TwoStores.TestCase):
    """The same, sixty times as long."""

    settings = settings(max_examples=300, stateful_step_count=60)
