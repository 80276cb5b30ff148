"""
The world of the simulation: what people, programs and networks do to two sessions.

Held at every step: no credit is ever negative; what arrives of a body is the beginning of
what was sent, byte for byte. Held in the end, when all has been carried and read: every
caller has had exactly one answer, whole, or has seen that it was cut; nothing that ended
well lacks a byte; both sessions and all their lanes hold nothing.
"""

import random
from array import array
from collections import deque
from dataclasses import dataclass, field

from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.relay.lane_pool import LanePool, is_long_lived
from hookloop.tunnel.wire import events
from hookloop.tunnel.wire.messages import Hello, Request, ResetCode
from hookloop.tunnel.wire.raw import Connect
from hookloop.tunnel.wire.session import Role, Session

KIB = 1024
SIZES = (0, 1, 700, 9 * KIB, 70 * KIB, 300 * KIB, 700 * KIB)
WIRE_BYTES = 48 * KIB  # on its way; above it a side cannot write
KINDS = ("exchange", "exchange", "exchange", "events", "upgrade", "declined", "raw")
HEAD = RequestHead(b"POST", b"/", ((b"Host", b"shop.tun.example"),))
OK = ResponseHead(200, b"OK", ())
EVENTS = ResponseHead(200, b"OK", ((b"Content-Type", b"text/event-stream"),))
SWITCHING = ResponseHead(101, b"", ((b"Upgrade", b"x"),))
HEADS = {"events": EVENTS, "upgrade": SWITCHING}
OTHER = {"relay": "agent", "agent": "relay"}


def body(key: int, start: int, length: int) -> bytes:
    """Return bytes of a body without end, in which each place tells where it is."""
    first = start // 8
    words = array("Q", range(first, (start + length) // 8 + 1))
    salted = array("Q", [word << 16 | key & 0xFFFF for word in words])
    return salted.tobytes()[start - 8 * first :][:length]


@dataclass
class Half:
    """One direction of a stream: what its sender has to say, and what has arrived."""

    key: int
    size: int
    sent: int = 0
    is_sent: bool = False
    got: int = 0
    is_ended: bool = False
    held: int = 0
    """Arrived, and not consumed."""
    is_paused: bool = False

    def arrive(self, data: bytes, *, is_ended: bool) -> None:
        assert not self.is_ended, "more came behind the end"
        assert body(self.key, self.got, len(data)) == data, "bytes lost, doubled or out of order"
        self.got += len(data)
        self.held += len(data)
        if is_ended:
            assert self.is_sent, "an end that nobody sent"
            assert self.got == self.sent, "an end before the last byte"
            self.is_ended = True


@dataclass
class Call:
    """One caller, and the upstream that serves it."""

    number: int
    kind: str
    request: Half
    response: Half
    stream: int = 0
    has_response_head: bool = False
    is_served: bool = False
    """The agent knows of it."""
    is_answered: bool = False
    """The upstream has said its head."""
    outcomes: list[str] = field(default_factory=list)
    is_over_at_agent: bool = False

    @property
    def is_raw(self) -> bool:
        return self.kind in {"raw", "upgrade"}

    @property
    def is_open(self) -> bool:
        return not self.outcomes


class Wires:
    """Two ways of one connection, whose bytes arrive in pieces that nobody chose."""

    def __init__(self) -> None:
        self.ways: dict[str, deque[bytes]] = {"relay": deque(), "agent": deque()}

    def has_room(self, side: str) -> bool:
        return sum(map(len, self.ways[side])) < WIRE_BYTES

    def put(self, side: str, buffers: list[bytes]) -> None:
        self.ways[side].append(b"".join(buffers))

    def take(self, side: str, rng: random.Random) -> bytes:
        """Take some of what *side* has written."""
        way = self.ways[side]
        if not way:
            return b""
        data = way.popleft()
        if rng.random() < 0.5 and len(data) > 1:
            cut = rng.randrange(1, len(data))
            way.appendleft(data[cut:])
            data = data[:cut]
        return data


class World:
    """One run. `run` plays it to its end and raises `AssertionError` for what must not be."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.steps = 0
        self.sessions_begun = 0
        self.lanes_begun = 0
        self.moves = 0
        self.calls: list[Call] = []
        self.calls_max = self.rng.randrange(5, 25)
        self.is_ending = False
        self.does_dial = self.rng.random() < 0.85
        self.cuts = self.rng.choice([0.0, 0.002, 0.01])
        self.slowness = self.rng.choice([0.0, 0.5, 0.95])
        self.begin_session()

    # --- connections ------------------------------------------------------------------------

    def begin_session(self) -> None:
        rng = self.rng
        self.sessions_begun += 1
        self.by_stream: dict[int, Call] = {}
        self.was_cut = False
        self.wires = Wires()
        self.lane_wires: dict[int, Wires] = {}
        self.invited: list[int] = []
        self.sides = {
            side: Session(
                role,
                Hello(
                    side,
                    "sim/1",
                    stream_credit=rng.choice([16, 64, 256]) * KIB,
                    session_credit=rng.choice([16, 128, 1024]) * KIB,
                    streams_max=rng.choice([3, 50]),
                ),
                self.now,
            )
            for side, role in (("relay", Role.RELAY), ("agent", Role.AGENT))
        }
        self.pool = LanePool(self.sides["relay"].lanes, str, lanes_max=8)

    def cut_session(self) -> None:
        """What was on its way is lost; whoever waits sees that it was cut."""
        for call in self.by_stream.values():
            if call.is_open:
                call.outcomes.append("cut")
            call.is_over_at_agent = True
        self.begin_session()

    def begin_lane(self, lane: int) -> None:
        self.lanes_begun += 1
        self.lane_wires[lane] = Wires()
        for side in ("agent", "relay"):
            self.sides[side].lanes.add(lane, self.now)

    def cut_lane(self, lane: int) -> None:
        del self.lane_wires[lane]
        for side, session in self.sides.items():
            for event in session.lanes.lost(lane):
                self.tell(side, event)

    # --- what happens -----------------------------------------------------------------------

    def run(self) -> None:
        while len(self.calls) < self.calls_max or self.rng.random() < 0.99:
            self.step()
            if self.steps > 3000:
                break
        self.is_ending = True
        self.settle()
        self.check_end()

    def step(self) -> None:
        self.steps += 1
        rng = self.rng
        self.now += rng.random() * 0.05
        rng.choice(
            (
                self.call,
                self.send,
                self.send,
                self.send,
                self.answer,
                self.consume,
                self.flush,
                self.flush,
                self.carry,
                self.carry,
                self.deal_lanes,
                self.dial,
            )
        )()
        if rng.random() < 0.004:
            self.reset()
        if rng.random() < self.cuts:
            self.cut_something()
        if rng.random() < 0.002:
            rng.choice(list(self.sides.values())).go_away("shutdown", "sim")
        self.check_step()

    def call(self) -> None:
        """Somebody calls."""
        relay = self.sides["relay"]
        if len(self.calls) >= self.calls_max or self.is_ending:
            return
        if not relay.can_open_stream():
            if relay.is_going_away and relay.is_finished:
                self.cut_session()  # the relay closes; the agent comes back
            return
        number = len(self.calls)
        kind = self.rng.choice(KINDS)
        size = 0 if kind == "declined" else self.rng.choice(SIZES)
        call = Call(
            number, kind, Half(2 * number, size), Half(2 * number + 1, self.rng.choice(SIZES))
        )
        if kind == "raw":
            call.stream = relay.open_raw_stream(Connect("tcp-1", "192.0.2.7:50000"))
            call.has_response_head = call.is_answered = True
        elif kind in {"upgrade", "declined"}:
            call.stream = relay.open_upgrade(Request("shop", "192.0.2.7:1", HEAD))
            call.request.is_sent = kind == "declined"
        else:
            first = min(size, self.rng.choice([0, 500]))
            is_all = first == size
            call.request.sent, call.request.is_sent = first, is_all
            call.stream = relay.open_stream(
                Request("shop", "192.0.2.7:1", HEAD), body(2 * number, 0, first), is_ended=is_all
            )
        self.calls.append(call)
        self.by_stream[call.stream] = call

    def send(self) -> None:
        """A caller or an upstream has more to say."""
        ready = []
        for call in self.by_stream.values():
            if call.is_open and call.kind != "declined":
                is_ready = call.kind != "upgrade" or call.has_response_head
                if is_ready and not call.request.is_sent:
                    ready.append(("relay", call, call.request))
            is_serving = call.is_served and call.is_answered and not call.is_over_at_agent
            if is_serving and not call.response.is_sent:
                ready.append(("agent", call, call.response))
        ready = [each for each in ready if not each[2].is_paused]
        if not ready:
            return
        side, call, half = self.rng.choice(ready)
        session = self.sides[side]
        if not session.has_stream(call.stream):
            return
        length = min(half.size - half.sent, self.rng.choice([1, 3000, 40 * KIB, 100 * KIB]))
        data = body(half.key, half.sent, length)
        half.sent += length
        half.is_sent = half.sent == half.size and self.rng.random() < 0.7
        half.is_paused = not session.send_data(call.stream, data, is_ended=half.is_sent)
        self.note_end(call)

    def note_end(self, call: Call) -> None:
        """The caller of a raw stream is through once it has heard all and said all."""
        if call.is_open and call.is_raw and call.request.is_sent and call.response.is_ended:
            call.outcomes.append("answered")

    def answer(self) -> None:
        """An upstream begins to answer, before or behind the request's end."""
        waiting = [
            call
            for call in self.by_stream.values()
            if call.is_served and not call.is_answered and not call.is_over_at_agent
        ]
        if not waiting:
            return
        call = self.rng.choice(waiting)
        agent, half = self.sides["agent"], call.response
        if not agent.has_stream(call.stream):
            return
        if self.rng.random() < 0.2:
            agent.respond(call.stream, ResponseHead(103, b"", ()))
        head = HEADS.get(call.kind, OK)
        first = 0 if head is SWITCHING else min(half.size, self.rng.choice([0, 700, 20 * KIB]))
        half.sent, half.is_sent = first, first == half.size and head is OK
        call.is_answered = True
        half.is_paused = not agent.respond(
            call.stream, head, body(half.key, 0, first), is_ended=half.is_sent
        )

    def consume(self) -> None:
        """Readers take what waits for them; some are slow."""
        for side, half, stream in self.held():
            if self.is_ending or self.rng.random() >= self.slowness:
                length = half.held if self.is_ending else self.rng.randint(1, half.held)
                half.held -= length
                self.sides[side].consumed(stream, length)

    def held(self) -> list[tuple[str, Half, int]]:
        found = []
        for stream, call in self.by_stream.items():
            found += [("agent", call.request, stream), ("relay", call.response, stream)]
        return [each for each in found if each[1].held]

    def flush(self) -> None:
        """Both sides write what their connections take."""
        for side, session in self.sides.items():
            if self.wires.has_room(side) and (buffers := session.data_to_send()):
                self.wires.put(side, buffers)
            for lane, wires in self.lane_wires.items():
                if wires.has_room(side) and (buffers := session.lanes.data_to_send(lane, self.now)):
                    wires.put(side, buffers)
            for stream in session.unblocked():
                if call := self.by_stream.get(stream):
                    half = call.request if side == "relay" else call.response
                    half.is_paused = False

    def carry(self) -> None:
        """The network delivers, on some connection, in some direction."""
        side = self.rng.choice(("relay", "agent"))
        lane = self.rng.choice([0, *self.lane_wires])
        self.carry_one(side, lane)

    def carry_one(self, side: str, lane: int) -> None:
        target = OTHER[side]
        session = self.sides[target]
        if lane == 0:
            data = self.wires.take(side, self.rng)
            told = session.receive_data(data, self.now) if data else []
        elif session.lanes.may_read(lane):
            data = self.lane_wires[lane].take(side, self.rng)
            told = session.receive_lane_data(lane, data, self.now) if data else []
        else:
            return
        for event in told:
            self.tell(target, event)

    def deal_lanes(self) -> None:
        """The relay deals out its lanes."""
        relay = self.sides["relay"]
        for stream in relay.lanes.bulk():
            self.pool.want(stream, is_bulk=True)
        self.moves += len(self.pool._bulk) + len(self.pool._long)
        for lane in self.pool.settle(self.now):
            self.cut_lane(lane)
        self.moves -= len(self.pool._bulk) + len(self.pool._long)

    def dial(self) -> None:
        """The agent dials, sooner or later, or cannot."""
        if self.invited and self.does_dial:
            self.begin_lane(self.invited.pop(0))

    def reset(self) -> None:
        """Somebody leaves, or breaks."""
        if not self.by_stream or self.is_ending:
            return
        call = self.rng.choice(list(self.by_stream.values()))
        side = self.rng.choice(("relay", "agent"))
        session = self.sides[side]
        if not session.has_stream(call.stream) or (side == "agent" and not call.is_served):
            return
        session.reset_stream(call.stream, ResetCode.CANCELLED, "sim")
        if side == "relay":
            if call.is_open:
                call.outcomes.append("left")
        else:
            call.is_over_at_agent = True

    def cut_something(self) -> None:
        if self.lane_wires and self.rng.random() < 0.7:
            self.cut_lane(self.rng.choice(list(self.lane_wires)))
        else:
            self.cut_session()

    # --- what the sides are told --------------------------------------------------------------

    def tell(self, side: str, event: events.Event) -> None:
        if isinstance(event, events.LaneInvited):
            self.invited.append(event.lane)
        elif isinstance(event, events.LaneOpened):
            self.pool.opened(event.lane)
        elif side == "agent":
            self.tell_agent(event)
        else:
            self.tell_relay(event)

    def tell_agent(self, event: events.Event) -> None:
        call = self.by_stream.get(getattr(event, "stream", 0))
        match event:
            case events.RequestReceived():
                call.is_served = True
                call.request.arrive(event.body, is_ended=event.is_ended or call.kind == "declined")
            case events.RawStreamReceived():
                call.is_served = True
            case events.DataReceived():
                call.request.arrive(event.data, is_ended=event.is_ended)
            case events.StreamReset():
                call.is_over_at_agent = True
            case _:
                pass

    def tell_relay(self, event: events.Event) -> None:
        call = self.by_stream.get(getattr(event, "stream", 0))
        match event:
            case events.ResponseReceived(head=head) if head.status not in {100, 103}:
                assert not call.has_response_head, "a second answer"
                call.has_response_head = True
                if is_long_lived(head) or head.status == 101:
                    self.pool.want(event.stream, is_bulk=False)
                self.arrive_at_caller(call, event.body, is_ended=event.is_ended)
            case events.DataReceived():
                assert call.has_response_head, "a body before its head"
                self.arrive_at_caller(call, event.data, is_ended=event.is_ended)
            case events.StreamReset():
                # The caller of a raw stream has heard all and said all; what it said is on its way.
                assert call.is_open or call.is_raw, "cut behind its end"
                if call.is_open:
                    call.outcomes.append("cut")
            case _:
                pass

    def arrive_at_caller(self, call: Call, data: bytes, *, is_ended: bool) -> None:
        call.response.arrive(data, is_ended=is_ended)
        if is_ended and (not call.is_raw or call.request.is_sent):
            call.outcomes.append("answered")

    # --- the end --------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everybody say what is left, carry and read it, until nothing moves any more."""
        quiet = 0
        while quiet < 3:
            before = self.progress()
            self.now += 0.01
            for call in list(self.by_stream.values()):
                self.finish(call)
            self.flush()
            for side in ("relay", "agent"):
                for lane in (0, *list(self.lane_wires)):
                    for _ in range(8):
                        self.carry_one(side, lane)
            self.consume()
            self.check_step()
            quiet = quiet + 1 if self.progress() == before else 0

    def progress(self) -> tuple[int, ...]:
        halves = [half for call in self.calls for half in (call.request, call.response)]
        wires = [self.wires, *self.lane_wires.values()]
        return (
            sum(half.sent + half.got + half.held for half in halves),
            sum(half.is_sent + half.is_ended for half in halves),
            sum(call.is_answered + len(call.outcomes) for call in self.calls),
            sum(len(data) for each in wires for way in each.ways.values() for data in way),
            *(session.statistics().control_bytes_queued for session in self.sides.values()),
        )

    def finish(self, call: Call) -> None:
        """Say what is left of a call."""
        relay, agent, stream = self.sides["relay"], self.sides["agent"], call.stream
        if call.is_served and not call.is_over_at_agent and agent.has_stream(stream):
            if not call.is_answered:
                call.is_answered = True
                agent.respond(stream, HEADS.get(call.kind, OK))
            self.say_rest(agent, stream, call.response)
        may_send = call.kind != "upgrade" or call.has_response_head
        if call.is_open and may_send and call.kind != "declined" and relay.has_stream(stream):
            self.say_rest(relay, stream, call.request)
            self.note_end(call)

    def say_rest(self, session: Session, stream: int, half: Half) -> None:
        if half.is_sent or half.is_paused:
            return
        length = min(64 * KIB, half.size - half.sent)
        data = body(half.key, half.sent, length)
        half.sent += length
        half.is_sent = half.sent == half.size
        half.is_paused = not session.send_data(stream, data, is_ended=half.is_sent)

    # --- what must hold -------------------------------------------------------------------------

    def check_step(self) -> None:
        for session in self.sides.values():
            assert session._outgoing.budget.left >= 0, "a negative window of the session"
            for stream in session._streams.values():
                assert stream.budget.left >= 0, "a negative window of a stream"
        for call in self.by_stream.values():
            assert len(call.outcomes) <= 1, f"more than one answer: {call.outcomes}"

    def check_end(self) -> None:
        for call in self.calls:
            assert len(call.outcomes) == 1, f"call {call.number} {call.kind}: {call.outcomes}"
            if call.outcomes == ["answered"]:
                assert call.response.got == call.response.sent, "an answer that lacks bytes"
                if call.is_raw and not call.is_over_at_agent:
                    assert call.request.got == call.request.size, "bytes of the caller are missing"
        for side, session in self.sides.items():
            counts = session.statistics()
            left = (counts.streams_open, counts.bytes_queued, counts.control_bytes_queued)
            assert left == (0, 0, 0), f"left at the {side}: {counts}"
            assert session._allowance.held == 0, "credit that was not given back"
            assert not session.lanes.moved, "bytes of a lane that nobody counts any more"
            for lane in session.lanes._lanes.values():
                assert (lane.unread, list(lane.waiting), lane.streams) == (0, [], set())
                assert lane.outgoing.control_bytes == 0
