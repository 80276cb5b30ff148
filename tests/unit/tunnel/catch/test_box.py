"""The box with an app that is no app: requests in, ordered deliveries out."""

import asyncio
import functools
from dataclasses import replace

import pytest
from patience import PATIENCE, TEST_PATIENCE

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError, StoreError
from hookloop.exchange import RequestHead
from hookloop.ledger.memory import MemoryStore
from hookloop.ledger.store import Retention, Selection
from hookloop.tunnel.catch import box as box_module
from hookloop.tunnel.catch.box import Answered, Broken, CatchBox, Down
from hookloop.tunnel.catch.file import CatchFile, default_folder
from hookloop.tunnel.catch.observer import (
    Caught,
    Delivered,
    Delivering,
    Left,
    NotCaught,
    Postponed,
)
from hookloop.tunnel.catch.rules import CatchRules
from hookloop.tunnel.wire.messages import Request


class App:
    """Down until it is up; answers by a list, the last of which stays."""

    def __init__(self, *answers) -> None:
        self.up = False
        self.probes = 0
        self.answers = list(answers) or [Answered(200)]
        self.got: list[bytes] = []
        self.requests: list[Request] = []

    async def is_up(self) -> bool:
        self.probes += 1
        return self.up

    async def send(self, request, body):
        self.got.append(body)
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Watching(list):
    def catch_event(self, event) -> None:
        self.append(event)

    def of(self, kind) -> list:
        return [event for event in self if isinstance(event, kind)]


def request(number: int = 0) -> Request:
    head = RequestHead(b"POST", b"/hook/%d" % number, ((b"Host", b"shop.tun.test"),))
    return Request("shop", "203.0.113.9:443", head)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Waits that a test does not notice."""
    monkeypatch.setattr(box_module, "FIRST_PROBE_SECONDS", 0.001)
    monkeypatch.setattr(box_module, "LONGEST_PROBE_SECONDS", 0.004)
    monkeypatch.setattr("hookloop.tunnel.catch.rules.FIRST_RETRY_SECONDS", 0.001)
    settings = box_module.WorkerSettings(
        attempts_at_once=1, target_attempts_at_once=1, poll_seconds=0.002, crashes_max=0
    )
    monkeypatch.setattr(box_module, "SETTINGS", settings)


async def until(condition) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while not condition():
            tick = asyncio.Event()
            loop.call_later(0.001, tick.set)
            await tick.wait()


def with_box(*, app=None, store=None, rules=None):
    """Run a test with an open box, its app and its events; the box is running."""

    def decorate(test):
        @functools.wraps(test)
        def run():
            async def main() -> None:
                the_app = app() if app else App()
                watching = Watching()
                box = CatchBox(
                    store() if store else MemoryStore(),
                    "shop",
                    the_app,
                    rules or CatchRules(),
                    clock=SystemClock(),
                    observer=watching,
                )
                running = asyncio.ensure_future(box.run())
                await box.wait_looked()
                try:
                    async with asyncio.timeout(TEST_PATIENCE):
                        await test(box, the_app, watching)
                finally:
                    assert not running.done()
                    running.cancel()
                    await asyncio.wait([running])

            asyncio.run(main())

        del run.__wrapped__  # pytest would take the test's arguments for fixtures
        return run

    return decorate


@with_box()
async def test_what_is_caught_is_delivered_in_order_when_the_app_is_back(box, app, watching):
    """Answered 202 at once, delivered one after the other later, bytes and head as they came."""
    for number in range(5):
        head = await box.catch(request(number), b"body %d" % number)
        assert head.status == 202
    assert (app.got, box.has_line, box.statistics().waiting) == ([], True, 5)

    app.up = True
    await until(lambda: not box.has_line)

    assert app.got == [b"body %d" % number for number in range(5)]
    assert [sent.head.target for sent in app.requests] == [b"/hook/%d" % n for n in range(5)]
    assert app.requests[0].remote == "203.0.113.9:443"
    assert app.requests[0].head.get(b"hookloop-caught-at").endswith(b"Z")
    assert [event.waiting for event in watching.of(Caught)] == [1, 2, 3, 4, 5]
    assert [event.waiting for event in watching.of(Delivering)] == [5]
    assert [(e.status, e.waiting) for e in watching.of(Delivered)] == [
        (200, left) for left in (4, 3, 2, 1, 0)
    ]
    assert box.statistics().delivered == 5


@with_box()
async def test_new_ones_queue_behind_while_old_ones_wait(box, app, watching):
    """Also when the app is just back: the line is over when it is empty."""
    await box.catch(request(), b"old")
    first_sent, may_answer = asyncio.Event(), asyncio.Event()

    async def send(_request, body):
        app.got.append(body)
        first_sent.set()
        await may_answer.wait()
        return Answered(200)

    app.send = send
    app.up = True
    await first_sent.wait()
    assert box.has_line
    await box.catch(request(), b"new")
    may_answer.set()
    await until(lambda: not box.has_line)

    assert app.got == [b"old", b"new"]


@with_box(app=lambda: App(Answered(500), Broken("it broke off"), Answered(429), Answered(200)))
async def test_a_fault_keeps_its_place_and_is_tried_again(box, app, watching):
    """5xx, a broken answer and "later" are no end; nobody overtakes."""
    await box.catch(request(1), b"first")
    await box.catch(request(2), b"second")
    app.up = True
    await until(lambda: not box.has_line)

    assert app.got == [b"first"] * 4 + [b"second"]
    reasons = [event.reason for event in watching.of(Postponed)]
    assert reasons == ["the app answered 500", "it broke off", "the app answered 429"]


@with_box(app=lambda: App(Answered(400, "no signature"), Answered(200)))
async def test_a_4xx_settles_it_and_is_on_record(box, app, watching):
    """It would be 400 for ever; a person may replay it."""
    await box.catch(request(1), b"first")
    await box.catch(request(2), b"second")
    app.up = True
    await until(lambda: not box.has_line)

    assert app.got == [b"first", b"second"]
    assert [event.is_taken for event in watching.of(Delivered)] == [False, True]

    async def is_recorded():
        found = await box._store.find(Selection(), limit=10)
        return [(d.state.value, d.detail) for d in found]

    while await is_recorded() != [("dead", "400 no signature"), ("done", "200")]:  # noqa: ASYNC110
        await asyncio.sleep(0)


@with_box(app=lambda: App(Down("connection refused"), Answered(200)))
async def test_an_app_that_goes_down_again_is_waited_for_again(box, app, watching):
    """By its port, not by trying a request every time."""
    await box.catch(request(), b"body")
    app.up = True

    await until(lambda: watching.of(Postponed))
    await until(lambda: not box.has_line)

    [postponed] = watching.of(Postponed)
    assert (postponed.reason, postponed.retry_seconds) == ("connection refused", None)
    assert app.got == [b"body", b"body"]


@with_box()
async def test_a_bug_of_ours_loses_nothing(box, app, watching):
    """An app that raises is one that gave no answer; a catch that raises is a 503."""
    send, answers = app.send, []

    async def raise_once(request, body):
        app.send = send
        raise KeyError("bug")

    app.send = raise_once
    await box.catch(request(), b"body")
    app.up = True
    await until(lambda: not box.has_line)

    assert app.got == [b"body"]
    assert [event.reason for event in watching.of(Postponed)] == ["KeyError"]

    box._store.append = None
    box.catch_soon(request(), b"body", answers.append)
    await until(lambda: answers)
    assert [head.status for head in answers] == [503]
    await until(lambda: not box.has_line)  # counted anew


@with_box()
async def test_what_a_later_version_cannot_read_holds_up_nobody(box, app, watching):
    """It is dead, and on record; the others go on."""
    await box.catch(request(), b"first")
    await box.catch(request(), b"second")
    first = box._store._messages[1]
    box._store._messages[1] = replace(first, head=b"from another age")
    app.up = True
    await until(lambda: not box.has_line)

    assert app.got == [b"second"]
    assert (await box._store.tally("shop")).dead == 1


class FullDisk(MemoryStore):
    """Takes nothing while it is full."""

    is_full = True
    hangs = False

    async def append(self, messages):
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_full:
            raise StoreError("the disk is full")
        return await super().append(messages)


@with_box(store=FullDisk)
async def test_what_is_not_on_the_disk_is_never_answered_2xx(box, app, watching):
    """503 with Retry-After: its sender comes again. And the line is not blocked by it."""
    head = await box.catch(request(), b"lost?")
    assert (head.status, head.get(b"retry-after")) == (503, b"30")
    assert watching.of(NotCaught)[0].reason == "the disk is full"

    app.up = True
    await until(lambda: not box.has_line)  # counted anew: nothing is there
    box._store.is_full = False
    assert (await box.catch(request(), b"kept")).status == 202
    await until(lambda: app.got == [b"kept"])


@with_box(store=FullDisk)
async def test_a_disk_that_is_too_slow_is_a_503_in_time(box, app, watching):
    """The sender still listens when we say so."""
    box._store.hangs = True
    box_module.COMMIT_SECONDS, before = 0.01, box_module.COMMIT_SECONDS
    try:
        head = await box.catch(request(), b"slow")
    finally:
        box_module.COMMIT_SECONDS = before

    assert head.status == 503
    assert watching.of(NotCaught)[0].reason == "the disk is too slow"


@with_box(rules=CatchRules(requests_max=2))
async def test_a_full_line_takes_no_more_and_says_so(box, app, watching):
    """By number..."""
    statuses = [(await box.catch(request(), b"x")).status for _ in range(3)]

    assert statuses == [202, 202, 503]
    assert "2 requests are waiting" in watching.of(NotCaught)[0].reason


@with_box(rules=CatchRules(body_bytes_max=100, bytes_max=150))
async def test_a_line_of_too_many_bytes_takes_no_more(box, app, watching):
    """... and by size."""
    statuses = [(await box.catch(request(), b"x" * 50)).status for _ in range(2)]

    assert statuses == [202, 503]
    assert "bytes are waiting" in watching.of(NotCaught)[0].reason


def test_what_was_delivered_is_forgotten_in_time(monkeypatch):
    """Also where nothing more comes: it holds what customers typed."""
    monkeypatch.setattr(box_module, "PRUNE_SECONDS", 0.001)
    monkeypatch.setattr(box_module, "RETENTION", Retention(done_seconds=-1.0))

    @with_box()
    async def scenario(box, app, watching):
        app.up = True
        await box.catch(request(), b"card number")
        await until(lambda: not box.has_line)
        while await box._store.find(Selection(), limit=1):  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)

    scenario()


def box_of(file: CatchFile, app: App, watching=None) -> CatchBox:
    return CatchBox(
        file.store,
        "shop",
        app,
        CatchRules(),
        clock=SystemClock(),
        observer=Watching() if watching is None else watching,
    )


def test_what_was_caught_outlives_the_process(tmp_path):
    """A new box on the same file finds its line, and a lease that a dead one held."""

    async def first_life():
        file = CatchFile(tmp_path, "http://localhost:3000", clock=SystemClock())
        box = box_of(file, App())
        for number in range(3):
            await box.catch(request(number), b"%d" % number)
        await file.store.claim({"shop": 1}, limit=1, lease_seconds=3600)
        await file.close()

    async def second_life():
        file = CatchFile(tmp_path, "http://localhost:3000", clock=SystemClock())
        app = App()
        app.up = True
        watching = Watching()
        box = box_of(file, app, watching)
        assert box.has_line  # until it has looked, whoever comes is behind what may be there
        running = asyncio.ensure_future(box.run())
        await until(lambda: not box.has_line)
        assert box.statistics().delivered == 3
        assert watching[0] == Left(3)
        running.cancel()
        await asyncio.wait([running])
        await file.close()
        return app.got

    asyncio.run(first_life())
    assert asyncio.run(second_life()) == [b"0", b"1", b"2"]


def test_one_process_at_a_time(tmp_path):
    """Two would deliver everything twice, and out of order."""
    file = CatchFile(tmp_path, "http://localhost:3000", clock=SystemClock())

    with pytest.raises(ConfigError, match="another process catches"):
        CatchFile(tmp_path, "http://localhost:3000", clock=SystemClock())
    other = CatchFile(tmp_path, "http://localhost:4000", clock=SystemClock())

    asyncio.run(other.close())
    asyncio.run(file.close())
    asyncio.run(CatchFile(tmp_path, "http://localhost:3000", clock=SystemClock()).close())


def test_what_is_caught_is_private(tmp_path):
    """Nobody else of the machine reads what customers typed."""
    folder = tmp_path / "catch"
    asyncio.run(CatchFile(folder, "a", clock=SystemClock()).close())

    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """And what to do about it."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="name another folder"):
        CatchFile(tmp_path / "file" / "catch", "a", clock=SystemClock())


def test_the_folder_is_where_state_belongs(monkeypatch, tmp_path):
    """By the XDG rules, or below the home."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "hookloop" / "catch"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".local" / "state" / "hookloop" / "catch"
