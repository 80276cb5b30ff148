"""`hookloop inbox` on a real file: list, show, replay, prune."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from hookloop.cli.app import app
from hookloop.ledger.delivery import Dead, Done, State
from hookloop.ledger.message import NewMessage
from hookloop.ledger.sqlite import SqliteStore
from hookloop.ledger.store import Selection


def typed(*arguments: str):
    return CliRunner().invoke(app, ["inbox", *arguments])


async def filled(path) -> None:
    store = SqliteStore(path)
    kinds = [("a.b", "one"), ("a.b", "two"), ("c.d", "three")]
    await store.append(
        [NewMessage("s", b'{"n": 1}', ("handler:app.f",), type=t, key=k) for t, k in kinds]
    )
    leases = await store.claim({"handler:app.f": 2}, limit=2, lease_seconds=30)
    await store.settle({leases[0].id: Dead("boom"), leases[1].id: Done()})
    await store.close()


async def states(path) -> list[State]:
    store = SqliteStore(path)
    found = await store.find(Selection(), limit=10)
    await store.close()
    return [one.state for one in found]


@pytest.fixture
def inbox(tmp_path):
    path = tmp_path / "hooks.db"
    asyncio.run(filled(path))
    return path, f"sqlite:///{path}"


def test_it_lists_counts_and_shows(inbox):
    """The dead one with its reason; its body only when asked for."""
    _, db = inbox

    rows = json.loads(typed("ls", "--db", db, "--type", "a.b", "--json").stdout)
    [dead] = json.loads(typed("dead", "--db", db, "--json").stdout)
    [stats] = json.loads(typed("stats", "--db", db, "--json").stdout)
    shown = json.loads(typed("show", str(dead["entry"]), "--db", db, "--body").stdout)

    assert [row["key"] for row in rows] == ["one", "two"]
    assert (dead["handler"], dead["detail"]) == ("app.f", "boom")
    assert (stats["owed"], stats["done"], stats["dead"]) == (1, 1, 1)
    assert shown["body"] == '{"n": 1}'
    assert shown["deliveries"][0]["history"][0]["result"] == "dead"
    assert "body" not in json.loads(typed("show", str(dead["entry"]), "--db", db).stdout)
    assert "--after" in typed("ls", "--db", db, "--limit", "1").stdout


def test_it_replays_what_fits_and_nothing_else(inbox):
    """The dead one is ready again, the done one stays."""
    path, db = inbox

    result = typed("replay", "--db", db, "--state", "dead", "--per-second", "5")

    assert result.stdout.startswith("1 to be run again")
    assert asyncio.run(states(path)) == [State.READY, State.DONE, State.READY]


def test_it_prunes(inbox):
    """What is settled goes, what is owed stays."""
    path, db = inbox

    assert typed("prune", "--db", db, "--done-days", "0", "--dead-days", "0").exit_code == 0
    assert asyncio.run(states(path)) == [State.READY]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("replay",), 2),
        (("ls", "--state", "lost"), 2),
        (("replay", "--state", "dead", "--per-second", "0"), 2),
        (("show", "99"), 1),
    ],
)
def test_what_cannot_be_meant_is_said(inbox, arguments, code):
    """All of it by mistake, a state there is not, a rate of nothing, an entry there is not."""
    assert typed(*arguments, "--db", inbox[1]).exit_code == code


def test_a_missing_inbox_is_not_made(tmp_path):
    """A typing error in a path must not look like an empty inbox."""
    result = typed("ls", "--db", f"sqlite:///{tmp_path}/none.db")

    assert result.exit_code == 2
    assert "no inbox" in result.stderr
    assert list(tmp_path.iterdir()) == []
