"""A caller's bytes as requests: the corpus, and laws that hold for any bytes."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookloop.tunnel.relay.http_head import DEFAULTS, Admitted, admit, passable_trailers
from hookloop.tunnel.relay.refusal import Refusal
from hookloop.tunnel.relay.request_reader import (
    BodyRead,
    EndRead,
    HeadRead,
    RequestReader,
    UnreadableRead,
)
from hookloop.tunnel.wire.messages import Request

CORPUS = Path(__file__).parents[3] / "corpus" / "http"
VALID = sorted((CORPUS / "valid").glob("*.http"))
INVALID = sorted((CORPUS / "invalid").glob("*.http"))
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


def apart(event):
    """Return a head that came with more as head, body and end, however much came at once."""
    if not isinstance(event, HeadRead) or event.after_upgrade is not None:
        return [event]
    body = [BodyRead(event.body)] if event.body else []
    end = [EndRead(())] if event.is_ended else []
    return [HeadRead(event.raw, event.keep_alive), *body, *end]


def test_a_request_in_one_packet_is_one_event():
    """What a webhook mostly is, and what is passed on in one step."""
    (event,) = RequestReader().receive_data(HEAD + b"Content-Length: 2\r\n\r\nhi")

    assert (event.body, event.is_ended) == (b"hi", True)


def read(*pieces):
    """Return all events apart, with bodies that follow each other as one."""
    reader = RequestReader()
    events = []
    for piece in pieces:
        for event in [part for told in reader.receive_data(piece) for part in apart(told)]:
            if isinstance(event, BodyRead) and events and isinstance(events[-1], BodyRead):
                events[-1] = BodyRead(events[-1].data + event.data)
            else:
                events.append(event)
    return events


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def judge(events):
    """Return what is passed on, request by request, and the status that ends it or None."""
    passed = []
    for event in events:
        match event:
            case HeadRead(raw):
                verdict = admit(raw)
                if isinstance(verdict, Refusal):
                    return passed, verdict.status
                passed.append([verdict, b"", None])
            case BodyRead(data):
                passed[-1][1] += data
            case EndRead(trailers):
                passed[-1][2] = passable_trailers(trailers)
            case UnreadableRead(refusal):
                return passed, refusal.status
    return passed, None


def expectation(path):
    return json.loads(path.with_suffix(".json").read_text())


def about(path):
    return expectation(path)["about"]


# --- the corpus ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", VALID, ids=about)
def test_what_is_valid_is_passed_on(path):
    """Heads rebuilt, bodies bit for bit, whole or byte by byte."""
    data = path.read_bytes()

    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        passed, status = judge(read(*pieces))

        assert status is None
        assert [in_json(*request) for request in passed] == expectation(path)["requests"]


def in_json(admitted: Admitted, body, trailers):
    return {
        "host": admitted.host,
        "method": admitted.head.method.decode(),
        "target": admitted.head.target.decode(),
        "headers": [[part.decode("latin-1") for part in pair] for pair in admitted.head.headers],
        "body": body.decode("latin-1"),
        "trailers": [[part.decode("latin-1") for part in pair] for pair in trailers],
    }


@pytest.mark.parametrize("path", INVALID, ids=about)
def test_what_is_invalid_is_refused(path):
    """With the status that says why, and nothing of it passed on as whole."""
    data = path.read_bytes()
    expected = expectation(path)

    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        passed, status = judge(read(*pieces))

        assert status == expected["status"]
        assert len(passed) == expected["before"]


# --- laws ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*VALID, *INVALID], ids=about)
@settings(max_examples=20)  # of each of so many; together they are thousands
@given(places=st.lists(st.integers(min_value=0), max_size=8))
def test_any_split_tells_the_same(path, places):
    """How the network chops the bytes changes nothing."""
    data = path.read_bytes()

    assert judge(read(*cut(data, places))) == judge(read(data))


@given(
    bodies=st.lists(st.binary(max_size=40), max_size=4),
    places=st.lists(st.integers(min_value=0), max_size=12),
)
def test_bodies_come_out_as_they_went_in(bodies, places):
    """Chunked ones too, whatever their chunks."""
    data = b""
    for body in bodies:
        data += HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
        data += HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        data += b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in body) + b"0\r\nA: b\r\n\r\n"

    events = read(*cut(data, places))

    passed, status = judge(events)
    assert status is None
    assert [body for _, body, _ in passed] == [body for body in bodies for _ in range(2)]


@given(pieces=st.lists(st.binary(max_size=200), max_size=8))
def test_no_bytes_make_it_raise(pieces):
    """They are requests, or one refusal and then nothing."""
    events = read(*pieces)

    assert all(not isinstance(event, UnreadableRead) for event in events[:-1])


@given(
    line=st.binary(max_size=30),
    fields=st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=30)), max_size=5),
)
def test_what_is_admitted_can_be_carried(line, fields):
    """The wire never refuses what was let in."""
    head = b"GET /" + line + b" HTTP/1.1\r\nHost: a\r\n"
    data = head + b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n"

    passed, _ = judge(read(data))

    for admitted, _, _ in passed:
        try:
            Request("t", "r", admitted.head).encode()
        except Exception as error:
            raise AssertionError(data) from error


# --- limits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nA: ",
        b"GET /",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: ",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;",
    ],
    ids=["field", "target", "trailer", "extension"],
)
def test_what_has_no_end_is_refused_in_time(start):
    """httptools itself would collect it for ever."""
    reader = RequestReader()
    events = reader.receive_data(start)
    fed = 0
    while not any(isinstance(event, UnreadableRead) for event in events):
        events += reader.receive_data(b"a" * 1000)
        fed += 1000
        assert fed <= DEFAULTS.head_bytes_max + 2000

    assert events[-1].refusal.status == 431
    assert reader.receive_data(b"more") == []


@pytest.mark.parametrize(
    "behind",
    [
        b"",
        HEAD + b"Content-Length: 2\r\n\r\nhi",
        HEAD + b"Connection: upgrade\r\nUpgrade: x\r\n\r\nframes",
        b"nonsense",
    ],
)
def test_too_many_trailers_are_refused(behind):
    """They are judged as the fields of a head are, and nothing behind them is read."""
    start = HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    events = read(start + b"A: b\r\n" * 101 + b"\r\n" + behind)

    assert isinstance(events[-1], UnreadableRead)
    assert events[-1].refusal.status == 431
    assert len(events) == 2


def test_a_head_is_begun_from_its_first_byte_to_its_last():
    """Its deadline runs as long; empty lines before it begin nothing."""
    reader = RequestReader()
    begun = []
    for piece in (b"\r\n", b"G", b"ET / HTTP/1.1\r\n", b"Host: a\r\n\r", b"\nGET", b" / HTTP"):
        reader.receive_data(piece)
        begun.append(reader.has_begun_head)

    assert begun == [False, True, True, True, True, True]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: hookloop/1\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_leaves_http_comes_with_the_bytes_behind_it(head):
    """They are not read as HTTP any more."""
    reader = RequestReader()
    (event,) = reader.receive_data(head + b"\x00frames")

    assert event.after_upgrade == b"\x00frames"
    assert event.keep_alive
    assert reader.receive_data(b"GET / HTTP/1.1\r\n\r\n") == []


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        (b"1.1", b"upgrade", True),
        (b"1.1", b"upgrade, Close", False),
        (b"1.1", b"keep-alive, Upgrade", True),
        (b"1.0", b"upgrade, keep-alive", False),
    ],
)
def test_a_request_with_upgrade_says_whether_the_connection_may_go_on(version, connection, keeps):
    """It may be answered as HTTP, and the next request follows."""
    head = b"GET / HTTP/%b\r\nHost: a\r\nConnection: %b\r\nUpgrade: a\r\n\r\n"

    (event,) = RequestReader().receive_data(head % (version, connection))

    assert event.keep_alive is keeps


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_a_caller_says_whether_it_would_go_on(head, keep_alive):
    """By its version and its Connection field."""
    assert read(head)[0].keep_alive is keep_alive
