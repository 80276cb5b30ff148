"""The query language: what it finds, and that the store and the value agree on it."""

import pytest
from captures import NOW, captured, event

from hookloop.errors import ConfigError
from hookloop.inspector import CaptureStore, parse_query

EXCHANGES = [
    captured(1),
    captured(2, status=500, answer=b"Traceback: boom", duration_seconds=2.0),
    captured(3, method=b"GET", target=b"/health?x=1", body=b"", status=302),
    captured(4, status=None, failure="cannot reach 127.0.0.1:3000"),
    captured(5, body=event(5, "charge.failed"), origin="cap_x", tunnel="api"),
    captured(6, body=b"\0\1binary", headers=((b"X-Odd", b"50% _odd_"),), status=404),
]

FOUND = {
    "": "654321",
    "status:200": "51",
    "status:5xx": "2",
    "status:4xx,5xx": "62",
    "status:>=400": "62",
    "status:none": "4",
    "-status:2xx": "6432",
    "method:get": "3",
    "path:/webhooks": "65421",
    "path:X=1": "3",
    "type:invoice.": "421",
    "type:invoice.paid,charge.failed": "5421",
    "id:evt_5": "5",
    "object:in_4": "4",
    "provider:stripe": "5421",
    "tunnel:api": "5",
    "remote:203.0.113.": "654321",
    "origin:cap_x": "5",
    "is:replay": "5",
    "is:webhook": "5421",
    "-is:webhook": "63",
    "is:failed": "642",
    "is:pending": "4",
    "is:slow": "2",
    "duration:>1s": "2",
    "duration:<500ms": "65431",
    "size:>1kb": "",
    "since:1h": "654321",
    "until:2027-01-15T08:00:02Z": "21",
    "header:user-agent": "54321",
    "header:user-agent=stripe": "54321",
    "header:x-odd=_odd_": "6",
    'body:"boom"': "2",
    "Traceback": "2",
    "-traceback": "65431",
    "charge.failed": "5",
    '"cannot reach"': "4",
    "50%": "6",
    "is:failed is:webhook": "42",
    "https://example.com": "",
}


@pytest.fixture(scope="module")
def store():
    made = CaptureStore()
    made.add(EXCHANGES, now=NOW)
    while made.index_some():
        pass
    yield made
    made.close()


@pytest.mark.parametrize("text", FOUND)
def test_the_store_finds_what_the_query_means(store, text):
    """Numbers of exchanges, the newest first."""
    query = parse_query(text, now=NOW + 10)

    found = "".join(str(int(one.started_at - NOW)) for one in store.find(query).items)
    meant = "".join(
        str(int(one.started_at - NOW)) for one in reversed(EXCHANGES) if query.matches(one)
    )

    assert (found, meant) == (FOUND[text], FOUND[text])
    assert store.count(query) == len(found)


@pytest.mark.parametrize(
    ("text", "lesson"),
    [
        ("stauts:500", "did you mean status:"),
        ("zzz:1", "there are status, method"),
        ("status:", "needs a value"),
        ("status:ok", "status:5xx"),
        ("is:blue", "is:webhook"),
        ("since:yesterday", "since:1h"),
        ("duration:long", "duration:>500ms"),
        ("size:big", "size:>10kb"),
        ('"open', "quote is open"),
        ("x" * 2001, "at most 2000"),
        ("a " * 41, "at most 40"),
    ],
)
def test_an_error_teaches(text, lesson):
    """It says what can be written instead."""
    with pytest.raises(ConfigError, match=lesson):
        parse_query(text, now=NOW)


def test_the_only_word_of_a_field_can_be_asked_for():
    """A page shows which tunnel was chosen."""
    query = parse_query("tunnel:shop -method:get status:200", now=NOW)

    assert (query.of("tunnel"), query.of("method"), query.of("status")) == ("shop", None, None)
