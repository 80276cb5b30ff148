"""
Traces of the session, rule by rule of SPEC.md.

Each test is a short play of a relay and an agent: calls on one side, events at the other.
"""

import json
import struct
from dataclasses import replace

import pytest
from pair import (
    AGENT_HELLO,
    CONTINUE,
    HEAD,
    KIB,
    OK,
    RELAY_HELLO,
    REQUEST,
    Pair,
    frames_of,
    is_clean,
)

from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import ResponseHead
from hookloop.tunnel.wire.events import (
    BindAccepted,
    BindRefused,
    BindRequested,
    DataReceived,
    GoawayReceived,
    HelloReceived,
    LatencyMeasured,
    PeerSilent,
    RequestReceived,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
    UnbindRequested,
)
from hookloop.tunnel.wire.frames import END, Frame, FrameType, encode_frame
from hookloop.tunnel.wire.messages import (
    Bind,
    Bound,
    Goaway,
    Invite,
    Refused,
    ResetCode,
    Unbind,
    encode_credit,
    encode_reset,
    encode_response,
    encode_trailers,
)
from hookloop.tunnel.wire.raw import Connect
from hookloop.tunnel.wire.session import (
    CONTROL_BYTES_MAX,
    DATA_PIECE_BYTES,
    QUEUED_BYTES_MAX,
    STREAM_NUMBER_MAX,
    Role,
    Session,
)

TRAILERS = ((b"Checksum", b"abc"),)


def frame_of(type_, payload=b"", *, stream=0, flags=0):
    return encode_frame(type_, payload, stream=stream, flags=flags)


def last_goaway(session):
    """Return the code of the GOAWAY that *session* has ready to send."""
    frames = frames_of(session)
    assert frames[-1].type == FrameType.GOAWAY
    return json.loads(frames[-1].payload)["code"]


# --- HELLO ------------------------------------------------------------------------------


def test_each_side_starts_with_hello():
    """It comes before anything else, and tells who speaks and what it accepts."""
    pair = Pair(greeted=False)

    at_agent, at_relay = pair.at_agent(), pair.at_relay()

    assert at_agent == [HelloReceived(RELAY_HELLO)]
    assert at_relay == [HelloReceived(AGENT_HELLO)]
    assert pair.relay.peer == AGENT_HELLO


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("type_", [t for t in FrameType if t is not FrameType.HELLO])
def test_nothing_may_come_before_hello(role, type_):
    """Not even a PING."""
    session = Session(role, AGENT_HELLO, 0.0)

    with pytest.raises(ProtocolError, match="HELLO"):
        session.receive_data(frame_of(type_), 0.0)


@pytest.mark.parametrize("stream", [0, 1])
def test_hello_comes_once(stream):
    """A second one would change what was promised."""
    pair = Pair()

    with pytest.raises(ProtocolError, match="HELLO"):
        pair.agent.receive_data(frame_of(FrameType.HELLO, RELAY_HELLO.encode(), stream=stream), 0.0)


def test_hello_on_a_stream_is_refused():
    """It speaks of the session."""
    session = Session(Role.AGENT, AGENT_HELLO, 0.0)

    with pytest.raises(ProtocolError, match="HELLO"):
        session.receive_data(frame_of(FrameType.HELLO, RELAY_HELLO.encode(), stream=1), 0.0)


def test_no_stream_is_opened_before_the_agent_said_hello():
    """The relay does not know yet what it may send."""
    session = Session(Role.RELAY, RELAY_HELLO, 0.0)

    assert not session.can_open_stream()
    with pytest.raises(LocalError, match="takes none"):
        session.open_stream(REQUEST, is_ended=True)


# --- frames in the wrong place ----------------------------------------------------------

SESSION_PAYLOADS = {
    FrameType.BIND: Bind(1, "shop").encode(),
    FrameType.BOUND: Bound(1, "shop", "http://shop.tun.example").encode(),
    FrameType.REFUSED: Refused(1, "name_taken", "taken").encode(),
    FrameType.UNBIND: Unbind("shop").encode(),
    FrameType.PING: bytes(8),
    FrameType.PONG: bytes(8),
    FrameType.GOAWAY: Goaway("shutdown", "bye").encode(),
    FrameType.INVITE: Invite(1, "tkt_once").encode(),
}
STREAM_PAYLOADS = {
    FrameType.REQUEST: REQUEST.encode(),
    FrameType.RESPONSE: encode_response(OK),
    FrameType.DATA: b"body",
    FrameType.TRAILERS: encode_trailers(TRAILERS),
    FrameType.RESET: encode_reset(ResetCode.CANCELLED, "gone"),
    FrameType.CREDIT: encode_credit(1),
    FrameType.CONNECT: Connect("tcp-1", "192.0.2.7:50000").encode(),
    FrameType.MOVE: bytes(4),
}


@pytest.mark.parametrize(
    ("receiver", "type_"),
    [
        ("agent", FrameType.BIND),
        ("agent", FrameType.UNBIND),
        ("agent", FrameType.RESPONSE),
        ("relay", FrameType.BOUND),
        ("relay", FrameType.REFUSED),
        ("relay", FrameType.REQUEST),
        ("relay", FrameType.CONNECT),
        ("relay", FrameType.INVITE),
    ],
)
def test_a_frame_from_the_wrong_side_is_refused(receiver, type_):
    """Who may send what is a column of the page's table."""
    pair = Pair()
    pair.open()
    payload = (SESSION_PAYLOADS | STREAM_PAYLOADS)[type_]
    stream = 1 if type_ in STREAM_PAYLOADS else 0
    session = getattr(pair, receiver)

    with pytest.raises(ProtocolError, match=f"{type_.name} is not for this side"):
        session.receive_data(frame_of(type_, payload, stream=stream), 0.0)

    assert last_goaway(session) == "protocol_error"


@pytest.mark.parametrize("type_", SESSION_PAYLOADS)
def test_a_frame_about_the_session_on_a_stream_is_refused(type_):
    """Its stream is 0."""
    pair = Pair()
    pair.open()
    from_agent = type_ in {FrameType.BIND, FrameType.UNBIND}
    receiver = pair.relay if from_agent else pair.agent

    with pytest.raises(ProtocolError, match=f"{type_.name} on stream 1"):
        receiver.receive_data(frame_of(type_, SESSION_PAYLOADS[type_], stream=1), 0.0)


@pytest.mark.parametrize("type_", STREAM_PAYLOADS.keys() - {FrameType.CREDIT})
def test_a_frame_about_a_stream_on_the_session_is_refused(type_):
    """Only CREDIT may be about either."""
    pair = Pair()
    receiver = pair.relay if type_ is FrameType.RESPONSE else pair.agent

    with pytest.raises(ProtocolError, match=f"{type_.name} on stream 0"):
        receiver.receive_data(frame_of(type_, STREAM_PAYLOADS[type_]), 0.0)


@pytest.mark.parametrize("type_", STREAM_PAYLOADS.keys() - {FrameType.REQUEST, FrameType.CONNECT})
def test_an_agent_cannot_speak_of_a_stream_that_was_never_opened(type_):
    """It can only answer."""
    pair = Pair()
    pair.open()

    with pytest.raises(ProtocolError, match="never opened"):
        pair.relay.receive_data(frame_of(type_, STREAM_PAYLOADS[type_], stream=2), 0.0)


@pytest.mark.parametrize("stream", [1, 3, 2**32 - 1])
def test_streams_are_numbered_without_gaps(stream):
    """A number that comes again, or leaves one out, is refused."""
    pair = Pair()
    pair.open()

    with pytest.raises(ProtocolError, match="after 1"):
        pair.agent.receive_data(frame_of(FrameType.REQUEST, REQUEST.encode(), stream=stream), 0.0)


def test_frames_and_flags_of_later_versions_are_ignored():
    """Anything may be added that way."""
    pair = Pair()
    later = bytes.fromhex("000003 7f ff 00000009") + b"new"

    [event] = pair.agent.receive_data(
        later + frame_of(FrameType.REQUEST, REQUEST.encode(), stream=1, flags=0xF0), 0.0
    )

    assert event == RequestReceived(1, "shop", REQUEST.remote, HEAD, is_ended=False)


def test_a_protocol_error_says_why_in_a_goaway():
    """What is left to send holds the reason; nothing new is opened."""
    pair = Pair()

    with pytest.raises(ProtocolError, match="eight bytes"):
        pair.relay.receive_data(frame_of(FrameType.PING, b"short"), 0.0)

    assert not pair.relay.can_open_stream()
    assert last_goaway(pair.relay) == "protocol_error"


# --- tunnels ----------------------------------------------------------------------------


def test_a_tunnel_is_asked_for_and_given():
    """The answer carries the number of the question."""
    pair = Pair()
    bind, bound = Bind(1, "shop"), Bound(1, "shop", "http://shop.tun.example")

    pair.agent.bind(bind)
    asked = pair.at_relay()
    pair.relay.accept_bind(bound)
    answered = pair.at_agent()

    assert asked == [BindRequested(bind)]
    assert answered == [BindAccepted(bound)]


def test_a_tunnel_is_refused_in_words():
    """The session goes on."""
    pair = Pair()
    refused = Refused(1, "name_taken", "shop is bound by someone else")

    pair.agent.bind(Bind(1, "shop"))
    pair.at_relay()
    pair.relay.refuse_bind(refused)

    assert pair.at_agent() == [BindRefused(refused)]
    assert pair.relay.can_open_stream()


def test_a_tunnel_is_given_back():
    """By its name."""
    pair = Pair()

    pair.agent.unbind("shop")

    assert pair.at_relay() == [UnbindRequested(Unbind("shop"))]


@pytest.mark.parametrize(
    ("side", "call"),
    [
        ("relay", lambda session: session.bind(Bind(1, None))),
        ("relay", lambda session: session.unbind("shop")),
        ("relay", lambda session: session.respond(1, OK)),
        ("agent", lambda session: session.accept_bind(Bound(1, "shop", "http://shop"))),
        ("agent", lambda session: session.refuse_bind(Refused(1, "bad_name", "no"))),
        ("agent", lambda session: session.open_stream(REQUEST, is_ended=True)),
        ("agent", lambda session: session.open_upgrade(REQUEST)),
        ("agent", lambda session: session.open_raw_stream(Connect("t", "a:1"))),
    ],
)
def test_a_side_cannot_do_what_is_the_others(side, call):
    """The same table holds for our own calls."""
    session = getattr(Pair(), side)

    with pytest.raises(LocalError, match="side of a session"):
        call(session)


# --- one exchange -----------------------------------------------------------------------


def test_an_exchange_without_bodies():
    """A head each way, both ended at once."""
    pair = Pair()

    stream = pair.relay.open_stream(REQUEST, is_ended=True)
    at_agent = pair.at_agent()
    pair.agent.respond(stream, OK, is_ended=True)
    at_relay = pair.at_relay()

    assert at_agent == [RequestReceived(1, "shop", REQUEST.remote, HEAD, is_ended=True)]
    assert at_relay == [ResponseReceived(1, OK, is_ended=True)]
    assert is_clean(pair.relay.statistics())
    assert is_clean(pair.agent.statistics())


def test_an_exchange_with_bodies():
    """Data flows both ways, and the last piece carries the end."""
    pair = Pair()

    stream = pair.open()
    assert pair.relay.send_data(stream, b"ping", is_ended=True)
    at_agent = pair.at_agent()
    pair.agent.respond(stream, OK)
    pair.agent.send_data(stream, b"po")
    pair.agent.send_data(stream, b"ng", is_ended=True)
    at_relay = pair.at_relay()

    assert at_agent == [DataReceived(1, b"ping", is_ended=True)]
    assert at_relay == [
        ResponseReceived(1, OK, is_ended=False),
        DataReceived(1, b"po", is_ended=False),
        DataReceived(1, b"ng", is_ended=True),
    ]
    assert not pair.relay.has_stream(stream)
    assert not pair.agent.has_stream(stream)


def test_a_short_exchange_is_one_frame_each_way():
    """Heads, bodies, their digests and their ends."""
    pair = Pair()
    digest = bytes(range(32))

    pair.relay.open_stream(REQUEST, b"ping", is_ended=True, digest=digest)
    [sent] = pair.relay.data_to_send()
    [asked] = pair.agent.receive_data(sent, 0.0)
    pair.agent.respond(1, OK, b"pong", is_ended=True, digest=digest)
    [answered] = pair.at_relay()

    assert (asked.body, asked.is_ended, asked.digest) == (b"ping", True, digest)
    assert answered == ResponseReceived(1, OK, is_ended=True, body=b"pong", digest=digest)
    assert not pair.relay.has_stream(1)


@pytest.mark.parametrize("length", [DATA_PIECE_BYTES, DATA_PIECE_BYTES + 1, 60 * KIB])
def test_a_long_body_follows_its_head_in_turns(length):
    """What is over one turn waits for its turns, and none of it is lost."""
    pair = Pair()
    body = bytes(length)

    pair.relay.open_stream(REQUEST, body, is_ended=True, digest=bytes(32))
    first, *others = pair.at_agent()

    assert (first.body == body) is (length <= DATA_PIECE_BYTES)
    assert first.body + b"".join(event.data for event in others) == body
    last = others[-1] if others else first
    assert (last.is_ended, last.digest) == (True, bytes(32))


def test_a_body_in_a_head_is_paid_for():
    """From the stream's credit and from the session's, which `consumed` gives back."""
    pair = Pair()
    before = pair.relay._outgoing.budget.left

    stream = pair.relay.open_stream(REQUEST, b"paid", is_ended=False)
    pair.at_agent()

    assert pair.relay._outgoing.budget.left == before - len(b"paid")
    pair.agent.consumed(stream, len(b"paid"))
    with pytest.raises(LocalError):
        pair.agent.consumed(stream, 1)


def test_a_body_without_credit_for_it_waits_behind_its_head():
    """The head goes all the same."""
    pair = Pair()
    other = pair.relay.open_stream(REQUEST, is_ended=False)
    pair.relay.send_data(other, bytes(64 * KIB))
    another = pair.relay.open_stream(REQUEST, is_ended=False)
    pair.relay.send_data(another, bytes(64 * KIB))
    pair.at_agent()

    pair.relay.open_stream(REQUEST, b"late", is_ended=True)
    [head] = pair.at_agent()
    pair.agent.consumed(other, 64 * KIB)
    pair.at_relay()

    assert (head.body, head.is_ended) == (b"", False)
    assert pair.at_agent() == [DataReceived(3, b"late", is_ended=True)]


def test_the_digest_of_a_body_with_trailers_goes_before_them():
    """By itself, where nothing of the body waits."""
    pair = Pair()
    stream = pair.open()

    pair.relay.end_stream(stream, TRAILERS, digest=bytes(32))

    assert pair.at_agent() == [
        DataReceived(stream, b"", is_ended=False, digest=bytes(32)),
        TrailersReceived(stream, TRAILERS),
    ]


def test_a_body_may_end_later_than_its_last_byte():
    """An end by itself is an empty piece."""
    pair = Pair()
    stream = pair.open()
    pair.relay.send_data(stream, b"all")
    pair.at_agent()

    pair.relay.end_stream(stream)

    assert pair.at_agent() == [DataReceived(1, b"", is_ended=True)]
    assert pair.relay.has_stream(stream)


def test_a_body_may_end_while_its_last_byte_waits():
    """The end rides on the last piece."""
    pair = Pair()
    stream = pair.open()

    pair.relay.send_data(stream, b"all")
    pair.relay.end_stream(stream)

    assert pair.at_agent() == [DataReceived(1, b"all", is_ended=True)]


def test_a_body_may_be_empty():
    """An end is sent even where no byte ever was."""
    pair = Pair()
    stream = pair.open()

    pair.relay.send_data(stream, b"", is_ended=True)

    assert pair.at_agent() == [DataReceived(1, b"", is_ended=True)]


def test_a_request_that_ended_at_its_head_has_no_body():
    """Nothing may follow the END flag."""
    pair = Pair()
    stream = pair.open(is_ended=True)

    with pytest.raises(LocalError, match="at DONE"):
        pair.relay.send_data(stream, b"more")


def test_interim_heads_come_before_the_final_one():
    """As many as the upstream sends."""
    pair = Pair()
    stream = pair.open()
    hints = ResponseHead(103, b"", ((b"Link", b"</a.css>"),))

    pair.agent.respond(stream, CONTINUE)
    pair.agent.respond(stream, hints)
    pair.agent.respond(stream, OK, is_ended=True)

    assert [event.head.status for event in pair.at_relay()] == [100, 103, 200]


@pytest.mark.parametrize("waiting", [b"", b"body"])
def test_trailers_end_a_half_in_either_direction(waiting):
    """They come after all of the body, queued or not."""
    pair = Pair()
    stream = pair.open()
    body = [DataReceived(1, waiting, is_ended=False)] if waiting else []

    pair.relay.send_data(stream, waiting)
    pair.relay.end_stream(stream, TRAILERS)
    at_agent = pair.at_agent()
    pair.agent.respond(stream, OK)
    pair.agent.send_data(stream, waiting)
    pair.agent.end_stream(stream, TRAILERS)
    at_relay = pair.at_relay()

    assert at_agent == [*body, TrailersReceived(1, TRAILERS)]
    assert at_relay[1:] == [*body, TrailersReceived(1, TRAILERS)]
    assert is_clean(pair.relay.statistics())
    assert is_clean(pair.agent.statistics())


def test_trailers_that_cannot_be_sent_leave_the_half_open():
    """The caller may still end or reset the stream."""
    pair = Pair()
    stream = pair.open()

    with pytest.raises(LocalError):
        pair.relay.end_stream(stream, ((b"bad name", b""),))
    pair.relay.end_stream(stream)

    assert pair.at_agent() == [DataReceived(1, b"", is_ended=True)]


def test_an_early_answer_ends_the_stream():
    """The relay stops sending, the agent ignores what is on its way, no credit is lost."""
    pair = Pair()
    stream = pair.open()
    pair.relay.send_data(stream, bytes(64 * KIB))

    on_its_way = b"".join(pair.relay.data_to_send())
    pair.relay.send_data(stream, bytes(16 * KIB))
    pair.agent.respond(stream, OK, is_ended=True)
    assert pair.agent.receive_data(on_its_way, pair.now) == []
    answer = pair.at_relay()

    assert answer == [ResponseReceived(1, OK, is_ended=True)]
    assert pair.at_agent() == []
    assert is_clean(pair.relay.statistics())
    assert credit_left(pair.relay) == AGENT_HELLO.session_credit


def test_calls_on_a_stream_that_has_ended_do_nothing():
    """The end may cross any of them."""
    pair = Pair()
    stream = pair.open()
    pair.agent.reset_stream(stream, ResetCode.INTERNAL, "why")
    pair.at_relay()

    assert pair.relay.send_data(stream, b"late")
    pair.relay.end_stream(stream)
    pair.relay.reset_stream(stream, ResetCode.CANCELLED, "late")
    pair.agent.respond(stream, OK)

    assert frames_of(pair.relay) == []
    assert frames_of(pair.agent) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.send_data(1, b"before the head"),
        lambda session: session.end_stream(1),
        lambda session: session.respond(1, CONTINUE, is_ended=True),
    ],
)
def test_our_own_wrong_move_is_a_local_error(call):
    """It is found before it reaches the wire."""
    pair = Pair()
    pair.open()

    with pytest.raises(LocalError, match="at HEAD"):
        call(pair.agent)

    assert pair.at_relay() == []


@pytest.mark.parametrize(
    ("frames", "match"),
    [
        ([(FrameType.DATA, b"x", 0)], "DATA"),
        ([(FrameType.TRAILERS, b"", 0)], "TRAILERS"),
        ([(FrameType.RESPONSE, encode_response(CONTINUE), END)], "INTERIM, END"),
        ([(FrameType.RESPONSE, encode_response(OK), 0)] * 2, "HEAD"),
    ],
)
def test_their_wrong_move_is_a_protocol_error(frames, match):
    """A body before its head, an interim head that ends, a second head."""
    pair = Pair()
    pair.open()
    sent = b"".join(frame_of(t, payload, stream=1, flags=flags) for t, payload, flags in frames)

    with pytest.raises(ProtocolError, match=match):
        pair.relay.receive_data(sent, 0.0)


# --- resets and late frames -------------------------------------------------------------


@pytest.mark.parametrize("by_relay", [True, False])
def test_a_reset_ends_both_halves_from_either_side(by_relay):
    """What was queued is dropped, and nothing is left."""
    pair = Pair()
    stream = pair.open()
    pair.agent.respond(stream, OK)
    pair.at_relay()
    pair.relay.send_data(stream, b"x")
    pair.agent.send_data(stream, b"y")

    if by_relay:
        pair.relay.reset_stream(stream, ResetCode.CANCELLED, "the caller left")
        events = pair.at_agent()
    else:
        pair.agent.reset_stream(stream, ResetCode.UPSTREAM_BROKEN, "cut")
        events = pair.at_relay()

    code, message = (
        (ResetCode.CANCELLED, "the caller left") if by_relay else (ResetCode.UPSTREAM_BROKEN, "cut")
    )
    assert events == [StreamReset(1, code, message)]
    assert is_clean(pair.relay.statistics())
    assert is_clean(pair.agent.statistics())


def test_resets_that_cross_are_ignored():
    """Both sides know already."""
    pair = Pair()
    stream = pair.open()

    pair.relay.reset_stream(stream, ResetCode.CANCELLED, "")
    pair.agent.reset_stream(stream, ResetCode.INTERNAL, "")

    assert pair.at_agent() == []
    assert pair.at_relay() == []


def test_late_frames_of_an_ended_stream_are_ignored():
    """All that an agent may have sent before it heard of the reset."""
    pair = Pair()
    stream = pair.open()
    pair.agent.respond(stream, CONTINUE)
    pair.agent.respond(stream, OK)
    pair.agent.send_data(stream, b"body")
    pair.agent.end_stream(stream, TRAILERS)
    credit = frame_of(FrameType.CREDIT, encode_credit(5), stream=stream)

    pair.relay.reset_stream(stream, ResetCode.CANCELLED, "")

    assert pair.at_relay() == []
    assert pair.relay.receive_data(credit, 0.0) == []


def test_late_data_is_granted_back_to_the_session():
    """A thousand cancelled downloads cost the session nothing."""
    pair = Pair()
    for _ in range(50):
        stream = pair.open(is_ended=True)
        pair.agent.respond(stream, OK)
        pair.agent.send_data(stream, bytes(60 * KIB))
        pair.relay.reset_stream(stream, ResetCode.CANCELLED, "")
        assert pair.at_relay() == []
        pair.at_agent()

    assert credit_left(pair.agent) + not_granted(pair.relay) == RELAY_HELLO.session_credit


def test_data_of_a_reset_stream_is_still_paid_for_by_consumed():
    """What was handed out before the reset counts until the shell lets go of it."""
    pair = Pair()
    stream = pair.open(is_ended=True)
    pair.agent.respond(stream, OK)
    pair.agent.send_data(stream, bytes(64 * KIB))
    pair.at_relay()

    pair.relay.reset_stream(stream, ResetCode.CANCELLED, "")
    assert credit_left(pair.agent) == 64 * KIB
    pair.relay.consumed(stream, 64 * KIB)
    pair.at_agent()

    assert credit_left(pair.agent) == RELAY_HELLO.session_credit


def credit_left(session):
    """Return the bytes *session* may still send, over all its streams."""
    return session._outgoing.budget.left


def not_granted(session):
    """Return the bytes *session* has let go of and not yet put into a CREDIT."""
    return session._allowance._given_back


# --- credit -----------------------------------------------------------------------------


def test_a_sender_stops_when_the_streams_credit_is_out_and_goes_on_with_more():
    """The reader decides how much it has to hold."""
    pair = Pair()
    stream = pair.open()
    pair.relay.send_data(stream, bytes(80 * KIB))

    first = pair.at_agent()
    pair.agent.consumed(stream, 64 * KIB)
    pair.at_relay()
    second = pair.at_agent()

    assert sum(len(event.data) for event in first) == AGENT_HELLO.stream_credit
    assert sum(len(event.data) for event in second) == 16 * KIB


def test_a_sender_stops_when_the_sessions_credit_is_out():
    """Streams together hold no more than the session grants."""
    pair = Pair()
    streams = [pair.open() for _ in range(3)]
    for stream in streams:
        pair.relay.send_data(stream, bytes(64 * KIB))

    received = sum(len(event.data) for event in pair.at_agent())

    assert received == AGENT_HELLO.session_credit
    assert pair.relay.statistics().bytes_queued == 3 * 64 * KIB - received


def test_an_end_costs_no_credit():
    """A body without bytes gets through where no byte does."""
    pair = Pair()
    full = [pair.open() for _ in range(2)]
    empty = pair.open()
    for stream in full:
        pair.relay.send_data(stream, bytes(80 * KIB))
    pair.at_agent()
    assert pair.relay.statistics().bytes_queued == 32 * KIB

    pair.relay.end_stream(empty)

    assert pair.at_agent() == [DataReceived(empty, b"", is_ended=True)]


@pytest.mark.parametrize("length", [64 * KIB + 1, 128 * KIB])
def test_data_beyond_the_streams_credit_is_refused(length):
    """A sender is held to it."""
    pair = Pair()
    pair.open()

    with pytest.raises(ProtocolError, match="beyond the credit"):
        pair.agent.receive_data(frame_of(FrameType.DATA, bytes(length), stream=1), 0.0)


def test_data_beyond_the_sessions_credit_is_refused():
    """Also where it is spread over streams, ended ones included."""
    pair = Pair()
    ended, first, second = (pair.open() for _ in range(3))
    for stream in (ended, first):
        pair.agent.receive_data(frame_of(FrameType.DATA, bytes(64 * KIB), stream=stream), 0.0)
    pair.agent.reset_stream(ended, ResetCode.INTERNAL, "")

    for stream in (second, ended):
        with pytest.raises(ProtocolError, match="beyond the credit"):
            pair.agent.receive_data(frame_of(FrameType.DATA, b"x", stream=stream), 0.0)


@pytest.mark.parametrize("stream", [0, 1])
def test_credit_beyond_the_limit_is_refused(stream):
    """Of the stream and of the session."""
    pair = Pair()
    pair.open()

    with pytest.raises(ProtocolError, match=r"2\^31-1"):
        pair.agent.receive_data(
            frame_of(FrameType.CREDIT, encode_credit(2**31 - 1), stream=stream), 0.0
        )


def test_a_half_that_has_ended_gets_no_more_credit():
    """Only the session's is granted again."""
    pair = Pair()
    stream = pair.open()
    pair.relay.send_data(stream, bytes(64 * KIB), is_ended=True)
    pair.at_agent()

    pair.agent.consumed(stream, 64 * KIB)

    assert frames_of(pair.agent) == [Frame(FrameType.CREDIT, 0, 0, encode_credit(64 * KIB))]


def test_more_cannot_be_consumed_than_was_received():
    """A byte counted twice by the shell is found at once."""
    pair = Pair()
    stream = pair.open()
    pair.relay.send_data(stream, b"four")
    pair.at_agent()

    with pytest.raises(LocalError, match="given back"):
        pair.agent.consumed(stream, 5)


# --- turns ------------------------------------------------------------------------------


def test_a_small_body_is_not_queued_behind_megabytes():
    """It is out within one turn of each of the others."""
    wide = replace(AGENT_HELLO, stream_credit=2**24, session_credit=2**24)
    pair = Pair(agent=wide)
    large, small = pair.open(), pair.open()
    pair.relay.send_data(large, bytes(8 * 1024 * KIB))
    pair.relay.send_data(small, b"tiny", is_ended=True)

    frames = frames_of(pair.relay, DATA_PIECE_BYTES + 1)

    assert [(frame.stream, len(frame.payload)) for frame in frames] == [
        (large, DATA_PIECE_BYTES),
        (small, 4),
    ]


def test_a_head_is_not_queued_behind_megabytes():
    """Control frames go before all bodies."""
    pair = Pair()
    large = pair.open()
    pair.relay.send_data(large, bytes(1024 * KIB))

    pair.relay.open_stream(REQUEST, is_ended=True)

    assert frames_of(pair.relay)[0].type == FrameType.REQUEST


def test_one_flush_stops_at_its_measure():
    """The shell stops asking while its connection is full."""
    pair = Pair()
    stream = pair.open()
    pair.relay.send_data(stream, bytes(60 * KIB))

    none, one = frames_of(pair.relay, 0), frames_of(pair.relay, 1)

    assert none == []
    assert [len(frame.payload) for frame in one] == [DATA_PIECE_BYTES]


def test_streams_keep_their_places_while_the_sessions_credit_is_out():
    """Each grant serves the next in line, not the oldest stream again and again."""
    narrow = replace(AGENT_HELLO, session_credit=16 * KIB, stream_credit=1024 * KIB)
    pair = Pair(agent=narrow)
    streams = [pair.open() for _ in range(3)]
    for stream in streams:
        pair.relay.send_data(stream, bytes(32 * KIB))

    served = []
    for _ in range(6):
        for event in pair.at_agent():
            served.append(event.stream)
            pair.agent.consumed(event.stream, len(event.data))
        pair.at_relay()

    assert served == streams * 2


def test_a_stream_has_one_place_in_line():
    """However often its source puts something in."""
    pair = Pair()
    first, second = pair.open(), pair.open()
    for data in (b"", b"a", b"b", b"", b"c"):
        pair.relay.send_data(first, data)
    pair.relay.send_data(second, b"z")

    frames = frames_of(pair.relay)

    assert [frame.stream for frame in frames] == [first, second, first, first]


# --- a source that is faster ------------------------------------------------------------


def test_a_fast_source_is_told_to_pause_and_when_to_go_on():
    """Once, after half of what it queued is out."""
    wide = replace(AGENT_HELLO, stream_credit=1024 * KIB, session_credit=1024 * KIB)
    pair = Pair(agent=wide)
    stream = pair.open()

    assert pair.relay.send_data(stream, bytes(QUEUED_BYTES_MAX - KIB))
    assert not pair.relay.send_data(stream, bytes(2 * KIB))
    pair.relay.data_to_send(DATA_PIECE_BYTES)
    early = pair.relay.unblocked()
    pair.at_agent()

    assert early == []
    assert pair.relay.unblocked() == [stream]
    assert pair.relay.unblocked() == []


def test_a_source_of_crumbs_is_told_to_pause_as_well():
    """A body in chunks of a byte costs memory by the chunk."""
    pair = Pair()
    stream = pair.open()

    puts = 1
    while pair.relay.send_data(stream, b"x"):
        puts += 1

    assert puts < QUEUED_BYTES_MAX // 256 + 2


def test_a_source_that_goes_on_unasked_is_not_named():
    """`unblocked` speaks of this moment, not of one that has passed."""
    pair = Pair()
    stream = pair.open()
    pair.relay.send_data(stream, bytes(QUEUED_BYTES_MAX - 64 * KIB))
    pair.relay.send_data(stream, bytes(64 * KIB + 1))
    pair.at_agent()
    pair.agent.consumed(stream, 64 * KIB)
    pair.at_relay()
    pair.at_agent()

    pair.relay.send_data(stream, bytes(QUEUED_BYTES_MAX))

    assert pair.relay.unblocked() == []


def test_a_stream_that_ended_is_not_named():
    """Its source has heard of the end."""
    wide = replace(AGENT_HELLO, stream_credit=1024 * KIB, session_credit=1024 * KIB)
    pair = Pair(agent=wide)
    stream = pair.open()
    pair.relay.send_data(stream, bytes(QUEUED_BYTES_MAX + 1))
    pair.at_agent()

    pair.relay.reset_stream(stream, ResetCode.CANCELLED, "")

    assert pair.relay.unblocked() == []


# --- limits -----------------------------------------------------------------------------


def test_the_relay_opens_as_many_streams_as_the_agent_takes():
    """One more is possible as soon as one has ended."""
    pair = Pair(agent=replace(AGENT_HELLO, streams_max=2))
    first = pair.open()
    pair.open()

    full = pair.relay.can_open_stream()
    pair.agent.reset_stream(first, ResetCode.OVERLOADED, "")
    pair.at_relay()

    assert not full
    assert pair.relay.can_open_stream()


def test_more_streams_than_the_agent_takes_are_refused():
    """A relay is held to it."""
    pair = Pair(agent=replace(AGENT_HELLO, streams_max=1))
    pair.open()

    with pytest.raises(ProtocolError, match="allows: 1"):
        pair.agent.receive_data(frame_of(FrameType.REQUEST, REQUEST.encode(), stream=2), 0.0)


def test_the_last_stream_number_ends_the_session_in_good_order():
    """Numbers are never used twice."""
    pair = Pair()
    pair.relay._last_stream = STREAM_NUMBER_MAX - 1

    stream = pair.relay.open_stream(REQUEST, is_ended=True)

    assert stream == STREAM_NUMBER_MAX
    assert not pair.relay.can_open_stream()
    assert last_goaway(pair.relay) == "shutdown"


def test_a_relay_opens_no_streams_to_an_agent_that_never_reads():
    """Heads wait in a queue of bounded size."""
    pair = Pair(agent=replace(AGENT_HELLO, streams_max=1_000_000))
    head = HEAD._replace(headers=((b"Filler", b"x" * 60_000),))
    request = REQUEST._replace(head=head)

    while pair.relay.can_open_stream():
        stream = pair.relay.open_stream(request, is_ended=False)
        pair.relay.send_data(stream, b"body")
        pair.relay.reset_stream(stream, ResetCode.CANCELLED, "the caller left")

    assert pair.relay.statistics().control_bytes_queued < CONTROL_BYTES_MAX + 64 * KIB
    assert pair.relay.statistics().streams_open == 0
    assert not pair.relay._outgoing._turns


def ask_on_and_on(pair, side):
    """Make *side* answer one question after the other and never take its answers away."""
    if side == "agent":
        for stream in range(1, 10_000):
            request = frame_of(FrameType.REQUEST, REQUEST.encode(), stream=stream)
            reset = frame_of(FrameType.RESET, encode_reset(ResetCode.CANCELLED, ""), stream=stream)
            pair.agent.receive_data(request, 0.0)
            pair.agent.respond(stream, OK._replace(headers=((b"Filler", b"x" * 60_000),)))
            pair.agent.receive_data(reset, 0.0)
    else:
        for ref in range(100_000):
            pair.relay.receive_data(frame_of(FrameType.BIND, Bind(ref, "no").encode()), 0.0)
            pair.relay.refuse_bind(Refused(ref, "bad_name", "x" * 1024))


@pytest.mark.parametrize("side", ["relay", "agent"])
def test_a_peer_that_asks_on_and_never_reads_is_dropped(side):
    """Our answers are held up to a limit, not for ever."""
    pair = Pair()
    session = getattr(pair, side)

    with pytest.raises(ProtocolError, match="reads no answer"):
        ask_on_and_on(pair, side)

    assert session.statistics().control_bytes_queued < 2 * CONTROL_BYTES_MAX + 128 * KIB


def test_interim_heads_are_dropped_for_a_peer_that_never_reads():
    """They are a courtesy; the final head is not dropped."""
    pair = Pair()
    stream = pair.open()
    hints = ResponseHead(103, b"", ((b"Filler", b"x" * 60_000),))

    for _ in range(200):
        pair.agent.respond(stream, hints)
    pair.agent.respond(stream, OK, is_ended=True)

    assert pair.agent.statistics().control_bytes_queued < CONTROL_BYTES_MAX + 128 * KIB
    assert pair.at_relay()[-1] == ResponseReceived(stream, OK, is_ended=True)


# --- liveness ---------------------------------------------------------------------------


def test_a_silent_side_is_asked_and_its_answer_measured():
    """Time is an argument: nothing here waits."""
    pair = Pair()
    assert pair.relay.next_deadline() == pair.now + 10

    pair.now += 10
    assert pair.relay.handle_timeout(pair.now) == []
    pair.now += 0.25
    assert pair.at_agent() == []
    answered = pair.at_relay()

    assert answered == [LatencyMeasured(0.25)]
    assert pair.relay.next_deadline() == pair.now + 10


def test_a_side_that_stays_silent_is_given_up():
    """Asked at 10 s, gone at 25 s."""
    pair = Pair()

    early = pair.relay.handle_timeout(pair.now + 9)
    asked = pair.relay.handle_timeout(pair.now + 10)
    again = pair.relay.handle_timeout(pair.now + 11)
    still = pair.relay.handle_timeout(pair.relay.next_deadline())
    gone = pair.relay.handle_timeout(pair.relay.next_deadline())

    assert [early, asked, again, still] == [[], [], [], []]
    assert [frame.type for frame in frames_of(pair.relay)] == [FrameType.PING]
    assert gone == [PeerSilent(25.0)]


def test_any_bytes_count_as_heard():
    """Half a frame is a sign of life."""
    pair = Pair()

    pair.relay.receive_data(b"\0", pair.now + 9)

    assert pair.relay.next_deadline() == pair.now + 19


@pytest.mark.parametrize("seconds", [float("nan"), float("-inf"), 0.0])
def test_an_answer_to_no_question_measures_nothing(seconds):
    """The other side cannot invent a latency."""
    pair = Pair()

    events = pair.relay.receive_data(frame_of(FrameType.PONG, struct.pack("!d", seconds)), 0.0)

    assert events == []


@pytest.mark.parametrize("type_", [FrameType.PING, FrameType.PONG])
@pytest.mark.parametrize("length", [0, 7, 9])
def test_a_ping_is_eight_bytes(type_, length):
    """And so is its answer."""
    with pytest.raises(ProtocolError, match="eight bytes"):
        Pair().relay.receive_data(frame_of(type_, bytes(length)), 0.0)


# --- the end ----------------------------------------------------------------------------


def test_goaway_lets_open_streams_run_to_their_end():
    """A replaced session is drained, then closed."""
    pair = Pair()
    stream = pair.open(is_ended=True)

    pair.relay.go_away("replaced", "the same agent came back")
    pair.relay.go_away("shutdown", "said once")
    told = pair.at_agent()
    draining = pair.relay.is_finished, pair.agent.is_finished
    pair.agent.respond(stream, OK, is_ended=True)
    answered = pair.at_relay()

    assert told == [GoawayReceived(Goaway("replaced", "the same agent came back"))]
    assert pair.agent.is_going_away
    assert not pair.relay.can_open_stream()
    assert draining == (False, False)
    assert answered == [ResponseReceived(stream, OK, is_ended=True)]
    assert pair.relay.is_finished
    assert pair.agent.is_finished


def test_a_goaway_that_waits_is_still_to_be_said():
    """A session is not finished while its last words are unsent."""
    pair = Pair()

    pair.relay.go_away("shutdown", "")

    assert not pair.relay.is_finished
    pair.at_agent()
    assert pair.relay.is_finished


def test_a_request_that_crosses_the_agents_goaway_is_served():
    """So the agent leaves the closing to the relay, which knows what it has opened."""
    pair = Pair()
    stream = pair.relay.open_stream(REQUEST, is_ended=True)
    pair.agent.go_away("shutdown", "stopped by hand")
    pair.at_relay()

    alone = pair.agent.is_finished
    crossed = pair.at_agent()
    pair.agent.respond(stream, OK, is_ended=True)
    answered = pair.at_relay()

    assert not alone
    assert [event.stream for event in crossed] == [stream]
    assert answered == [ResponseReceived(stream, OK, is_ended=True)]
    assert pair.relay.is_finished
    assert not pair.agent.is_finished


def test_statistics_count_what_is_there():
    """Open streams, queued bodies and queued frames."""
    pair = Pair()
    pair.open()
    stream = pair.relay.open_stream(REQUEST, is_ended=False)
    pair.relay.send_data(stream, b"four")

    statistics = pair.relay.statistics()

    assert statistics.streams_open == statistics.streams_opened == 2
    assert statistics.bytes_queued == 4
    assert statistics.control_bytes_queued == len(REQUEST.encode()) + 9


def test_a_side_that_never_says_hello_is_dropped_however_much_it_sends():
    """Frames of unknown types are ignored, and do not keep a session without HELLO alive."""
    session = Session(Role.RELAY, RELAY_HELLO, now=0.0)
    unknown = b"\x00\x00\x00\x7f\x00\x00\x00\x00\x00"

    for second in range(25):
        session.receive_data(unknown, now=float(second))

    assert session.handle_timeout(25.0) == [PeerSilent(25.0)]
