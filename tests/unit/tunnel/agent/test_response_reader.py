"""An upstream's bytes as one response."""

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.exchange import ResponseHead
from hookloop.tunnel.agent.response_reader import (
    HEAD_BYTES_MAX,
    BodyRead,
    BrokenRead,
    EndRead,
    FinalRead,
    InterimRead,
    ResponseReader,
)

OK = b"HTTP/1.1 200 OK\r\n"
HINTS = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: a\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def apart(event):
    """Return a head that came with more as head, body and end, however much came at once."""
    if not isinstance(event, FinalRead):
        return [event]
    body = [BodyRead(event.body)] if event.body else []
    end = [event.end] if event.end is not None else []
    return [FinalRead(event.head), *body, *end]


def read(*pieces, is_head_request=False, eof=False):
    """Return all events apart, with bodies that follow each other as one."""
    reader = ResponseReader(is_head_request=is_head_request)
    batches = [reader.receive_data(piece) for piece in pieces]
    if eof:
        batches.append(reader.receive_eof())
    told = [part for batch in batches for event in batch for part in apart(event)]
    events = []
    for event in told:
        if isinstance(event, BodyRead) and events and isinstance(events[-1], BodyRead):
            events[-1] = BodyRead(events[-1].data + event.data)
        else:
            events.append(event)
    return events


def final(*headers, status=200, reason=b"OK"):
    return FinalRead(ResponseHead(status, reason, headers))


def test_a_response_in_one_packet_is_one_event():
    """What a webhook's answer mostly is, and what is passed on in one step."""
    reader = ResponseReader(is_head_request=False)

    events = reader.receive_data(OK + b"Content-Length: 2\r\n\r\nhi")

    head = ResponseHead(200, b"OK", ((b"Content-Length", b"2"),))
    assert events == [FinalRead(head, b"hi", EndRead((), is_reusable=True))]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (
            OK + b"Content-Length: 2\r\nx: 1\r\nX: 2\r\n\r\nhi",
            [
                final((b"Content-Length", b"2"), (b"x", b"1"), (b"X", b"2")),
                BodyRead(b"hi"),
                EndRead((), is_reusable=True),
            ],
        ),
        (
            CHUNKED + b"2;a=b\r\nhi\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n",
            [final(), BodyRead(b"hi!"), EndRead(((b"X-Sum", b"1"),), is_reusable=True)],
        ),
        (
            HINTS + b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
            [
                InterimRead(ResponseHead(100, b"Continue", ())),
                InterimRead(ResponseHead(103, b"E", ((b"Link", b"a"),))),
                final((b"Content-Length", b"0"), reason=b""),
                EndRead((), is_reusable=True),
            ],
        ),
        (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            [
                final((b"Content-Length", b"9"), status=304, reason=b"Not Modified"),
                EndRead((), is_reusable=True),
            ],
        ),
        (
            b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
            [final(status=204, reason=b"No Content"), EndRead((), is_reusable=False)],
        ),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            [final((b"Content-Length", b"0")), EndRead((), is_reusable=False)],
        ),
        (
            OK + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
            [final((b"Content-Length", b"0")), EndRead((), is_reusable=True)],
        ),
    ],
    ids=["length", "chunked", "interim", "304", "204", "1.0", "offer to upgrade"],
)
def test_a_response_is_read_to_its_end(data, events):
    """Whole or byte by byte."""
    assert read(data) == events
    assert read(*(data[n : n + 1] for n in range(len(data)))) == events


def test_fields_of_one_connection_are_dropped():
    """With all that Connection names, but for what gives the answer its meaning."""
    fields = b"Connection: x-hop, content-length\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Kept: 1\r\n"

    events = read(OK + fields + b"Content-Length: 0\r\n\r\n")

    assert events[0] == final((b"X-Kept", b"1"), (b"Content-Length", b"0"))


def test_a_body_without_framing_ends_with_the_connection():
    """It is whole then, and the connection is gone."""
    events = read(OK + b"\r\nto the", b" end", eof=True)

    assert events == [final(), BodyRead(b"to the end"), EndRead((), is_reusable=False)]


@pytest.mark.parametrize("eof", [False, True])
def test_a_head_request_has_no_body_to_wait_for(eof):
    """Whatever its length says; what comes all the same is not read."""
    data = OK + b"Content-Length: 9\r\n\r\n"

    events = read(data, b"surplus", is_head_request=True, eof=eof)

    assert events == [final((b"Content-Length", b"9")), EndRead((), is_reusable=False)]


@pytest.mark.parametrize(
    "surplus", [b"x", OK, OK + b"Content-Length: 1\r\n\r\nx", b"HTTP/1.1 103 E\r\n\r\n", CHUNKED]
)
def test_a_connection_with_more_than_its_answer_is_not_used_again(surplus):
    """The next exchange would read what was not meant for it."""
    for end in (b"Content-Length: 2\r\n\r\nhi", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        events = read(OK + end + surplus)

        assert events[-1] == EndRead((), is_reusable=False)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "closed the connection"),
        (OK, "closed the connection"),
        (OK + b"Content-Length: 2\r\n\r\nh", "closed the connection"),
        (CHUNKED + b"2\r\nhi\r\n", "closed the connection"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "closed the connection"),
        (b"nonsense", "not valid HTTP/1.1"),
        (OK + b"A : b\r\n\r\n", "not valid HTTP/1.1"),
        (OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "not valid HTTP/1.1"),
        (CHUNKED + b"0x1\r\n", "not valid HTTP/1.1"),
        (b"HTTP/1.1 101 S\r\n\r\n", "changed protocols"),
        (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\nraw", "changed protocols"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "transfer coding"),
        (OK + b"Transfer-Encoding: gzip\r\n\r\n", "transfer coding"),
        (OK + b"A: b\r\n" * 129 + b"\r\n", "header fields"),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * 129 + b"\r\n", "trailer fields"),
    ],
)
def test_what_has_no_clean_end_is_broken(data, why):
    """Said once, at the end, and nothing is read behind it."""
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        events = read(*pieces, b"", eof=True)

        assert isinstance(events[-1], BrokenRead)
        assert why in events[-1].message
        assert not any(isinstance(event, BrokenRead | EndRead) for event in events[:-1])


@pytest.mark.parametrize(
    "start", [OK + b"A: ", CHUNKED + b"0\r\nA: ", CHUNKED + b"1;", b"HTTP/1.1 200 "]
)
def test_what_has_no_end_at_all_is_broken_in_time(start):
    """httptools itself would collect it for ever."""
    events = read(start, *[b"a" * 1000] * (HEAD_BYTES_MAX // 1000 + 2))

    assert isinstance(events[-1], BrokenRead)


@given(
    body=st.binary(max_size=100),
    interim=st.booleans(),
    is_chunked=st.booleans(),
    places=st.lists(st.integers(min_value=0), max_size=10),
)
def test_any_split_tells_the_same(body, interim, is_chunked, places):
    """How the network chops the bytes changes nothing."""
    data = b"HTTP/1.1 103 E\r\nA: b\r\n\r\n" if interim else b""
    if is_chunked:
        data += CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\nT: 1\r\n\r\n"
    else:
        data += OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
    places = sorted({place % (len(data) + 1) for place in places})
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]

    assert read(*pieces) == read(data)
    assert b"".join(e.data for e in read(data) if isinstance(e, BodyRead)) == body


@given(
    pieces=st.lists(
        st.binary(max_size=100) | st.sampled_from([OK, CHUNKED, b"\r\n", b"1\r\na\r\n"])
    ),
    is_head_request=st.booleans(),
)
def test_no_bytes_make_it_raise(pieces, is_head_request):
    """They are one response, or one break; the connection's end settles which."""
    events = read(*pieces, is_head_request=is_head_request, eof=True)

    assert isinstance(events[-1], EndRead | BrokenRead)
    assert not any(isinstance(event, EndRead | BrokenRead) for event in events[:-1])


@pytest.mark.parametrize(
    "answer", [OK + b"Content-Length: 2\r\n\r\nok", OK + b"Content-Length: x\r\n\r\n"]
)
def test_reader_that_is_over_needs_no_collector(answer):
    """The parser holds the reader's methods: each answer would leave a cycle behind."""
    gc.disable()
    try:
        reader = ResponseReader(is_head_request=False)
        reader.receive_data(answer)
        gone = weakref.ref(reader)
        del reader

        assert gone() is None
    finally:
        gc.enable()
