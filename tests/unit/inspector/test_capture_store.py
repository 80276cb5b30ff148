"""The store of captures: what is kept is found, and what is too much goes."""

import stat
from pathlib import Path

import apsw
import pytest
from captures import NOW, captured, event

from hookloop.errors import ConfigError
from hookloop.exchange import Objection
from hookloop.inspector import CaptureStore, parse_query

EVERY_BYTE = bytes(range(256)) * 3


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path: Path):
    made = CaptureStore(tmp_path / "captures.db" if request.param == "file" else None)
    yield made
    made.close()


def ids(store: CaptureStore, text: str, **more) -> list[str]:
    return [one.event_id for one in store.find(parse_query(text, now=NOW), **more).items]


def test_an_exchange_comes_back_bit_for_bit(store):
    """Heads keep order, case, duplicates and bytes beyond ASCII; bodies every byte."""
    headers = ((b"X-Two", b"1"), (b"x-two", b"\xff\xfe"), (b"X-Two", b""))
    kept = captured(
        1,
        headers=headers,
        body=EVERY_BYTE,
        answer=EVERY_BYTE[::-1],
        failure="cut",
        objection=Objection(403, "ip_refused", "no", ("because",)),
        is_exact=True,
        origin="cap_1",
        note="method",
        redacted=("header:cookie",),
    )

    store.add([kept], now=NOW)

    assert store.get(kept.id) == kept


def test_an_unknown_id_is_none(store):
    """Whoever asks for what has gone is told so."""
    assert store.get("cap_none") is None


def test_pages_go_back_in_time(store):
    """Each page says where the next begins; the last one says that it is the last."""
    store.add([captured(number) for number in range(1, 6)], now=NOW)

    first = store.find(limit=2)
    second = store.find(limit=2, before=first.before)
    last = store.find(limit=2, before=second.before)

    assert [one.event_id for one in first.items] == ["evt_5", "evt_4"]
    assert [one.event_id for one in second.items] == ["evt_3", "evt_2"]
    assert ([one.event_id for one in last.items], last.before) == (["evt_1"], None)
    assert [one.event_id for one in store.find(after=first.items[1].seq).items] == ["evt_5"]


@pytest.mark.parametrize("is_indexed", [False, True], ids=["before the index", "indexed"])
def test_text_is_found_whether_it_is_indexed_yet_or_not(store, is_indexed):
    """The index comes later; what it does not know is read."""
    store.add([captured(1, body=event(1, note='Grüße "you"')), captured(2)], now=NOW)
    while is_indexed and store.index_some():
        pass

    # json.dumps wrote the u-umlaut as an escape, and the quotes too
    assert ids(store, 'body:"note"') == ["evt_1"]
    assert ids(store, "-body:note") == ["evt_2"]
    assert ids(store, "body:no") == ["evt_1"]
    assert ids(store, "user-agent") == []
    assert ids(store, "header:user-agent=stripe body:evt_2") == ["evt_2"]
    assert store.count(parse_query("body:invoice", now=NOW)) == 2


def test_what_is_found_goes_with_what_is_deleted(store):
    """Neither list, nor index, nor size remember it."""
    store.add([captured(number) for number in (1, 2, 3)], now=NOW)
    store.index_some()
    first = store.find(limit=1).items[0]

    assert store.delete([first.id, "cap_none"]) == 1
    assert ids(store, "body:evt_") == ["evt_2", "evt_1"]
    assert store.delete_all() == 2
    assert (store.count(), store.stored_bytes, ids(store, "body:evt_")) == (0, 0, [])


def test_the_oldest_leave_when_there_is_no_more_room(tmp_path):
    """`max_bytes` holds, and what is newest stays."""
    store = CaptureStore(tmp_path / "c.db", max_bytes=50_000)
    for number in range(1, 101):
        store.add([captured(number, answer=b"x" * 2000)], now=NOW)

    assert store.stored_bytes <= 50_000
    assert 10 < store.count() < 20
    assert store.find(limit=1).items[0].event_id == "evt_100"
    store.close()


def test_what_is_too_old_leaves(store):
    """Though nothing new comes."""
    store.add([captured(1), captured(2)], now=NOW)

    store.make_room(now=NOW + 1.5 + store.max_age_seconds)

    assert ids(store, "") == ["evt_2"]


def test_captures_outlive_the_process(tmp_path):
    """A store that is opened again has all it had, and knows its size."""
    path = tmp_path / "deep" / "captures.db"
    store = CaptureStore(path)
    store.add([captured(1)], now=NOW)
    size = store.stored_bytes
    store.close()

    again = CaptureStore(path)

    assert (again.count(), again.stored_bytes) == (1, size)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again.close()


def test_a_database_of_something_else_is_not_touched(tmp_path):
    """Nor one of a newer hookloop."""
    path = tmp_path / "other.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE mine (x)")
    other.close()

    with pytest.raises(ConfigError, match="something else"):
        CaptureStore(path)

    newer = tmp_path / "newer.db"
    CaptureStore(newer).close()
    connection = apsw.Connection(str(newer))
    connection.pragma("user_version", 99)
    connection.close()
    with pytest.raises(ConfigError, match="newer hookloop"):
        CaptureStore(newer)


def test_facets_count_what_there_is(store):
    """For the choices beside a search box."""
    store.add([captured(1), captured(2, tunnel="api", body=b"x")], now=NOW)

    facets = store.facets()

    assert facets["tunnel"] == [("api", 1), ("shop", 1)]
    assert facets["event_type"] == [("invoice.paid", 1)]


def test_listeners_hear_of_changes_until_they_leave(store):
    """A page is live by this."""
    heard = []
    leave = store.listen(lambda: heard.append(1))
    store.add([captured(1)], now=NOW)
    leave()
    store.delete_all()

    assert heard == [1]
