"""
Traces of lanes, rule by rule of SPEC.md section 6.

What a stream carries over the move is compared byte by byte: nothing is lost, doubled or
out of order, wherever the move falls and whichever connection is the faster one.
"""

import struct
from dataclasses import replace
from itertools import pairwise

import pytest
from pair import AGENT_HELLO, CONTINUE, KIB, OK, REQUEST, Pair, frames_of, is_clean

from hookloop.errors import LocalError, ProtocolError
from hookloop.tunnel.wire.events import (
    DataReceived,
    LaneInvited,
    LaneOpened,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
)
from hookloop.tunnel.wire.frames import END, FrameType, encode_frame
from hookloop.tunnel.wire.lanes import (
    BULK_BYTES,
    LANE_LOOK_SECONDS,
    LANE_SAYS_SECONDS,
    LANE_SILENCE_SECONDS_MAX,
    LANE_UNREAD_MAX,
)
from hookloop.tunnel.wire.messages import ResetCode
from hookloop.tunnel.wire.raw import Connect

LANE = 7
PING = encode_frame(FrameType.PING, bytes(8))
BODY = bytes(range(256)) * 1024  # 256 KiB, and no two pieces of it alike within 64 KiB


class LanedPair(Pair):
    """A pair with one lane; bytes of a lane are carried apart from those of the session."""

    def __init__(self, **hellos):
        super().__init__(**hellos)
        for session in (self.agent, self.relay):
            session.lanes.add(LANE, self.now)
        assert self.lane_at_relay() == [LaneOpened(LANE)]

    def lane_at_relay(self):
        return self._carry_lane(self.agent, self.relay)

    def lane_at_agent(self):
        return self._carry_lane(self.relay, self.agent)

    def _carry_lane(self, source, target):
        events = []
        while buffers := source.lanes.data_to_send(LANE, self.now):
            events += target.receive_lane_data(LANE, b"".join(buffers), self.now)
        return events

    def move(self, stream):
        """Move both halves, and let both sides know."""
        self.relay.lanes.move(stream, LANE)
        assert self.at_agent() == []
        assert self.at_relay() == []


def body_of(events):
    return b"".join(event.data for event in events if isinstance(event, DataReceived))


def answering():
    """Return a pair whose stream 1 has its response head."""
    pair = LanedPair()
    pair.open()
    pair.agent.respond(1, OK)
    pair.at_relay()
    return pair


# --- how a lane comes to be ---------------------------------------------------------------


def test_the_relay_invites_and_the_agent_speaks_first():
    """The relay moves nothing there before it has heard that the way is free."""
    pair = Pair()

    pair.relay.lanes.invite(LANE, "tkt_once")
    invited = pair.at_agent()
    pair.relay.lanes.add(LANE, pair.now)
    before = pair.relay.lanes.free()
    pair.agent.lanes.add(LANE, pair.now)
    hello = b"".join(pair.agent.lanes.data_to_send(LANE, pair.now))
    opened = pair.relay.receive_lane_data(LANE, hello, pair.now)

    assert invited == [LaneInvited(LANE, "tkt_once")]
    assert (before, opened, pair.relay.lanes.free()) == ([], [LaneOpened(LANE)], [LANE])


def test_a_side_says_something_on_a_lane_every_ten_seconds_and_nobody_answers():
    """A proxy cuts what is silent; a side that has stopped reading could not answer."""
    pair = LanedPair()

    for session in (pair.relay, pair.agent):
        assert session.lanes.handle_timeout(LANE, pair.now + LANE_SAYS_SECONDS)
    at_agent = pair.lane_at_agent()

    assert at_agent == pair.lane_at_relay() == []
    assert pair.relay.lanes.data_to_send(LANE, pair.now) == []


def test_a_lane_says_something_within_ten_seconds_whenever_one_looks():
    """
    Found behind a proxy that cuts what is idle for 12 s.

    A look comes a little late, and what it says is said a little later.
    """
    pair = LanedPair()
    said, now = [pair.now], pair.now

    while now < pair.now + 60:
        now += LANE_LOOK_SECONDS + 0.01
        pair.relay.lanes.handle_timeout(LANE, now)
        pair.relay.receive_lane_data(LANE, PING, now)
        if pair.relay.lanes.data_to_send(LANE, now + 0.001):
            said.append(now)

    assert max(later - earlier for earlier, later in pairwise(said)) <= 10
    assert len(said) >= 6


def test_a_lane_that_is_silent_for_too_long_is_dead():
    """Unless it is us who do not listen."""
    pair = answering()
    pair.move(1)
    late = pair.now + LANE_SILENCE_SECONDS_MAX

    assert not pair.relay.lanes.handle_timeout(LANE, late)

    pair.agent.send_data(1, BODY + BODY[:1])
    pair.lane_at_relay()
    assert not pair.relay.lanes.may_read(LANE)
    assert pair.relay.lanes.handle_timeout(LANE, late)


# --- the move -----------------------------------------------------------------------------


def test_a_download_moves_in_the_middle():
    """The bytes before the move come on the session, those after it on the lane."""
    pair = answering()
    pair.agent.send_data(1, BODY[: 10 * KIB])
    before = pair.at_relay()
    pair.move(1)

    pair.agent.send_data(1, BODY[10 * KIB :], is_ended=True)
    on_session = pair.at_relay()
    on_lane = pair.lane_at_relay()

    assert on_session == []
    assert body_of(before + on_lane) == BODY
    assert on_lane[-1].is_ended
    assert is_clean(pair.relay.statistics())
    assert is_clean(pair.agent.statistics())


def test_what_was_queued_goes_over_with_the_stream():
    """A sender out of credit does not leave its bytes behind."""
    pair = answering()
    pair.agent.send_data(1, BODY, is_ended=True)  # four times the credit of the stream
    before = pair.at_relay()

    pair.move(1)
    after = pair.lane_at_relay()

    assert 0 < len(body_of(before)) < len(BODY)
    assert body_of(before + after) == BODY
    assert after[-1].is_ended


def test_an_upload_moves_with_its_trailers():
    """The other half, and another end."""
    pair = LanedPair()
    pair.open()
    pair.relay.send_data(1, BODY)
    pair.relay.end_stream(1, ((b"Checksum", b"abc"),))
    before = pair.at_agent()

    pair.move(1)
    after = pair.lane_at_agent()

    assert body_of(before + after) == BODY
    assert after[-1] == TrailersReceived(1, ((b"Checksum", b"abc"),))


def test_a_stream_may_move_before_its_response():
    """The head comes on the lane then, before the body it belongs to."""
    pair = LanedPair()
    pair.open()
    pair.move(1)

    pair.agent.respond(1, CONTINUE)
    pair.agent.respond(1, OK)
    pair.agent.send_data(1, b"body", is_ended=True)

    assert pair.at_relay() == []
    assert pair.lane_at_relay() == [
        ResponseReceived(1, CONTINUE, is_ended=False),
        ResponseReceived(1, OK, is_ended=False),
        DataReceived(1, b"body", is_ended=True),
    ]


def test_a_short_response_of_a_moved_stream_is_one_frame_there_too():
    """Head, body and end in one, as on the session."""
    pair = LanedPair()
    pair.open(is_ended=True)
    pair.move(1)

    pair.agent.respond(1, OK, b"all of it", is_ended=True, digest=bytes(32))
    [event] = pair.lane_at_relay()
    pair.relay.consumed(1, len(event.body))

    assert event == ResponseReceived(1, OK, True, b"all of it", bytes(32))
    assert not pair.relay.lanes.moved


def test_a_raw_stream_moves_both_ways_and_half_closes_there():
    """As an upgraded connection does."""
    pair = LanedPair()
    stream = pair.relay.open_raw_stream(Connect("tcp-1", "192.0.2.7:50000"))
    pair.at_agent()
    pair.agent.send_data(stream, b"hel")
    pair.relay.send_data(stream, b"pi")
    heard = pair.at_relay(), pair.at_agent()

    pair.move(stream)
    pair.agent.send_data(stream, b"lo", is_ended=True)
    pair.relay.send_data(stream, b"ng")
    heard_there = pair.lane_at_relay(), pair.lane_at_agent()
    pair.relay.end_stream(stream)
    ended = pair.lane_at_agent()

    assert [body_of(a + b) for a, b in zip(heard, heard_there, strict=True)] == [b"hello", b"ping"]
    assert ended == [DataReceived(stream, b"", is_ended=True)]
    assert is_clean(pair.relay.statistics())
    assert is_clean(pair.agent.statistics())


@pytest.mark.parametrize("side", ["relay", "agent"])
def test_a_lane_that_is_faster_than_the_session_waits_for_it(side):
    """What comes on the lane before the session has told of the move is held, and no more read."""
    pair = LanedPair()
    pair.open()
    pair.relay.lanes.move(1, LANE)
    if side == "agent":
        sender, receiver, carry = pair.relay, pair.agent, pair.at_agent
        sender.send_data(1, b"first on the lane")
        on_lane = pair.lane_at_agent()
    else:
        pair.at_agent()
        sender, receiver, carry = pair.agent, pair.relay, pair.at_relay
        sender.respond(1, OK)
        sender.send_data(1, b"first on the lane")
        on_lane = pair.lane_at_relay()
    was_reading = receiver.lanes.may_read(LANE)

    then = carry()

    assert (on_lane, was_reading) == ([], False)
    assert body_of(then) == b"first on the lane"
    assert receiver.lanes.may_read(LANE)


def test_a_lane_that_overtakes_the_request_itself_waits_for_it():
    """A lane that is used again: its next stream is not known yet."""
    pair = LanedPair()
    stream = pair.relay.open_stream(REQUEST, is_ended=False)
    pair.relay.lanes.move(stream, LANE)
    pair.relay.send_data(stream, b"early", is_ended=True)

    early = pair.lane_at_agent()
    events = pair.at_agent()

    assert early == []
    assert [type(event).__name__ for event in events] == ["RequestReceived", "DataReceived"]
    assert body_of(events) == b"early"


def test_a_lane_carries_one_stream_after_the_other():
    """It is free once the relay has seen the end of the one before."""
    pair = answering()
    pair.move(1)
    busy = pair.relay.lanes.free()
    pair.agent.send_data(1, b"one", is_ended=True)
    one = pair.lane_at_relay()

    pair.open()
    pair.move(2)
    pair.agent.respond(2, OK)
    pair.agent.send_data(2, b"two", is_ended=True)

    assert busy == []
    assert body_of(one) == b"one"
    assert body_of(pair.lane_at_relay()) == b"two"
    assert pair.relay.lanes.free() == [LANE]


# --- credit and slow readers ---------------------------------------------------------------


def test_bytes_on_a_lane_cost_no_credit():
    """The session's is there for the small ones: all of it comes back."""
    pair = answering()
    pair.agent.send_data(1, BODY[: 10 * KIB])
    before = pair.at_relay()
    pair.move(1)
    for _ in range(8):
        pair.agent.send_data(1, BODY)
    after = pair.lane_at_relay()

    credit = [frame for frame in frames_of(pair.relay) if frame.type == FrameType.CREDIT]
    pair.relay.consumed(1, len(body_of(before + after)))

    assert len(body_of(after)) == 8 * len(BODY)
    assert credit == []
    assert pair.relay._allowance.held == 0
    assert pair.relay.lanes.moved[1].on_lane == 0


def test_a_slow_reader_stops_the_reading_of_its_lane():
    """And takes it up again once the bytes have left."""
    pair = answering()
    pair.move(1)

    pair.agent.send_data(1, bytes(LANE_UNREAD_MAX + 1))
    pair.lane_at_relay()
    stopped = pair.relay.lanes.may_read(LANE)
    pair.relay.consumed(1, 1)

    assert (stopped, pair.relay.lanes.may_read(LANE)) == (False, True)


def test_bytes_of_a_stream_that_has_ended_are_still_paid_for():
    """Those of the session by credit, those of the lane by reading on."""
    pair = answering()
    pair.agent.send_data(1, bytes(10 * KIB))
    pair.at_relay()
    pair.move(1)
    pair.agent.send_data(1, bytes(LANE_UNREAD_MAX), is_ended=True)
    pair.lane_at_relay()

    pair.relay.consumed(1, 4 * KIB)
    pair.relay.consumed(1, 6 * KIB + LANE_UNREAD_MAX)

    assert pair.relay._allowance.held == 0
    assert not pair.relay.lanes.moved
    with pytest.raises(LocalError):
        pair.relay.consumed(1, 1)


def test_more_than_was_held_is_not_given_back():
    """We would read on where nothing has left."""
    pair = answering()
    pair.move(1)
    pair.agent.send_data(1, b"four")
    pair.lane_at_relay()

    with pytest.raises(LocalError, match="5 bytes given back, where 4 are held"):
        pair.relay.consumed(1, 5)


def test_the_source_pauses_while_its_lane_is_full():
    """As on the session."""
    pair = answering()
    pair.move(1)

    may_go_on = pair.agent.send_data(1, BODY)
    first = pair.agent.unblocked()
    pair.lane_at_relay()

    assert (may_go_on, first, pair.agent.unblocked()) == (False, [], [1])


def test_a_stream_is_bulk_once_it_has_carried_so_much_in_both_directions():
    """It is told once."""
    pair = LanedPair()
    pair.open()
    pair.relay.send_data(1, bytes(BULK_BYTES // 2))
    pair.agent.respond(1, OK)
    for _ in range(16):
        pair.agent.send_data(1, bytes(BULK_BYTES // 32))
        for event in pair.at_relay():
            pair.relay.consumed(1, len(event.data) if isinstance(event, DataReceived) else 0)
        pair.at_agent()
    before = pair.relay.lanes.bulk()
    pair.agent.send_data(1, b"x")
    pair.at_relay()

    assert (before, pair.relay.lanes.bulk(), pair.relay.lanes.bulk()) == ([], [1], [])


# --- ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["relay", "agent"])
def test_a_lost_lane_ends_the_streams_on_it_and_nothing_else(side):
    """The other side learns of it on the session."""
    pair = answering()
    other = pair.open()
    pair.move(1)
    session = getattr(pair, side)

    told = session.lanes.lost(LANE)
    at_the_other = pair.at_agent() if side == "relay" else pair.at_relay()

    broken = StreamReset(1, ResetCode.UPSTREAM_BROKEN, "a data connection was lost")
    assert told == at_the_other == [broken]
    assert pair.relay.has_stream(other)
    assert pair.agent.has_stream(other)
    assert session.lanes.lost(LANE) == []


def test_a_move_to_a_lane_that_was_lost_meanwhile_breaks_the_stream():
    """The relay could not know."""
    pair = answering()
    pair.agent.lanes.lost(LANE)
    pair.relay.lanes.move(1, LANE)

    [at_agent], [at_relay] = pair.at_agent(), pair.at_relay()

    assert at_agent == at_relay
    assert at_agent.code is ResetCode.UPSTREAM_BROKEN


@pytest.mark.parametrize("side", ["relay", "agent"])
def test_a_reset_of_a_moved_stream_frees_its_lane(side):
    """It goes by the session, past what is on the lane, which is then ignored."""
    pair = answering()
    pair.move(1)
    pair.agent.send_data(1, BODY)
    getattr(pair, side).reset_stream(1, ResetCode.CANCELLED, "enough")
    pair.at_agent()
    pair.at_relay()

    late = pair.lane_at_relay()

    assert late == []
    assert pair.relay.lanes.free() == [LANE]
    assert pair.relay.lanes.may_read(LANE)
    assert is_clean(pair.agent.statistics())


def test_a_move_may_cross_the_end_of_its_stream():
    """The agent had said all on the session: there is nothing left to move."""
    pair = answering()
    pair.agent.end_stream(1)
    pair.relay.lanes.move(1, LANE)

    assert pair.at_agent() == []
    assert pair.at_relay() == [DataReceived(1, b"", is_ended=True)]
    assert pair.relay.lanes.free() == [LANE]


def test_goaway_waits_for_streams_on_lanes():
    """They are streams like any other."""
    pair = answering()
    pair.move(1)
    pair.relay.go_away("shutdown", "bye")
    pair.at_agent()
    early = pair.relay.is_finished

    pair.agent.send_data(1, b"the rest", is_ended=True)
    pair.lane_at_relay()
    pair.at_relay()

    assert (early, pair.relay.is_finished) == (False, True)
    assert not pair.agent.is_finished  # what it sent on the lane may be on its way still
    pair.agent.lanes.lost(LANE)
    assert pair.agent.is_finished


def test_a_moved_stream_does_not_count_against_the_streams_of_the_session():
    """
    Found by the simulation (seed 20).

    The relay has heard and said all of a raw stream, and opens the next one on the session:
    its last frame on the lane comes later.
    """
    narrow = {"stream_credit": 64 * KIB, "session_credit": 64 * KIB, "streams_max": 1}
    pair = LanedPair(agent=replace(AGENT_HELLO, **narrow))
    first = pair.relay.open_raw_stream(Connect("tcp-1", "192.0.2.7:50000"))
    pair.at_agent()
    pair.move(first)
    pair.agent.end_stream(first)
    pair.lane_at_relay()
    pair.relay.end_stream(first)
    late = b"".join(pair.relay.lanes.data_to_send(LANE, pair.now))

    second = pair.open(is_ended=True)

    assert pair.agent.has_stream(first)
    assert pair.agent.has_stream(second)
    assert not pair.relay.can_open_stream()
    pair.agent.receive_lane_data(LANE, late, pair.now)
    assert not pair.agent.has_stream(first)


def test_a_half_that_had_ended_before_it_moved_owes_nothing():
    """Found by the simulation (seed 16): all of it was consumed, and is not owed again."""
    pair = LanedPair()
    stream = pair.relay.open_raw_stream(Connect("tcp-1", "192.0.2.7:50000"))
    pair.at_agent()
    pair.agent.send_data(stream, b"all of it", is_ended=True)
    pair.at_relay()
    pair.relay.consumed(stream, 9)

    pair.move(stream)
    pair.relay.end_stream(stream)
    pair.lane_at_agent()

    assert not pair.relay.lanes.moved
    assert is_clean(pair.relay.statistics())


# --- what is refused ------------------------------------------------------------------------


def test_a_stream_moves_once_and_only_the_relay_moves_it():
    """And not before an upgrade is answered."""
    pair = answering()
    asked = pair.relay.open_upgrade(REQUEST)
    pair.at_agent()
    pair.move(1)

    for session, stream in ((pair.relay, 1), (pair.relay, asked), (pair.agent, 2), (pair.relay, 9)):
        with pytest.raises(LocalError, match="cannot move"):
            session.lanes.move(stream, LANE)


def move_frame(stream, lane=LANE):
    return encode_frame(FrameType.MOVE, struct.pack("!I", lane), stream=stream)


@pytest.mark.parametrize("lane", [LANE, 8])
def test_an_agent_cannot_move_what_the_relay_did_not(lane):
    """It can only answer."""
    pair = answering()

    with pytest.raises(ProtocolError, match="MOVE of stream 1"):
        pair.relay.receive_data(move_frame(1, lane), 0.0)


def test_a_second_move_is_refused():
    """From either side."""
    pair = answering()
    pair.move(1)

    for session in (pair.relay, pair.agent):
        with pytest.raises(ProtocolError, match="MOVE of stream 1"):
            session.receive_data(move_frame(1), 0.0)


@pytest.mark.parametrize("type_", [FrameType.RESPONSE, FrameType.DATA, FrameType.TRAILERS])
def test_what_comes_on_the_session_behind_a_move_is_refused(type_):
    """The byte at which the stream moved would mean nothing."""
    pair = answering()
    pair.move(1)
    payload = {FrameType.RESPONSE: b"200\0", FrameType.DATA: b"x", FrameType.TRAILERS: b"a\0b"}

    with pytest.raises(ProtocolError, match="another way"):
        pair.relay.receive_data(encode_frame(type_, payload[type_], stream=1), 0.0)


@pytest.mark.parametrize(
    "type_", [FrameType.HELLO, FrameType.GOAWAY, FrameType.RESET, FrameType.CREDIT, FrameType.MOVE]
)
def test_a_lane_carries_nothing_of_the_session(type_):
    """It is there for heads, bodies and their ends; unknown types are ignored, as ever."""
    pair = LanedPair()
    pair.relay.receive_lane_data(LANE, bytes.fromhex("000000 7f 00 00000000"), 0.0)

    with pytest.raises(ProtocolError, match="on a lane"):
        pair.relay.receive_lane_data(LANE, encode_frame(type_, bytes(4), stream=1), 0.0)

    assert pair.relay.is_going_away


def test_a_stream_of_another_lane_is_refused():
    """A stream goes one way."""
    pair = answering()
    for session in (pair.agent, pair.relay):
        session.lanes.add(8, pair.now)
    pair.move(1)

    with pytest.raises(ProtocolError, match="another way"):
        pair.relay.receive_lane_data(8, encode_frame(FrameType.DATA, b"x", stream=1), 0.0)


def test_the_end_of_a_half_binds_on_a_lane_too():
    """The table of moves is the same."""
    pair = LanedPair()
    pair.open()
    pair.move(1)
    frame = encode_frame(FrameType.DATA, b"x", stream=1, flags=END)
    pair.agent.receive_lane_data(LANE, frame, 0.0)

    with pytest.raises(ProtocolError, match="at DONE"):
        pair.agent.receive_lane_data(LANE, frame, 0.0)


def test_bytes_of_a_lane_that_is_gone_are_dropped():
    """A read may be on its way when the loss is noticed."""
    pair = LanedPair()
    pair.relay.lanes.lost(LANE)

    assert pair.relay.receive_lane_data(LANE, b"anything", 0.0) == []
    assert pair.relay.lanes.data_to_send(LANE, 0.0) == []
    assert not pair.relay.lanes.handle_timeout(LANE, 0.0)
