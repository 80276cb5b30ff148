"""What every store promises: the docstrings of `hookloop.ledger.store.Store`, claim by claim."""

import asyncio

import pytest
from patience import PATIENCE

from hookloop.errors import ConfigError
from hookloop.ledger.delivery import Dead, Done, LeaseId, Release, Result, Retry, State
from hookloop.ledger.message import DEDUPE_SECONDS, NewMessage
from hookloop.ledger.store import Retention, Selection, Tally

LEASE_SECONDS = 30.0
EVERYTHING = Selection()


def owed(number: int = 1, *, target="app", key=None, order_key=None, **more) -> NewMessage:
    return NewMessage(
        source="acct_1",
        body=b"body %d" % number,
        head=b"head %d" % number,
        targets=(target,) if isinstance(target, str) else target,
        key=key,
        order_key=order_key,
        **more,
    )


async def claim(store, *targets, limit=100, each=100):
    return await store.claim(
        dict.fromkeys(targets or ("app",), each), limit=limit, lease_seconds=LEASE_SECONDS
    )


async def states(store) -> list[State]:
    return [delivery.state for delivery in await store.find(EVERYTHING, limit=1000)]


# --- append ----------------------------------------------------------------------------------


def test_what_is_appended_comes_back_bit_for_bit(on_store):
    """Head and body are any bytes; a signature over them still fits."""

    async def scenario(store, clock):
        head, body = bytes(range(256)), bytes(reversed(range(256)))
        new = NewMessage("acct_1", body, ("app",), head=head, type="invoice.paid", key="evt_1")

        [receipt] = await store.append([new])
        kept = await store.message(receipt.message)

        assert (kept.head, kept.body) == (head, body)
        assert (kept.source, kept.type, kept.key) == ("acct_1", "invoice.paid", "evt_1")
        assert kept.received_at == clock.wall()
        assert await store.message(receipt.message + 1) is None

    on_store(scenario)


def test_a_known_key_is_a_duplicate_and_owes_nothing_new(on_store):
    """The receipt names the first message, and says whether the body is another one."""

    async def scenario(store, clock):
        [first] = await store.append([owed(1, key="evt_1")])
        [same, altered] = await store.append([owed(1, key="evt_1"), owed(2, key="evt_1")])

        assert (first.is_duplicate, first.is_altered) == (False, False)
        assert (same.message, same.is_duplicate, same.is_altered) == (first.message, True, False)
        assert (altered.message, altered.is_altered) == (first.message, True)
        assert (await store.message(first.message)).body == b"body 1"
        assert len(await store.find(EVERYTHING, limit=10)) == 1

    on_store(scenario)


def test_the_second_of_a_key_in_one_append_is_the_duplicate(on_store):
    """A batch is no hole in the dedupe."""

    async def scenario(store, clock):
        first, second = await store.append([owed(1, key="evt_1"), owed(1, key="evt_1")])

        assert (first.is_duplicate, second.is_duplicate) == (False, True)

    on_store(scenario)


def test_a_key_belongs_to_its_source(on_store):
    """Two accounts may both have an evt_1."""

    async def scenario(store, clock):
        receipts = await store.append(
            [NewMessage(source, b"", ("app",), key="evt_1") for source in ("acct_1", "acct_2")]
        )

        assert [receipt.is_duplicate for receipt in receipts] == [False, False]

    on_store(scenario)


def test_without_a_key_nothing_is_a_duplicate(on_store):
    """The same bytes twice may well be two facts."""

    async def scenario(store, clock):
        receipts = await store.append([owed(1), owed(1)])

        assert [receipt.is_duplicate for receipt in receipts] == [False, False]

    on_store(scenario)


def test_a_thousand_senders_of_one_key_make_one_message(on_store):
    """Stripe's retry and its first try may arrive in the same millisecond."""

    async def scenario(store, clock):
        answers = await asyncio.gather(*(store.append([owed(1, key="evt")]) for _ in range(1000)))

        receipts = [receipt for [receipt] in answers]
        assert sum(not receipt.is_duplicate for receipt in receipts) == 1
        assert len({receipt.message for receipt in receipts}) == 1

    on_store(scenario)


def test_a_key_is_known_for_35_days_and_no_longer(on_store):
    """Longer than Stripe resends by hand; then it may be a new fact."""

    async def scenario(store, clock):
        await store.append([owed(1, key="evt_1")])
        clock.advance(DEDUPE_SECONDS - 1)
        [still] = await store.append([owed(1, key="evt_1")])
        clock.advance(1)
        [new] = await store.append([owed(1, key="evt_1")])

        assert (still.is_duplicate, new.is_duplicate) == (True, False)

    on_store(scenario)


def test_each_target_is_owed_its_own_delivery(on_store):
    """One message, as many deliveries as targets, each with a life of its own."""

    async def scenario(store, clock):
        await store.append([owed(1, target=("a", "b"))])
        [lease] = await claim(store, "a")
        await store.settle({lease.id: Done()})

        deliveries = await store.find(EVERYTHING, limit=10)
        assert [(d.target, d.state) for d in deliveries] == [
            ("a", State.DONE),
            ("b", State.READY),
        ]

    on_store(scenario)


@pytest.mark.parametrize("targets", [(), ("app", "app")])
def test_a_message_owed_to_nobody_or_twice_is_refused(targets):
    """It would be kept for nothing, or delivered twice by mistake."""
    with pytest.raises(ConfigError, match="targets"):
        NewMessage("acct_1", b"", targets)


# --- claim -----------------------------------------------------------------------------------


def test_a_claim_leases_the_oldest_due_and_counts_the_attempt(on_store):
    """With all that a worker needs to make the attempt."""

    async def scenario(store, clock):
        await store.append([owed(1), owed(2), owed(3)])

        leases = await claim(store, limit=2)

        assert [lease.message.body for lease in leases] == [b"body 1", b"body 2"]
        assert [lease.delivery.attempts for lease in leases] == [1, 1]
        assert all(lease.delivery.due_at == clock.wall() + LEASE_SECONDS for lease in leases)
        assert await states(store) == [State.LEASED, State.LEASED, State.READY]

    on_store(scenario)


def test_no_two_claims_get_the_same(on_store):
    """However many workers claim at once."""

    async def scenario(store, clock):
        await store.append([owed(number) for number in range(50)])

        claims = await asyncio.gather(*(claim(store, limit=5) for _ in range(20)))

        got = [lease.id.delivery for leases in claims for lease in leases]
        assert len(got) == 50
        assert len(set(got)) == 50

    on_store(scenario)


def test_only_the_targets_asked_for_and_as_many_as_there_is_room_for(on_store):
    """A worker names what it serves, and what it can take of each."""

    async def scenario(store, clock):
        await store.append([owed(n, target=target) for n in range(3) for target in "abc"])

        leases = await store.claim({"a": 2, "b": 1}, limit=10, lease_seconds=LEASE_SECONDS)

        assert sorted(lease.delivery.target for lease in leases) == ["a", "a", "b"]

    on_store(scenario)


def test_targets_take_turns(on_store):
    """A backlog of one target does not keep another one's deliveries from their turn."""

    async def scenario(store, clock):
        await store.append([owed(number, target="slow") for number in range(20)])
        clock.advance(1)
        await store.append([owed(99, target="quick")])

        leases = await claim(store, "slow", "quick", limit=4)

        assert "quick" in {lease.delivery.target for lease in leases}

    on_store(scenario)


def test_a_lease_that_ran_out_is_claimed_anew_and_counted_as_a_crash(on_store):
    """Whoever held it is dead, or hangs; the attempt is on record as lost."""

    async def scenario(store, clock):
        await store.append([owed(1)])
        [dead] = await claim(store)
        clock.advance(LEASE_SECONDS - 1)
        assert await claim(store) == []
        clock.advance(1)

        [heir] = await claim(store)

        assert heir.id == LeaseId(dead.id.delivery, 2)
        assert (heir.delivery.crashes, heir.delivery.failures) == (1, 1)
        [attempt] = await store.attempts(heir.id.delivery)
        assert (attempt.number, attempt.result) == (1, Result.LOST)

    on_store(scenario)


def test_what_has_killed_a_worker_is_claimed_alone(on_store):
    """So that the next time it costs nobody else; the innocent come after it."""

    async def scenario(store, clock):
        await store.append([owed(number) for number in range(3)])
        await claim(store)
        clock.advance(LEASE_SECONDS)
        await store.append([owed(9)])

        sizes = []
        while leases := await claim(store):
            sizes.append(len(leases))
            await store.settle({lease.id: Done() for lease in leases})

        assert sizes == [1, 1, 1, 1]

    on_store(scenario)


# --- order -----------------------------------------------------------------------------------


def test_an_order_key_is_worked_off_one_at_a_time(on_store):
    """Only the oldest that is not settled may be claimed; the rest wait."""

    async def scenario(store, clock):
        await store.append([owed(number, order_key="cus_1") for number in range(3)])
        assert await states(store) == [State.READY, State.WAITING, State.WAITING]

        bodies = []
        while leases := await claim(store):
            assert len(leases) == 1
            assert await claim(store) == []
            bodies.append(leases[0].message.body)
            await store.settle({leases[0].id: Done()})

        assert bodies == [b"body 0", b"body 1", b"body 2"]

    on_store(scenario)


def test_a_retry_keeps_its_place_at_the_head(on_store):
    """What comes after it must not overtake it while it waits."""

    async def scenario(store, clock):
        await store.append([owed(number, order_key="cus_1") for number in range(2)])
        [lease] = await claim(store)
        await store.settle({lease.id: Retry(5)})

        assert await claim(store) == []
        clock.advance(5)
        [again] = await claim(store)

        assert again.message.body == b"body 0"

    on_store(scenario)


def test_a_dead_one_lets_the_next_go_ahead(on_store):
    """A person will look at it; the others are not its hostages."""

    async def scenario(store, clock):
        await store.append([owed(number, order_key="cus_1") for number in range(2)])
        [lease] = await claim(store)
        await store.settle({lease.id: Dead("410")})

        [following] = await claim(store)

        assert following.message.body == b"body 1"

    on_store(scenario)


def test_order_keys_of_another_target_or_name_do_not_wait(on_store):
    """Only what shares both the target and the key is in one line."""

    async def scenario(store, clock):
        await store.append(
            [
                owed(1, target="a", order_key="x"),
                owed(2, target="b", order_key="x"),
                owed(3, target="a", order_key="y"),
                owed(4, target="a"),
            ]
        )

        assert len(await claim(store, "a", "b")) == 4

    on_store(scenario)


def test_a_replayed_one_waits_its_turn_and_then_comes_first(on_store):
    """Its turn is that of its age, as soon as the one in hand is settled."""

    async def scenario(store, clock):
        await store.append([owed(number, order_key="cus_1") for number in range(3)])
        [first] = await claim(store)
        await store.settle({first.id: Done()})
        [second] = await claim(store)

        assert await store.replay(Selection(state=State.DONE)) == 1
        assert await claim(store) == []
        await store.settle({second.id: Done()})
        [replayed] = await claim(store)

        assert replayed.message.body == b"body 0"

    on_store(scenario)


def test_a_lower_rank_goes_first_however_late_it_comes(on_store):
    """Senders deliver out of order: by rank, and among equals by age."""

    async def scenario(store, clock):
        ranks = (2.0, 3.0, 1.0, 2.0)
        await store.append(
            [owed(number, order_key="cus_1", rank=rank) for number, rank in enumerate(ranks)]
        )
        await store.append([owed(9, order_key="cus_1", rank=0.5)])

        bodies = []
        while leases := await claim(store):
            bodies.append(leases[0].message.body)
            await store.settle({leases[0].id: Done()})

        assert bodies == [b"body 9", b"body 2", b"body 0", b"body 3", b"body 1"]

    on_store(scenario)


def test_one_in_hand_is_not_overtaken_and_one_that_waits_for_a_retry_is(on_store):
    """What has begun goes on; what is to begin again may as well begin later."""

    async def scenario(store, clock):
        await store.append([owed(2, order_key="cus_1", rank=2.0)])
        [lease] = await claim(store)
        await store.append([owed(1, order_key="cus_1", rank=1.0)])
        assert await claim(store) == []
        await store.settle({lease.id: Retry(5)})
        await store.append([owed(0, order_key="cus_1", rank=0.0)])

        [before] = await claim(store)
        await store.settle({before.id: Done()})
        [after] = await claim(store)
        await store.settle({after.id: Done()})

        assert (before.message.body, after.message.body) == (b"body 0", b"body 1")
        assert await claim(store) == []
        clock.advance(5)
        [again] = await claim(store)
        assert (again.message.body, again.delivery.attempts) == (b"body 2", 2)

    on_store(scenario)


def test_an_order_key_may_be_for_some_targets_only(on_store):
    """Of one message, one target waits for its turn and another does not."""

    async def scenario(store, clock):
        both = {"target": ("a", "b"), "ordered_targets": frozenset("a")}
        await store.append([owed(n, order_key="cus_1", **both) for n in range(2)])

        leases = await claim(store, "a", "b")

        assert sorted(lease.delivery.target for lease in leases) == ["a", "b", "b"]
        keys = {lease.delivery.target: lease.delivery.order_key for lease in leases}
        assert keys == {"a": "cus_1", "b": None}

    on_store(scenario)


# --- settle and extend -----------------------------------------------------------------------


def test_every_outcome_leaves_its_state_and_its_attempt(on_store):
    """Done and dead end it, a retry comes back later, a release at once and uncounted."""

    async def scenario(store, clock):
        await store.append([owed(number) for number in range(4)])
        done, retry, dead, release = await claim(store)
        clock.advance(2)

        heard = await store.settle(
            {
                done.id: Done("200"),
                retry.id: Retry(60, "503"),
                dead.id: Dead("410"),
                release.id: Release("stopped"),
            }
        )

        assert heard == {done.id, retry.id, dead.id, release.id}
        now = clock.wall()
        kept = await store.find(EVERYTHING, limit=10)
        assert [(d.state, d.failures, d.settled_at, d.detail) for d in kept] == [
            (State.DONE, 0, now, "200"),
            (State.READY, 1, None, "503"),
            (State.DEAD, 1, now, "410"),
            (State.READY, 0, None, "stopped"),
        ]
        assert [d.due_at for d in kept if d.state is State.READY] == [now + 60, now]
        [attempt] = await store.attempts(retry.id.delivery)
        assert (attempt.started_at, attempt.ended_at) == (now - 2, now)
        assert (attempt.result, attempt.detail) == (Result.RETRY, "503")

    on_store(scenario)


def test_a_stale_lease_changes_nothing(on_store):
    """A worker that comes to after its time settles nothing of the new owner's."""

    async def scenario(store, clock):
        await store.append([owed(1)])
        [stale] = await claim(store)
        clock.advance(LEASE_SECONDS)
        [owner] = await claim(store)
        before = await store.find(EVERYTHING, limit=10)

        assert await store.settle({stale.id: Done()}) == set()
        assert await store.extend([stale.id], lease_seconds=LEASE_SECONDS) == set()
        assert await store.find(EVERYTHING, limit=10) == before
        assert await store.settle({owner.id: Done()}) == {owner.id}
        assert await store.settle({owner.id: Dead()}) == set()

    on_store(scenario)


def test_a_late_outcome_counts_while_nobody_else_has_claimed(on_store):
    """What is done is done: a slow worker's success is not thrown away for its lateness."""

    async def scenario(store, clock):
        await store.append([owed(1)])
        [lease] = await claim(store)
        clock.advance(LEASE_SECONDS + 1)

        assert await store.settle({lease.id: Done()}) == {lease.id}

    on_store(scenario)


def test_an_extended_lease_ends_later(on_store):
    """A worker that lives keeps what it holds for as long as it takes."""

    async def scenario(store, clock):
        await store.append([owed(1)])
        [lease] = await claim(store)
        clock.advance(LEASE_SECONDS - 1)
        assert await store.extend([lease.id], lease_seconds=LEASE_SECONDS) == {lease.id}
        clock.advance(LEASE_SECONDS - 1)

        assert await claim(store) == []

    on_store(scenario)


def test_forfeited_leases_are_free_at_once(on_store):
    """After a crash nobody has to wait for the end of a dead worker's lease."""

    async def scenario(store, clock):
        await store.append([owed(1), owed(2, target="other")])
        [dead, other] = await claim(store, "app", "other")

        assert await store.forfeit(["app"]) == 1
        [heir] = await claim(store, "app", "other")

        assert heir.id == LeaseId(dead.id.delivery, 2)
        assert await store.settle({dead.id: Done()}) == set()
        assert await store.settle({other.id: Done()}) == {other.id}

    on_store(scenario)


# --- the clock -------------------------------------------------------------------------------


def test_a_clock_that_is_turned_back_stops_no_lease(on_store):
    """Thirty seconds are thirty seconds, whatever an administrator does to the hour."""

    async def scenario(store, clock):
        await store.append([owed(1)])
        await claim(store)
        clock.set_wall(clock.wall() - 3600)
        assert await claim(store) == []
        clock.advance(LEASE_SECONDS)

        assert len(await claim(store)) == 1

    on_store(scenario)


def test_a_laptop_that_slept_finds_its_leases_run_out(on_store):
    """The monotonic clock did not see the sleep; the wall clock did."""

    async def scenario(store, clock):
        await store.append([owed(1)])
        await claim(store)
        clock.set_wall(clock.wall() + 3600)

        assert len(await claim(store)) == 1

    on_store(scenario)


# --- replay, find, tally, prune --------------------------------------------------------------


def test_a_replay_owes_what_was_settled_with_a_fresh_count(on_store):
    """Its schedule begins anew; its attempts are numbered on."""

    async def scenario(store, clock):
        await store.append([owed(1), owed(2)])
        dead, done = await claim(store)
        await store.settle({dead.id: Dead("bug"), done.id: Done()})

        assert await store.replay(Selection(state=State.DEAD)) == 1
        [lease] = await claim(store)

        assert lease.id == LeaseId(dead.id.delivery, 2)
        assert (lease.delivery.failures, lease.delivery.crashes) == (0, 0)
        assert lease.delivery.settled_at is None

    on_store(scenario)


def test_a_replay_at_a_rate_is_spread_over_time(on_store):
    """A hundred thousand at once would be an attack on one's own application."""

    async def scenario(store, clock):
        await store.append([owed(number) for number in range(4)])
        await store.settle({lease.id: Done() for lease in await claim(store)})
        await store.replay(EVERYTHING, per_second=2)

        counts = []
        for _ in range(4):
            counts.append(len(await claim(store)))
            clock.advance(0.5)

        assert counts == [1, 1, 1, 1]

    on_store(scenario)


def test_find_takes_every_field_of_a_selection_and_goes_page_by_page(on_store):
    """What a person looks for: by target, state, source, type, message and time."""

    async def scenario(store, clock):
        await store.append([owed(1, type="a"), owed(2, type="b", target=("app", "log"))])
        clock.advance(10)
        await store.append([NewMessage("acct_2", b"", ("app",), type="a")])
        start = clock.wall() - 10

        async def count(**fields) -> int:
            return len(await store.find(Selection(**fields), limit=10))

        assert await count() == 4
        assert await count(target="log") == 1
        assert await count(state=State.READY) == 4
        assert await count(state=State.DONE) == 0
        assert await count(source="acct_2") == 1
        assert await count(type="a") == 2
        assert await count(type="a", source="acct_1") == 1
        assert await count(message=2) == 2
        assert await count(received_from=start + 10) == 1
        assert await count(received_from=start, received_before=start + 10) == 3
        first = await store.find(EVERYTHING, limit=3)
        rest = await store.find(EVERYTHING, limit=3, after=first[-1].id)
        assert [delivery.id for delivery in first + rest] == [1, 2, 3, 4]

    on_store(scenario)


def test_a_tally_counts_what_is_owed_and_its_bytes(on_store):
    """How far behind a target is: how many, how large, how old."""

    async def scenario(store, clock):
        start = clock.wall()
        await store.append([owed(number, order_key="k") for number in range(4)])
        [lease] = await claim(store)
        await store.settle({lease.id: Done()})
        clock.advance(5)
        await store.append([owed(4, order_key="k")])

        assert await store.tally("app") == Tally(
            waiting=3, ready=1, done=1, owed_bytes=4 * 12, oldest_received_at=start
        )
        assert await store.tally("nobody") == Tally()

    on_store(scenario)


def test_a_prune_forgets_what_was_settled_long_ago_and_keeps_its_key(on_store):
    """The message is gone, and a late duplicate of it is still one."""

    async def scenario(store, clock):
        await store.append([owed(1, key="evt_1"), owed(2), owed(3)])
        done, dead, _ = await claim(store)
        await store.settle({done.id: Done(), dead.id: Dead()})
        clock.advance(101)
        retention = Retention(done_seconds=100, dead_seconds=1000)

        assert await store.prune(retention, limit=10) == 1
        assert await store.prune(retention, limit=10) == 0

        assert await store.message(done.message.id) is None
        assert await store.attempts(done.id.delivery) == []
        assert await states(store) == [State.DEAD, State.LEASED]
        [late] = await store.append([owed(1, key="evt_1")])
        assert (late.message, late.is_duplicate) == (done.message.id, True)

    on_store(scenario)


def test_a_prune_leaves_a_message_that_is_still_owed_to_another(on_store):
    """It goes with its last delivery, in bites of the limit."""

    async def scenario(store, clock):
        [receipt] = await store.append([owed(1, target=("a", "b"))])
        for target in "ab":
            [lease] = await claim(store, target)
            await store.settle({lease.id: Done()})
        clock.advance(10)
        retention = Retention(done_seconds=1)

        assert await store.prune(retention, limit=1) == 1
        assert await store.message(receipt.message) is not None
        assert await store.prune(retention, limit=1) == 1
        assert await store.message(receipt.message) is None

    on_store(scenario)


def test_ids_are_never_given_twice(on_store):
    """Not even when the newest message was pruned: an id in a log means one thing."""

    async def scenario(store, clock):
        [old] = await store.append([owed(1)])
        [lease] = await claim(store)
        await store.settle({lease.id: Done()})
        clock.advance(10)
        await store.prune(Retention(done_seconds=1), limit=10)

        [new] = await store.append([owed(2)])

        assert new.message > old.message

    on_store(scenario)


# --- wait_due --------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["append", "settle", "replay", "forfeit"])
def test_whoever_waits_is_woken_by_what_may_have_become_due(on_store, what):
    """The hint comes at once; its backstop of ten minutes would fail this test."""

    async def scenario(store, clock):
        await store.append([owed(1), owed(2)])
        first, second = await claim(store)
        await store.settle({second.id: Done()})
        change = {
            "append": lambda: store.append([owed(3)]),
            "settle": lambda: store.settle({first.id: Retry(0)}),
            "replay": lambda: store.replay(Selection(state=State.DONE)),
            "forfeit": lambda: store.forfeit(["app"]),
        }[what]
        waiting = asyncio.create_task(store.wait_due(["app"], 600))
        await asyncio.sleep(0)
        await change()

        await asyncio.wait_for(waiting, PATIENCE)

    on_store(scenario)


def test_whoever_waits_for_another_target_is_not_woken(on_store):
    """And comes back by itself when its time is up."""

    async def scenario(store, clock):
        waiting = asyncio.create_task(store.wait_due(["other"], 600))
        await asyncio.sleep(0)
        await store.append([owed(1)])
        await asyncio.sleep(0)

        assert not waiting.done()
        waiting.cancel()
        await store.wait_due(["other"], 0)

    on_store(scenario)


def test_a_closed_store_may_be_closed_again(on_store):
    """The fixture closes it once more."""

    async def scenario(store, clock):
        await store.append([owed(1)])
        await store.close()

    on_store(scenario)
