"""Traces of raw streams and upgrades, rule by rule of SPEC.md section 3."""

import pytest
from pair import CONTINUE, HEAD, KIB, OK, REQUEST, Pair, is_clean

from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.wire.events import (
    DataReceived,
    RawStreamReceived,
    RequestReceived,
    ResponseReceived,
    StreamReset,
)
from hookloop.tunnel.wire.frames import END, UPGRADE, FrameType, encode_frame
from hookloop.tunnel.wire.messages import Request, ResetCode, encode_response, encode_trailers
from hookloop.tunnel.wire.raw import CONNECT_BYTES_MAX, Connect

CONNECT = Connect("tcp-20001", "192.0.2.7:50000", "db.example")
UPGRADED = RequestHead(b"GET", b"/live", ((b"Host", b"shop"), (b"Upgrade", b"websocket")))
ASK = Request("shop", REQUEST.remote, UPGRADED)
SWITCHING = ResponseHead(101, b"Switching Protocols", ((b"Upgrade", b"websocket"),))


def open_raw(pair):
    stream = pair.relay.open_raw_stream(CONNECT)
    pair.at_agent()
    return stream


def open_upgraded(pair):
    """Open a stream and let its upgrade be granted."""
    stream = pair.relay.open_upgrade(ASK)
    pair.at_agent()
    pair.agent.respond(stream, SWITCHING)
    pair.at_relay()
    return stream


RAW = pytest.mark.parametrize("opened", [open_raw, open_upgraded])


# --- CONNECT ------------------------------------------------------------------------------


def test_a_callers_connection_opens_a_raw_stream():
    """The agent learns which tunnel, who calls, and whom the caller wanted."""
    pair = Pair()

    stream = pair.relay.open_raw_stream(CONNECT)

    assert pair.at_agent() == [RawStreamReceived(stream, CONNECT)]


def test_streams_of_both_kinds_share_their_numbers():
    """They count together too."""
    pair = Pair()

    assert [pair.open(), open_raw(pair), pair.open()] == [1, 2, 3]
    assert pair.agent.statistics().streams_open == 3


@pytest.mark.parametrize(
    "connect",
    [
        Connect("", "a:1"),
        Connect("t", ""),
        Connect("t", "a:1", "b c"),
        Connect("t\0", "a:1"),
        Connect("t", "\xe9:1"),
        Connect("t", "a:1", "\ud800"),
        Connect("t", "a:1", "x" * CONNECT_BYTES_MAX),
    ],
)
def test_a_connect_that_the_wire_cannot_carry_is_our_fault(connect):
    """It is found before it is sent, and opens nothing."""
    pair = Pair()

    with pytest.raises(LocalError, match="not ASCII"):
        pair.relay.open_raw_stream(connect)

    assert is_clean(pair.relay.statistics())
    assert pair.open() == 1


@pytest.mark.parametrize(
    "payload", [b"", b"t", b"t\0a:1", b"t\0a:1\0b\0c", b"t\0a:1\0\xff", b"\0\0"]
)
def test_a_connect_without_its_three_parts_is_refused(payload):
    """Nothing is guessed."""
    pair = Pair()

    with pytest.raises(ProtocolError, match="CONNECT is not"):
        pair.agent.receive_data(encode_frame(FrameType.CONNECT, payload, stream=1), 0.0)


def test_a_connect_on_another_number_than_the_next_is_refused():
    """As with REQUEST."""
    pair = Pair()

    with pytest.raises(ProtocolError, match="CONNECT on stream 2, after 0"):
        pair.agent.receive_data(encode_frame(FrameType.CONNECT, CONNECT.encode(), stream=2), 0.0)


# --- raw bytes ----------------------------------------------------------------------------


@RAW
def test_bytes_go_both_ways_at_once(opened):
    """Neither side waits for the other to speak."""
    pair = Pair()
    stream = opened(pair)

    pair.relay.send_data(stream, b"ping")
    pair.agent.send_data(stream, b"hello")

    assert pair.at_agent() == [DataReceived(stream, b"ping", is_ended=False)]
    assert pair.at_relay() == [DataReceived(stream, b"hello", is_ended=False)]


@RAW
@pytest.mark.parametrize("first", ["relay", "agent"])
def test_one_half_may_end_long_before_the_other(opened, first):
    """A half-close, from either side: the other half goes on as long as it likes."""
    pair = Pair()
    stream = opened(pair)
    early, late = (pair.relay, pair.agent) if first == "relay" else (pair.agent, pair.relay)
    at_late, at_early = (
        (pair.at_agent, pair.at_relay) if first == "relay" else (pair.at_relay, pair.at_agent)
    )

    early.send_data(stream, b"that is all", is_ended=True)
    heard_late = at_late()
    late.send_data(stream, b"not yet")
    heard_early = at_early()
    late.end_stream(stream)
    heard_early += at_early()

    assert heard_late == [DataReceived(stream, b"that is all", is_ended=True)]
    assert heard_early == [
        DataReceived(stream, b"not yet", is_ended=False),
        DataReceived(stream, b"", is_ended=True),
    ]
    assert is_clean(early.statistics())
    assert is_clean(late.statistics())


@RAW
def test_a_stream_whose_halves_have_ended_still_sends_what_it_queued(opened):
    """The other side's end does not take our last bytes along."""
    pair = Pair()
    stream = opened(pair)
    body = bytes(100 * KIB)  # more than the stream's credit

    pair.relay.send_data(stream, body, is_ended=True)
    got = pair.at_agent()
    pair.agent.end_stream(stream)
    pair.at_relay()
    assert pair.relay.has_stream(stream)
    while not got[-1].is_ended:
        for event in got:
            pair.agent.consumed(stream, len(event.data))
        pair.at_relay()
        got = pair.at_agent()

    assert is_clean(pair.relay.statistics())
    assert is_clean(pair.agent.statistics())


@RAW
def test_a_reset_ends_both_halves(opened):
    """As it does for an exchange."""
    pair = Pair()
    stream = opened(pair)

    pair.agent.reset_stream(stream, ResetCode.UPSTREAM_BROKEN, "gone")

    assert pair.at_relay() == [StreamReset(stream, ResetCode.UPSTREAM_BROKEN, "gone")]
    assert is_clean(pair.relay.statistics())


@RAW
@pytest.mark.parametrize("side", ["relay", "agent"])
def test_raw_bytes_have_no_trailers(opened, side):
    """Nobody reads them as HTTP."""
    pair = Pair()
    stream = opened(pair)
    session = getattr(pair, side)
    frame = encode_frame(FrameType.TRAILERS, encode_trailers(((b"a", b"b"),)), stream=stream)

    with pytest.raises(LocalError, match="TRAILERS on a half that is at RAW"):
        session.end_stream(stream, ((b"a", b"b"),))
    with pytest.raises(ProtocolError, match="at RAW"):
        session.receive_data(frame, 0.0)


@pytest.mark.parametrize("side", ["relay", "agent"])
def test_a_half_that_has_ended_stays_ended(side):
    """On a raw stream too, where the stream itself goes on."""
    pair = Pair()
    stream = open_raw(pair)
    sender = getattr(pair, side)
    receiver = pair.agent if side == "relay" else pair.relay
    sender.end_stream(stream)
    receiver.receive_data(b"".join(sender.data_to_send()), 0.0)

    with pytest.raises(LocalError, match="at DONE"):
        sender.send_data(stream, b"more")
    with pytest.raises(ProtocolError, match="at DONE"):
        receiver.receive_data(encode_frame(FrameType.DATA, b"more", stream=stream), 0.0)


def test_a_raw_stream_of_a_caller_has_no_heads():
    """It was never HTTP."""
    pair = Pair()
    stream = open_raw(pair)

    with pytest.raises(LocalError, match="HEAD on a half that is at RAW"):
        pair.agent.respond(stream, OK)
    with pytest.raises(ProtocolError, match="at RAW"):
        pair.relay.receive_data(
            encode_frame(FrameType.RESPONSE, encode_response(OK), stream=stream), 0.0
        )


# --- upgrades -----------------------------------------------------------------------------


def test_a_101_makes_the_stream_raw():
    """The request says that it asks; interim heads may still come before the answer."""
    pair = Pair()

    stream = pair.relay.open_upgrade(ASK)
    asked = pair.at_agent()
    pair.agent.respond(stream, CONTINUE)
    pair.agent.respond(stream, SWITCHING)
    pair.agent.send_data(stream, b"\x81\x02hi")
    answered = pair.at_relay()
    pair.relay.send_data(stream, b"\x81\x80")

    assert asked == [
        RequestReceived(stream, "shop", ASK.remote, UPGRADED, is_ended=False, is_upgrade=True)
    ]
    assert answered == [
        ResponseReceived(stream, CONTINUE, is_ended=False),
        ResponseReceived(stream, SWITCHING, is_ended=False),
        DataReceived(stream, b"\x81\x02hi", is_ended=False),
    ]
    assert pair.at_agent() == [DataReceived(stream, b"\x81\x80", is_ended=False)]


@pytest.mark.parametrize("status", [200, 400, 426, 502])
def test_any_other_answer_leaves_an_exchange_without_a_request_body(status):
    """The end of the response ends it."""
    pair = Pair()
    stream = pair.relay.open_upgrade(ASK)
    pair.at_agent()

    pair.agent.respond(stream, ResponseHead(status, b"", ()))
    pair.at_relay()
    with pytest.raises(LocalError, match="at DONE"):
        pair.relay.send_data(stream, b"GET / HTTP/1.1")
    pair.agent.send_data(stream, b"no", is_ended=True)

    assert pair.at_relay() == [DataReceived(stream, b"no", is_ended=True)]
    assert is_clean(pair.relay.statistics())
    assert is_clean(pair.agent.statistics())


def test_nothing_follows_an_upgrade_before_its_answer():
    """What a caller sends ahead could be read as the next request by one of the two sides."""
    pair = Pair()
    stream = pair.relay.open_upgrade(ASK)
    pair.at_agent()

    for call in (pair.relay.send_data, pair.relay.end_stream):
        with pytest.raises(LocalError, match="at ASKED"):
            call(stream, *([b"ahead"] if call == pair.relay.send_data else []))
    with pytest.raises(ProtocolError, match="at ASKED"):
        pair.agent.receive_data(encode_frame(FrameType.DATA, b"ahead", stream=stream), 0.0)


@pytest.mark.parametrize("is_ended", [False, True])
def test_a_101_that_nobody_asked_for_is_refused(is_ended):
    """The caller would read bytes that no one framed as HTTP."""
    pair = Pair()
    stream = pair.open(is_ended=is_ended)

    with pytest.raises(LocalError, match="no upgrade"):
        pair.agent.respond(stream, SWITCHING)
    with pytest.raises(ProtocolError, match="no upgrade"):
        pair.relay.receive_data(
            encode_frame(FrameType.RESPONSE, encode_response(SWITCHING), stream=stream), 0.0
        )


def test_a_second_101_is_refused():
    """The stream has left HTTP."""
    pair = Pair()
    stream = open_upgraded(pair)

    with pytest.raises(LocalError):
        pair.agent.respond(stream, SWITCHING)
    with pytest.raises(ProtocolError):
        pair.relay.receive_data(
            encode_frame(FrameType.RESPONSE, encode_response(SWITCHING), stream=stream), 0.0
        )


def test_a_101_may_end_its_half_at_once():
    """An upstream that switches and says no more: the caller's half goes on."""
    pair = Pair()
    stream = pair.relay.open_upgrade(ASK)
    pair.at_agent()

    pair.agent.respond(stream, SWITCHING, is_ended=True)
    answered = pair.at_relay()
    pair.relay.send_data(stream, b"still here", is_ended=True)

    assert answered == [ResponseReceived(stream, SWITCHING, is_ended=True)]
    assert pair.at_agent() == [DataReceived(stream, b"still here", is_ended=True)]
    assert is_clean(pair.relay.statistics())
    assert is_clean(pair.agent.statistics())


def test_an_upgrade_that_has_ended_is_refused():
    """What would be upgraded is the half that has ended."""
    pair = Pair()
    frame = encode_frame(FrameType.REQUEST, ASK.encode(), stream=1, flags=END | UPGRADE)

    with pytest.raises(ProtocolError, match="has ended"):
        pair.agent.receive_data(frame, 0.0)


def test_an_exchange_that_asked_for_nothing_says_so():
    """The agent tells the two apart by the flag, not by the fields."""
    pair = Pair()
    pair.relay.open_stream(ASK, is_ended=True)

    assert pair.at_agent() == [RequestReceived(1, "shop", ASK.remote, UPGRADED, is_ended=True)]
    assert HEAD != UPGRADED
