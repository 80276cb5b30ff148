"""What is SQLite's own: the file, the proof at its opening, the writer and its groups."""

import asyncio
import sqlite3
import threading

import apsw
import pytest

from hookloop.errors import ConfigError, LocalError, StoreError
from hookloop.ledger import group_commit, proof, sqlite
from hookloop.ledger.delivery import Done
from hookloop.ledger.message import NewMessage
from hookloop.ledger.numbered_steps import numbered_steps
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.sqlite_handle import Handle
from hookloop.ledger.steady_clock import SteadyClock
from hookloop.ledger.store import Selection
from hookloop.testing.clock import ManualClock

NEW = NewMessage("s", b"body", ("app",), key="k")


def with_store(path, scenario, **settings):
    async def main():
        store = SqliteStore(path, **settings)
        try:
            return await scenario(store)
        finally:
            await store.close()

    return asyncio.run(main())


# --- the file --------------------------------------------------------------------------------


def test_a_store_opened_again_has_it_all(tmp_path):
    """Closed or killed, the file is the ledger."""
    path = tmp_path / "ledger.db"
    with_store(path, lambda store: store.append([NEW]))

    async def look(store):
        [receipt] = await store.append([NEW])
        assert receipt.is_duplicate
        [lease] = await store.claim({"app": 1}, limit=1, lease_seconds=30)
        return lease.message.body

    assert with_store(path, look) == b"body"


def test_two_processes_may_share_a_file(tmp_path):
    """Two stores of one file see each other's work; no lease is given twice."""

    async def main():
        one, two = SqliteStore(tmp_path / "l.db"), SqliteStore(tmp_path / "l.db")
        news = [NewMessage("s", b"", ("app",)) for _ in range(40)]
        await asyncio.gather(*(store.append([new]) for new in news for store in (one, two)))
        leases = await asyncio.gather(
            *(
                store.claim({"app": 5}, limit=5, lease_seconds=30)
                for store in (one, two)
                for _ in range(10)
            )
        )
        await one.close()
        await two.close()
        return [lease.id for group in leases for lease in group]

    got = asyncio.run(main())
    assert len(got) == len(set(got)) == 80


def test_another_applications_database_is_not_touched(tmp_path):
    """Nothing is written into a file that is not ours."""
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE invoices (id)")
    theirs.close()

    with pytest.raises(ConfigError, match="something else"):
        SqliteStore(path)


def test_a_file_that_is_no_database_is_named(tmp_path):
    """And so is what to look at."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and longer than a header of a hundred bytes is " * 9)

    with pytest.raises(StoreError, match=r"notes\.txt cannot be opened"):
        SqliteStore(path)


def test_a_folder_is_not_a_file(tmp_path):
    """Said in words, not by an errno."""
    with pytest.raises(ConfigError, match="is a folder"):
        SqliteStore(tmp_path)


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    """Its tables mean what this version cannot know."""
    path = tmp_path / "ledger.db"
    with_store(path, lambda store: store.append([NEW]))
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()

    with pytest.raises(ConfigError, match="newer hookloop"):
        SqliteStore(path)


def test_a_migration_that_was_cut_off_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """A step and its number are one transaction: it happened, or it did not."""
    path = tmp_path / "ledger.db"
    *before, (number, script) = numbered_steps("schema")
    broken = "CREATE TABLE next (id); CREATE NONSENSE"
    monkeypatch.setattr(
        sqlite, "numbered_steps", lambda _: [*before, (number, script), (number + 1, broken)]
    )
    with pytest.raises(StoreError):
        SqliteStore(path)
    monkeypatch.setattr(
        sqlite,
        "numbered_steps",
        lambda _: [*before, (number, script), (number + 1, "CREATE TABLE next (id)")],
    )

    with_store(path, lambda store: store.append([NEW]))

    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (number + 1,)
    db.close()


# --- the proof -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "delete"), ("synchronous", "normal")]
)
def test_a_setting_that_loses_at_a_power_cut_is_refused(tmp_path, pragma, value):
    """What the connection answers counts, not what it was told."""
    connection = apsw.Connection(str(tmp_path / "l.db"))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.pragma(pragma, value)

    with pytest.raises(ConfigError, match="it needs wal and FULL"):
        proof.prove(connection, tmp_path / "l.db")
    connection.close()


def test_an_old_sqlite_is_refused(tmp_path, monkeypatch):
    """It can corrupt its log: no promise stands on it."""
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")

    with pytest.raises(ConfigError, match="upgrade apsw"):
        SqliteStore(tmp_path / "l.db")


@pytest.mark.parametrize("filesystem", ["nfs4", "cifs", "9p"])
def test_a_disk_of_another_machine_is_refused(tmp_path, monkeypatch, filesystem):
    """Its locks and flushes are somebody else's promises."""
    monkeypatch.setattr(proof, "filesystem_of", lambda _: filesystem)

    with pytest.raises(ConfigError, match="on a disk of this machine"):
        SqliteStore(tmp_path / "l.db")


def test_memory_that_looks_like_a_disk_is_taken_and_said(tmp_path, monkeypatch):
    """The exact loss: everything, when the machine stops."""
    monkeypatch.setattr(proof, "filesystem_of", lambda _: "tmpfs")

    async def durability(store):
        return store.durability

    said = with_store(tmp_path / "l.db", durability)

    assert (said.outlives_kill, said.outlives_power_loss) == (True, False)
    assert said.loss_window.startswith("everything, when the machine stops")


def test_a_real_disk_promises_all(tmp_path, monkeypatch):
    """And then there is no loss to speak of."""
    monkeypatch.setattr(proof, "filesystem_of", lambda _: "ext4")

    async def durability(store):
        return store.durability

    said = with_store(tmp_path / "l.db", durability)

    assert (said.outlives_kill, said.outlives_power_loss, said.loss_window) == (True, True, "")


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:5 / /dev rw - devtmpfs devtmpfs rw
24 22 0:40 / /mnt/my\\040share rw - nfs4 server:/x rw
25 22 0:41 / /srv rw - ext4 /dev/vdb rw
26 22 0:42 / /srv rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "filesystem"),
    [
        ("/home/me/l.db", "ext4"),
        ("/mnt/my share/l.db", "nfs4"),
        ("/srv/l.db", "tmpfs"),
        ("/srv2/l.db", "ext4"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(tmp_path, monkeypatch, path, filesystem):
    """Spaces are written in octal, and of two on one place the later one is seen."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(proof, "MOUNTS", mounts)

    assert proof.filesystem_of(proof.Path(path)) == filesystem


def test_a_system_that_does_not_tell_its_mounts_is_asked_no_further(tmp_path, monkeypatch):
    """macOS has no such file."""
    monkeypatch.setattr(proof, "MOUNTS", tmp_path / "none")

    assert proof.filesystem_of(tmp_path) == ""


# --- the writer ------------------------------------------------------------------------------


def writer(path, points=lambda _: None) -> group_commit.GroupCommit:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY)")
    handle = Handle(str(path), lambda: connection)
    return group_commit.GroupCommit(handle, name="t.db", points=points)


def insert(number):
    return lambda db: db.execute("INSERT INTO t VALUES (?)", (number,)) and number


def test_what_comes_during_a_commit_goes_into_the_next_together(tmp_path):
    """The second transaction is all of them: one flush for a hundred."""
    begun, may_commit = threading.Event(), threading.Event()
    commits = []

    def point(name):
        if name == "before commit":
            begun.set()
            may_commit.wait(10)
        if name == "after commit":
            commits.append(name)

    async def main():
        group = writer(tmp_path / "t.db", point)
        first = asyncio.ensure_future(group.run("a", insert(0)))
        await asyncio.to_thread(begun.wait, 10)
        rest = [asyncio.ensure_future(group.run("a", insert(n))) for n in range(1, 101)]
        await asyncio.sleep(0)
        may_commit.set()
        answers = await asyncio.gather(first, *rest)
        await asyncio.to_thread(group.close)
        return answers

    assert asyncio.run(main()) == list(range(101))
    assert len(commits) == 2


def test_one_bad_call_of_a_group_fails_alone(tmp_path):
    """The others of its transaction go through, each once."""
    begun, may_go_on = threading.Event(), threading.Event()

    def wait_for_the_others(db):
        begun.set()
        may_go_on.wait(10)
        return insert(1)(db)

    def raise_one(_db):
        raise ValueError("mine alone")

    async def main():
        group = writer(tmp_path / "t.db")
        works = [wait_for_the_others, insert(1), raise_one, insert(2)]
        calls = [asyncio.ensure_future(group.run("a", work)) for work in works]
        await asyncio.to_thread(begun.wait, 10)
        may_go_on.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.to_thread(group.close)
        return answers

    first, twice, raised, other = asyncio.run(main())
    assert (first, other) == (1, 2)
    assert isinstance(twice, LocalError)
    assert isinstance(raised, ValueError)


def test_a_full_disk_fails_all_and_heals_by_itself(tmp_path):
    """Nothing is acknowledged while it is full, and nothing has to be restarted after."""

    async def scenario(store):
        limit = lambda db: db.pragma("max_page_count", 40)  # noqa: E731  # a small disk
        await store._write("limit", lambda db, _: limit(db))
        big = NewMessage("s", b"x" * 1_000_000, ("app",), key="big")
        with pytest.raises(StoreError, match="nothing is acknowledged"):
            await store.append([big])
        await store.append([NEW])
        await store._write("limit", lambda db, _: db.pragma("max_page_count", 100_000))
        [receipt] = await store.append([big])
        assert not receipt.is_duplicate
        assert len(await store.find(Selection(), limit=10)) == 2

    with_store(tmp_path / "l.db", scenario)


def test_another_process_that_never_ends_its_transaction_is_an_error_in_time(tmp_path, monkeypatch):
    """A sender is told to come again while it still listens."""
    monkeypatch.setattr("hookloop.ledger.sqlite.BUSY_SECONDS", 0.01)
    path = tmp_path / "l.db"

    async def scenario(store):
        # By apsw too: locks of two SQLite libraries in one process do not see each other.
        hog = apsw.Connection(str(path))
        hog.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="BusyError"):
            await store.append([NEW])
        hog.execute("ROLLBACK")
        hog.close()
        [receipt] = await store.append([NEW])
        assert not receipt.is_duplicate

    with_store(path, scenario)


def test_too_many_waiting_calls_are_refused_at_once(tmp_path, monkeypatch):
    """A disk that hangs fills no memory."""
    monkeypatch.setattr(group_commit, "QUEUE_MAX", 1)
    begun, may_go_on = threading.Event(), threading.Event()

    def hang(_db):
        begun.set()
        may_go_on.wait(10)

    async def main():
        group = writer(tmp_path / "t.db")
        hanging = asyncio.ensure_future(group.run("a", hang))
        await asyncio.to_thread(begun.wait, 10)
        waiting = asyncio.ensure_future(group.run("a", insert(1)))
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match="come again"):
            await group.run("a", insert(2))
        may_go_on.set()
        await hanging
        assert await waiting == 1
        await asyncio.to_thread(group.close)

    asyncio.run(main())


def test_a_closed_store_says_so(tmp_path):
    """To writers and readers alike; a second close is nothing."""

    async def main():
        store = SqliteStore(tmp_path / "l.db")
        await store.close()
        await store.close()
        with pytest.raises(StoreError, match="closed"):
            await store.append([NEW])
        with pytest.raises(StoreError, match="cannot be read"):
            await store.find(Selection(), limit=1)

    asyncio.run(main())


def test_what_was_asked_for_before_the_close_is_done(tmp_path):
    """Whoever waits for an answer still gets it."""
    path = tmp_path / "l.db"

    async def main():
        store = SqliteStore(path)
        asked = [asyncio.ensure_future(store.append([NEW])) for _ in range(10)]
        await asyncio.sleep(0)
        await store.close()
        return await asyncio.gather(*asked)

    assert sum(not receipt.is_duplicate for [receipt] in asyncio.run(main())) == 1


def test_a_caller_that_is_cancelled_breaks_nothing(tmp_path):
    """Its call may happen; those beside it are answered."""

    async def scenario(store):
        gone = asyncio.ensure_future(store.append([NEW]))
        stays = asyncio.ensure_future(store.append([NewMessage("s", b"", ("app",))]))
        await asyncio.sleep(0)
        gone.cancel()
        [receipt] = await stays
        assert await store.message(receipt.message) is not None

    with_store(tmp_path / "l.db", scenario)


# --- the clock -------------------------------------------------------------------------------


def test_a_restart_does_not_go_back_before_what_is_on_record(tmp_path):
    """A clock that was an hour ahead made records; what follows them is not earlier."""
    path, ahead = tmp_path / "l.db", ManualClock()
    ahead.advance(3600)

    async def work(store):
        await store.append([NEW])
        [lease] = await store.claim({"app": 1}, limit=1, lease_seconds=30)
        await store.settle({lease.id: Done()})

    with_store(path, work, clock=ahead)

    async def look(store):
        [receipt] = await store.append([NewMessage("s", b"", ("app",))])
        return (await store.message(receipt.message)).received_at

    assert with_store(path, look, clock=ManualClock()) == ahead.wall()


def test_time_goes_on_at_its_own_pace_until_the_wall_clock_is_ahead():
    """Back by an hour: a second is still a second; forward: along with it."""
    clock = ManualClock(1000.0)
    steady = SteadyClock(clock)
    clock.set_wall(0.0)
    clock.advance(5)
    assert steady.now() == 1005.0
    clock.set_wall(2000.0)

    assert steady.now() == 2000.0
