"""
Laws of the session, for any input and any order of things.

Chunking: how the network chops the bytes changes nothing. Rejection: any bytes are
events or a `ProtocolError`. Credit and delivery: see `Traffic`.
"""

from collections import defaultdict
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pair import AGENT_HELLO, CONTINUE, KIB, OK, RELAY_HELLO, REQUEST, Pair, is_clean

from hookloop.errors import ProtocolError
from hookloop.exchange import ResponseHead
from hookloop.tunnel.wire.events import (
    DataReceived,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
)
from hookloop.tunnel.wire.frames import END, UPGRADE, FrameDecoder, FrameType, encode_frame
from hookloop.tunnel.wire.messages import Bind, Bound, ResetCode, decode_credit
from hookloop.tunnel.wire.raw import Connect
from hookloop.tunnel.wire.session import DATA_PIECE_BYTES, Role, Session

SIDES = ("relay", "agent")
STREAMS_OPEN = 3
SWITCHING = ResponseHead(101, b"", ((b"Upgrade", b"websocket"),))


def receivers(side, count=1):
    """Return *side* of that many equal pairs, with the same streams open."""
    pairs = [Pair() for _ in range(count)]
    for pair in pairs:
        for _ in range(STREAMS_OPEN):
            pair.open()
    return [getattr(pair, side) for pair in pairs]


@st.composite
def streams_of_bytes(draw, side):
    """Return bytes that *side* may send to a `receivers` of the other side."""
    pair = Pair()
    for _ in range(STREAMS_OPEN):
        pair.open()
    session = getattr(pair, side)
    numbers = list(range(1, STREAMS_OPEN + 1))
    for number in numbers:
        if side == "agent":
            for _ in range(draw(st.integers(0, 2))):
                session.respond(number, CONTINUE)
            session.respond(number, OK)
    for _ in range(draw(st.integers(0, 6))):
        session.send_data(draw(st.sampled_from(numbers)), draw(st.binary(max_size=20)))
    for number in numbers:
        ending = draw(st.sampled_from(["open", "end", "trailers", "reset"]))
        if ending == "end":
            session.send_data(number, draw(st.binary(max_size=20)), is_ended=True)
        elif ending == "trailers":
            session.end_stream(number, ((b"name", b"value"),))
        elif ending == "reset":
            session.reset_stream(number, ResetCode.CANCELLED, "why")
    if side == "agent":
        session.bind(Bind(1, "shop"))
    else:
        session.open_stream(REQUEST, is_ended=draw(st.booleans()))
        session.open_upgrade(REQUEST)
        raw = session.open_raw_stream(Connect("tcp-1", "192.0.2.7:50000"))
        session.send_data(raw, draw(st.binary(max_size=20)), is_ended=draw(st.booleans()))
        session.accept_bind(Bound(1, "shop", "http://shop.tun.example"))
    session.handle_timeout(pair.now + 10)
    session.go_away("shutdown", "bye")
    return b"".join(session.data_to_send())


def other(side):
    return SIDES[1 - SIDES.index(side)]


@given(st.sampled_from(SIDES), st.data())
def test_chunking_changes_nothing(side, data):
    """Any split gives the same events, the same answers and the same state."""
    sent = data.draw(streams_of_bytes(other(side)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)))))
    whole, chopped = receivers(side, 2)

    expected = whole.receive_data(sent, 1000.0)
    events = []
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        events += chopped.receive_data(sent[start:end], 1000.0)

    assert events == expected
    assert chopped.data_to_send() == whole.data_to_send()
    assert chopped.statistics() == whole.statistics()


@given(st.sampled_from(Role), st.lists(st.binary(max_size=40)))
def test_any_bytes_to_a_new_session_are_rejected_or_understood(role, chunks):
    """Before the HELLO."""
    session = Session(role, AGENT_HELLO, 0.0)

    with suppress(ProtocolError):
        for chunk in chunks:
            session.receive_data(chunk, 0.0)

    session.data_to_send()


@given(st.sampled_from(SIDES), st.lists(st.binary(max_size=40)))
def test_any_bytes_to_an_open_session_are_rejected_or_understood(side, chunks):
    """After it, with streams open."""
    [session] = receivers(side)

    with suppress(ProtocolError):
        for chunk in chunks:
            session.receive_data(chunk, 0.0)

    session.data_to_send()


ODD_FRAMES = st.builds(
    encode_frame,
    st.sampled_from([t for t in FrameType if t is not FrameType.HELLO]),
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [
                REQUEST.encode(),
                b"200\0OK\0name\0value",
                b"100\0Continue",
                b"101\0",
                b"tcp-1\0a:1\0",
                b"name\0value",
                b'{"ref":1,"name":"shop","protocol":"http","url":"http://a","code":"c","message":""}',
                b"\0\0\0\1",
                bytes(20_000),
            ]
        ),
    ),
    stream=st.integers(0, STREAMS_OPEN + 2),
    flags=st.integers(0, 7),
)


@given(st.sampled_from(SIDES), st.lists(ODD_FRAMES, max_size=20))
def test_any_frames_are_rejected_or_understood(side, frames):
    """Sound frames in an unsound order reach deeper than random bytes do."""
    [session] = receivers(side)

    with suppress(ProtocolError):
        for frame in frames:
            session.receive_data(frame, 0.0)

    session.data_to_send()


@given(st.sampled_from(SIDES), st.data())
def test_a_mutated_conversation_is_rejected_or_understood(side, data):
    """Bytes changed, dropped and doubled in what was once sound."""
    sent = bytearray(data.draw(streams_of_bytes(other(side))))
    places = st.integers(0, len(sent) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        sent[place] = byte
    start, end = sorted((data.draw(places), data.draw(places)))
    sent[start:end] = sent[start:end] * data.draw(st.integers(0, 2))
    [session] = receivers(side)

    with suppress(ProtocolError):
        session.receive_data(bytes(sent), 0.0)

    session.data_to_send()


class Traffic(RuleBasedStateMachine):
    """
    Several exchanges at once over a slow network, with readers that take their time.

    Held at every step: no side sends DATA beyond what the other granted, on the
    stream and on the session; what arrives of a half is the start of what was sent,
    and all of it where the half has ended. Held at the end, when everything has
    been carried and read: nothing is left, and both sessions have all their credit.
    """

    def __init__(self):
        super().__init__()
        self.pair = Pair()
        # (side, stream) -> "head", "asked", "body" or "done", as that side's shell knows
        self.halves = {}
        self.upgrades = set()  # streams whose request asked for one
        self.raw = set()  # streams that are, or will be, without trailers
        self.wire = dict.fromkeys(SIDES, b"")  # on its way from that side
        self.watch = {side: (FrameDecoder(), FrameDecoder()) for side in SIDES}
        self.may_send = {  # by side: session and streams, lowered by DATA, raised by CREDIT
            "relay": defaultdict(lambda: AGENT_HELLO.stream_credit),
            "agent": defaultdict(lambda: RELAY_HELLO.stream_credit),
        }
        self.may_send["relay"][0] = AGENT_HELLO.session_credit
        self.may_send["agent"][0] = RELAY_HELLO.session_credit
        self.sent = defaultdict(bytes)  # (side, stream) -> body
        self.got = defaultdict(bytes)  # the same, at the other side
        self.held = defaultdict(int)  # (reading side, stream) -> bytes not yet consumed

    def session(self, side):
        return getattr(self.pair, side)

    def draw_half(self, data, *states):
        """Return a half that is in one of *states*."""
        return data.draw(st.sampled_from([key for key, at in self.halves.items() if at in states]))

    def has_half(self, *states):
        return any(at in states for at in self.halves.values())

    # --- what shells do -----------------------------------------------------------------

    @precondition(lambda self: self.pair.relay.can_open_stream())
    @rule(is_ended=st.sampled_from([False, False, True]))
    def open(self, is_ended):
        stream = self.pair.relay.open_stream(REQUEST, is_ended=is_ended)
        self.halves["relay", stream] = "done" if is_ended else "body"

    @precondition(lambda self: self.pair.relay.can_open_stream())
    @rule()
    def open_raw(self):
        stream = self.pair.relay.open_raw_stream(Connect("tcp-1", "192.0.2.7:50000"))
        self.halves["relay", stream] = "body"
        self.raw.add(stream)

    @precondition(lambda self: self.pair.relay.can_open_stream())
    @rule()
    def open_upgrade(self):
        stream = self.pair.relay.open_upgrade(REQUEST)
        self.halves["relay", stream] = "asked"

    @precondition(lambda self: self.has_half("head"))
    @rule(data=st.data(), head=st.sampled_from([CONTINUE, OK, OK]))
    def respond(self, data, head):
        side, stream = self.draw_half(data, "head")
        if head is OK and stream in self.upgrades and data.draw(st.booleans()):
            head = SWITCHING
            self.raw.add(stream)
        self.pair.agent.respond(stream, head)
        if head is not CONTINUE:
            self.halves[side, stream] = "body"

    @precondition(lambda self: self.has_half("body"))
    @rule(
        data=st.data(),
        length=st.sampled_from([0, 1, 100, 16 * KIB, 50 * KIB, 90 * KIB]),
        is_ended=st.booleans(),
    )
    def send(self, data, length, is_ended):
        side, stream = self.draw_half(data, "body")
        if not self.session(side).has_stream(stream):
            return
        start = len(self.sent[side, stream])
        body = bytes((start + i) % 251 for i in range(length))
        self.session(side).send_data(stream, body, is_ended=is_ended)
        self.sent[side, stream] += body
        if is_ended:
            self.halves[side, stream] = "done"

    @precondition(lambda self: self.has_half("body"))
    @rule(data=st.data(), trailers=st.sampled_from([(), ((b"a", b"b"),)]))
    def end(self, data, trailers):
        side, stream = self.draw_half(data, "body")
        self.session(side).end_stream(stream, () if stream in self.raw else trailers)
        self.halves[side, stream] = "done"

    @precondition(lambda self: self.halves)
    @rule(data=st.data())
    def reset(self, data):
        side, stream = self.draw_half(data, "head", "asked", "body", "done")
        self.session(side).reset_stream(stream, ResetCode.CANCELLED, "why")
        self.halves[side, stream] = "done"

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data())
    def consume(self, data):
        key = data.draw(st.sampled_from([key for key, held in self.held.items() if held]))
        length = data.draw(st.integers(1, self.held[key]))
        self.held[key] -= length
        side, stream = key
        self.session(side).consumed(stream, length)

    # --- what the network does ----------------------------------------------------------

    @rule(side=st.sampled_from(SIDES), most=st.sampled_from([0, 1, DATA_PIECE_BYTES, 64 * KIB]))
    def flush(self, side, most):
        sent = b"".join(self.session(side).data_to_send(most))
        self.wire[side] += sent
        for frame in self.watch[side][0].receive_data(sent):
            if frame.type == FrameType.DATA:
                assert frame.payload or frame.flags & END
                for payer in (0, frame.stream):
                    self.may_send[side][payer] -= len(frame.payload)
                    assert self.may_send[side][payer] >= 0

    @precondition(lambda self: any(self.wire.values()))
    @rule(data=st.data())
    def carry(self, data):
        side = data.draw(st.sampled_from([side for side in SIDES if self.wire[side]]))
        self.carry_some(side, data.draw(st.integers(1, len(self.wire[side]))))

    def carry_some(self, side, length):
        arrived, self.wire[side] = self.wire[side][:length], self.wire[side][length:]
        reader = other(side)
        for frame in self.watch[side][1].receive_data(arrived):
            if frame.type == FrameType.CREDIT:
                self.may_send[reader][frame.stream] += decode_credit(frame.payload)
            elif frame.type == FrameType.REQUEST:
                self.halves["agent", frame.stream] = "head"
                if frame.flags & UPGRADE:
                    self.upgrades.add(frame.stream)
            elif frame.type == FrameType.CONNECT:
                self.halves["agent", frame.stream] = "body"
        for event in self.session(reader).receive_data(arrived, self.pair.now):
            self.take(side, reader, event)

    def take(self, side, reader, event):
        """Do what the shell at *reader* does with an event."""
        if isinstance(event, StreamReset):
            self.halves[reader, event.stream] = "done"
            return
        is_final = isinstance(event, ResponseReceived) and event.head.status != 100
        if is_final and self.halves[reader, event.stream] == "asked":
            at = "body" if event.head.status == 101 else "done"
            self.halves[reader, event.stream] = at
        if isinstance(event, DataReceived):
            self.got[side, event.stream] += event.data
            self.held[reader, event.stream] += len(event.data)
        is_end = isinstance(event, TrailersReceived) or getattr(event, "is_ended", False)
        if is_end and hasattr(event, "stream") and (side, event.stream) in self.sent:
            assert self.got[side, event.stream] == self.sent[side, event.stream]

    @invariant()
    def what_arrives_is_the_start_of_what_was_sent(self):
        for key, got in self.got.items():
            assert self.sent[key].startswith(got)

    def teardown(self):
        self.settle()
        for (side, stream), at in self.halves.items():
            if at == "body":
                self.session(side).end_stream(stream)
            elif at == "head":
                self.session(side).respond(stream, OK, is_ended=True)
        self.settle()
        for side in SIDES:
            session, reader = self.session(side), self.session(other(side))
            assert is_clean(session.statistics())
            not_granted = reader._allowance._given_back
            assert session._outgoing.budget.left + not_granted == session.peer.session_credit

    def settle(self):
        """Carry and read until nothing moves any more."""
        while True:
            for side in SIDES:
                self.flush(side, 64 * KIB)
            if not any(self.wire.values()):
                return
            for side in SIDES:
                self.carry_some(side, len(self.wire[side]))
            for (side, stream), held in self.held.items():
                self.session(side).consumed(stream, held)
            self.held.clear()


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=40)


# --- lanes --------------------------------------------------------------------------------


def laned_receivers(side, count=1):
    """Return `receivers` with streams that have moved to lane 1, and those of the other side."""
    pairs = [Pair() for _ in range(count)]
    for pair in pairs:
        for session in (pair.relay, pair.agent):
            session.lanes.add(1, pair.now)
        for _ in range(STREAMS_OPEN):
            pair.relay.lanes.move(pair.open(), 1)
        pair.at_agent()
        pair.at_relay()
    return [getattr(pair, side) for pair in pairs]


@given(st.sampled_from(SIDES), st.data())
def test_chunking_of_a_lane_changes_nothing(side, data):
    """The same law as for a session."""
    [sender] = laned_receivers(other(side))
    for number in range(1, STREAMS_OPEN + 1):
        if sender.role is Role.AGENT:
            sender.respond(number, OK, data.draw(st.binary(max_size=20)))
        sender.send_data(
            number, data.draw(st.binary(max_size=20)), is_ended=data.draw(st.booleans())
        )
    sent = b"".join(sender.lanes.data_to_send(1, 0.0))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)))))
    whole, chopped = laned_receivers(side, 2)

    expected = whole.receive_lane_data(1, sent, 0.0)
    told = []
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        told += chopped.receive_lane_data(1, sent[start:end], 0.0)

    assert told == expected
    assert chopped.statistics() == whole.statistics()


@given(st.sampled_from(SIDES), st.lists(st.one_of(ODD_FRAMES, st.binary(max_size=40)), max_size=20))
def test_anything_on_a_lane_is_rejected_or_understood(side, chunks):
    """Sound frames in an unsound order, and what is none."""
    [session] = laned_receivers(side)

    with suppress(ProtocolError):
        for chunk in chunks:
            session.receive_lane_data(1, chunk, 0.0)

    session.data_to_send()
    session.lanes.data_to_send(1, 0.0)
    session.lanes.lost(1)
    assert not session.lanes.streams
