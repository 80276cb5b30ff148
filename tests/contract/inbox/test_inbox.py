"""What an inbox promises its user, on every backend."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import apsw
import pytest
from inbox_events import SECRET, WAIT_SECONDS, Seen, body_of, send, signed

from hookloop import Drop, Event, Hooks, Reject, Reply, Retry
from hookloop.errors import ConfigError
from hookloop.inbox import Inbox, InboxSettings
from hookloop.inbox.admin import each_run, show
from hookloop.inbox.backend import MemoryBackend
from hookloop.inbox.entry import headers_of
from hookloop.ledger.delivery import State
from hookloop.ledger.store import Selection
from hookloop.schedule import RetrySchedule


def runs_of(hooks: Hooks, wanted=lambda runs: all(run.delivery.state.is_settled for run in runs)):
    """Return what is kept at the inbox of *hooks*, once it is as *wanted*."""

    async def look():
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                runs = [run async for run in each_run(hooks.inbox._store, Selection())]
                if wanted(runs):
                    return runs
                await hooks.inbox._store.wait_due((), 0.05)  # at once, and nobody writes

    return hooks.inbox._home.submit(look()).result(WAIT_SECONDS)


def test_an_accepted_event_is_handled_afterwards(hooks_at):
    """The sender hears accepted; sync and async handlers run, with the event as it was sent."""
    hooks, seen = hooks_at(), Seen()
    hooks.on("customer.updated")(lambda event: seen(("sync", event.id, event.raw)))

    @hooks.on("customer.updated")
    async def asynchronous(event):
        seen(("async", event.id, event.raw))

    result = send(hooks, body_of(1))

    assert (result.status, result.outcome) == (200, "accepted")
    raw = body_of(1)
    assert sorted(seen.wait(2)) == [("async", "evt_1", raw), ("sync", "evt_1", raw)]


def test_a_duplicate_is_answered_and_runs_nothing(hooks_at):
    """Also one that comes while the first is being handled, and a thin event's twin."""
    hooks, seen = hooks_at(), Seen()
    hooks.on_any(lambda event: seen(event.id))

    first = send(hooks, body_of(1))
    again = send(hooks, body_of(1))
    twin = send(hooks, body_of(2, snapshot_event="evt_1"))
    other_account = send(hooks, body_of(1, account="acct_2"))

    outcomes = [result.outcome for result in (first, again, twin, other_account)]
    assert outcomes == ["accepted", "duplicate", "duplicate", "accepted"]
    runs_of(hooks)
    assert seen.done == ["evt_1", "evt_1"]


def test_what_is_kept_can_be_verified_again(hooks_at):
    """The raw bytes, and the signature's header; a credential of the request is not kept."""
    hooks = hooks_at()
    hooks.on_any(lambda event: None)
    body = body_of(1)
    hooks.receive(body, {**signed(body), "Authorization": "Bearer x", "X-Trace": "7"})

    [run] = runs_of(hooks)

    headers = dict(headers_of(run.message))
    assert run.message.body == body
    assert headers["x-trace"] == "7"
    assert "authorization" not in headers
    assert Hooks(SECRET).receive(body, headers).status == 200


def test_what_nobody_signed_is_not_kept(hooks_at):
    """Verification comes first: a stranger cannot fill the disk."""
    hooks, seen = hooks_at(), Seen()
    hooks.on_any(lambda event: seen(event.id))
    body = body_of(1)

    assert hooks.receive(body, signed(b"other")).status == 400
    assert send(hooks, body_of(2)).status == 200
    assert len(runs_of(hooks)) == 1


def test_an_event_that_nobody_listens_for_is_ignored(hooks_at):
    """It is answered 200, and nothing is kept."""
    hooks = hooks_at()
    hooks.on("invoice.paid")(lambda event: None)

    assert send(hooks, body_of(1)).outcome == "ignored"
    assert send(hooks, body_of(2, type_="invoice.paid")).outcome == "accepted"
    assert len(runs_of(hooks)) == 1


def test_a_retry_runs_only_the_handler_that_failed(hooks_at):
    """Each handler's run is kept by itself."""
    hooks, seen = hooks_at(), Seen()
    hooks.on_any(lambda event: seen("well"))
    left = [ValueError("no"), Retry(), Retry(after=0.0)]

    @hooks.on_any
    def failing(event):
        seen("failing")
        if left:
            raise left.pop(0)

    send(hooks, body_of(1))

    runs = runs_of(hooks)
    assert sorted(seen.done) == ["failing"] * 4 + ["well"]
    assert sorted(run.delivery.attempts for run in runs) == [1, 4]
    assert {run.delivery.state for run in runs} == {State.DONE}


@pytest.mark.parametrize(
    ("word", "detail"),
    [(Reject("no such shop"), "rejected: no such shop"), (Drop("too old"), "dropped: too old")],
)
def test_what_a_handler_gives_up_is_dead_at_once(hooks_at, word, detail):
    """Returned or raised, with its reason."""
    hooks = hooks_at()
    hooks.on_any(lambda event: word)

    send(hooks, body_of(1))

    [run] = runs_of(hooks)
    assert (run.delivery.state, run.delivery.attempts) == (State.DEAD, 1)
    assert run.delivery.detail == detail


def test_a_handler_that_fails_to_the_end_is_dead_and_can_be_replayed(hooks_at):
    """What it raised is named with its place, and not with its text, which may be a payload."""
    hooks, seen = hooks_at(InboxSettings(schedule=RetrySchedule((0.0,)))), Seen()
    broken = [True]

    @hooks.on_any
    def failing(event):
        if broken:
            raise ValueError("4242 4242 4242 4242")
        seen(event.id)

    send(hooks, body_of(1))
    [run] = runs_of(hooks)
    broken.clear()
    replayed = hooks.inbox._home.submit(hooks.inbox._store.replay(Selection())).result(WAIT_SECONDS)

    assert run.delivery.state is State.DEAD
    assert run.delivery.attempts == 2
    assert run.delivery.detail.startswith("ValueError at test_inbox.py:")
    assert "4242" not in run.delivery.detail
    assert replayed == 1
    assert seen.wait(1) == ["evt_1"]


def test_a_handler_that_asks_for_retries_for_ever_is_given_up(hooks_at):
    """Its seconds are its own; how often is the schedule's."""
    hooks = hooks_at(InboxSettings(schedule=RetrySchedule((9e3, 9e3))))
    hooks.on_any(lambda event: Retry(after=0.0))

    send(hooks, body_of(1))

    [run] = runs_of(hooks)
    assert (run.delivery.state, run.delivery.attempts) == (State.DEAD, 3)


def test_a_sender_that_waits_for_the_answer_gets_it(hooks_at):
    """Such an event is handled at once: an answer cannot be given later."""
    hooks = hooks_at()

    @hooks.on("issuing_authorization.request")
    def authorise(event):
        return Reply({"approved": True})

    result = send(hooks, body_of(1, type_="issuing_authorization.request"))

    assert (result.outcome, result.body) == ("handled", b'{"approved": true}')


def test_a_filter_is_asked_before_anything_is_kept(hooks_at):
    """What it drops is not kept, what it changes is handled as changed."""
    hooks, seen = hooks_at(), Seen()
    hooks.on_any(lambda event: seen(event.payload.get("note")))

    @hooks.filter
    def changed(event):
        if event.id == "evt_1":
            return None
        return type(event)({**event.payload, "note": "x"}, event.raw, id=event.id, type=event.type)

    assert send(hooks, body_of(1)).outcome == "ignored"
    assert send(hooks, body_of(2)).outcome == "accepted"
    assert seen.wait(1) == ["x"]
    [run] = runs_of(hooks)
    assert run.message.body == body_of(2)


def test_many_threads_and_loops_share_an_inbox(hooks_at):
    """Each event of each of them is handled once."""
    hooks, seen = hooks_at(), Seen()
    hooks.on_any(lambda event: seen(event.id))

    def one_loop(first: int) -> list[str]:
        async def main():
            results = await asyncio.gather(
                *(hooks.areceive(body_of(n), signed(body_of(n))) for n in range(first, first + 20))
            )
            return [result.outcome for result in results]

        return asyncio.run(main())

    with ThreadPoolExecutor(4) as pool:
        loops = list(pool.map(one_loop, (0, 100, 100, 200)))
        single = list(pool.map(lambda n: send(hooks, body_of(n)).outcome, range(300, 320)))

    outcomes = sum(loops, single)
    assert (outcomes.count("accepted"), outcomes.count("duplicate")) == (80, 20)
    assert len(seen.wait(80)) == len(set(seen.done)) == 80


def test_all_about_an_entry_can_be_shown(hooks_at):
    """Its handlers, by the names of their functions, and each attempt."""
    hooks = hooks_at()

    @hooks.on_any
    def noted(event): ...

    send(hooks, body_of(1))
    [run] = runs_of(hooks)
    view = hooks.inbox._home.submit(show(hooks.inbox._store, run.message.id)).result(WAIT_SECONDS)

    shown = view.to_dict()
    assert (shown["type"], shown["key"], shown["source"]) == (
        "customer.updated",
        "evt_1",
        "stripe/-/test",
    )
    [delivery] = shown["deliveries"]
    assert delivery["target"].endswith("noted")
    assert [attempt["result"] for attempt in delivery["history"]] == ["done"]
    assert hooks.inbox.statistics().results == {"done": 1}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:hooks.db", "mysql://x/y", "hooks.db"])
def test_a_url_that_names_no_inbox_is_refused(url):
    """With the ones that do."""
    with pytest.raises(ConfigError, match=r"sqlite:///hooks\.db"):
        Inbox(url)


def test_the_events_of_an_object_are_handled_one_at_a_time_and_the_oldest_first(hooks_at):
    """By their second; within it what begins the object is first and what ends it last."""
    hooks, seen, may_go = hooks_at(), Seen(), threading.Event()
    types = ("customer.created", "customer.updated", "customer.deleted")

    @hooks.on(*types, order="object")
    def ordered(event):
        seen(event.id)
        assert may_go.wait(WAIT_SECONDS)

    hooks.on("customer.deleted")(lambda event: seen("unordered"))

    send(hooks, body_of(1, created=50))
    seen.wait(1)
    send(hooks, body_of(2, type_="customer.deleted", created=9))
    send(hooks, body_of(3, created=9))
    send(hooks, body_of(4, type_="customer.created", created=9))
    send(hooks, body_of(5, created=7))
    send(hooks, body_of(6, object_id="cus_2", created=99))
    assert sorted(seen.wait(3)) == ["evt_1", "evt_6", "unordered"]
    may_go.set()

    seen.wait(7)
    mine = [one for one in seen.done if one not in ("evt_6", "unordered")]
    assert mine == ["evt_1", "evt_5", "evt_4", "evt_3", "evt_2"]


def test_fresh_fetches_once_for_all_that_wait(hooks_at, monkeypatch):
    """The first is handed the object as it is now; what had come before the fetch is covered."""
    hooks, seen, may_go = hooks_at(), Seen(), threading.Event()
    fetches = []

    def fetch(event):
        fetches.append(event.id)
        if len(fetches) == 1:
            raise ConnectionError
        assert may_go.wait(WAIT_SECONDS)
        return {"id": "cus_1", "fetch": len(fetches)}

    monkeypatch.setattr(Event, "fetch", fetch)
    gate = threading.Event()

    @hooks.on("customer.updated", order="object", fresh=True)
    def synced(event):
        seen((event.id, event.object["fetch"]))
        assert gate.wait(WAIT_SECONDS)

    send(hooks, body_of(1))
    may_go.set()
    assert seen.wait(1) == [("evt_1", 2)]
    for number in (2, 3, 4):
        send(hooks, body_of(number, created=number))
    gate.set()

    runs_of(hooks)
    assert fetches == ["evt_1", "evt_1", "evt_2"]
    assert seen.done == [("evt_1", 2), ("evt_2", 3)]


def test_fresh_needs_an_order():
    """Without one at a time there is nothing to share a fetch with."""
    with pytest.raises(ConfigError, match="order='object'"):
        Hooks(SECRET).on("customer.updated", fresh=True)


def test_an_idempotency_key_is_the_same_at_each_attempt_and_for_a_twin():
    """And another one for another handler, event, account or mode."""

    def handler(event): ...

    def event_with(**fields):
        payload = {"id": "evt_1", "type": "x", **fields}
        return Event(payload, b"", id=payload["id"], type="x")

    keys = [
        event_with().idempotency_key(handler),
        event_with().idempotency_key("other"),
        event_with(id="evt_2").idempotency_key(handler),
        event_with(account="acct_1").idempotency_key(handler),
        event_with(livemode=True).idempotency_key(handler),
    ]
    twin = event_with(id="evt_9", snapshot_event="evt_1")

    assert len(set(keys)) == 5
    assert twin.idempotency_key(handler) == keys[0]
    assert all(len(key) < 255 for key in keys)


def test_a_store_that_cannot_is_a_503_within_three_seconds(tmp_path):
    """Another process holds the file locked: nothing is acknowledged, and it heals by itself."""
    hooks = Hooks(SECRET, inbox=f"sqlite:///{tmp_path}/hooks.db")
    seen = Seen()
    hooks.on_any(lambda event: seen(event.id))
    assert send(hooks, body_of(1)).outcome == "accepted"
    seen.wait(1)
    other = apsw.Connection(str(tmp_path / "hooks.db"))
    other.set_busy_timeout(10_000)
    other.execute("BEGIN IMMEDIATE")

    started = time.monotonic()
    refused = send(hooks, body_of(2))
    took = time.monotonic() - started
    other.execute("ROLLBACK")
    other.close()

    assert (refused.status, refused.outcome) == (503, "unavailable")
    assert dict(refused.headers)["Retry-After"] == "10"
    assert took < 3.5
    assert send(hooks, body_of(2)).status == 200
    assert seen.wait(2) == ["evt_1", "evt_2"]
    hooks.inbox.stop()


def test_a_store_that_cannot_be_opened_is_a_503_until_it_can(tmp_path):
    """The folder is not there yet, as before a disk is mounted."""
    hooks = Hooks(SECRET, inbox=f"sqlite:///{tmp_path}/disk/hooks.db")
    hooks.on_any(lambda event: None)

    assert send(hooks, body_of(1)).status == 503
    (tmp_path / "disk").mkdir()
    assert send(hooks, body_of(1)).outcome == "accepted"
    hooks.inbox.stop()


def test_a_database_is_an_inbox_as_a_url_is():
    """Nothing is wrapped by hand, as long as no settings are wanted."""
    hooks, seen = Hooks(secrets=SECRET, inbox=MemoryBackend()), Seen()
    hooks.on("customer.updated")(lambda event: seen(event.id))
    try:
        assert send(hooks, body_of(1)).outcome == "accepted"
        assert seen.wait(1) == ["evt_1"]
    finally:
        hooks.inbox.stop()
