"""Lanes take turns, with each other and with everybody else, whatever waits in the kernel."""

import asyncio

from hookloop.clock import SystemClock
from hookloop.tunnel.carrier import LANES_TURN_BYTES, Carrier
from hookloop.tunnel.lane_carrier import READ_BYTES
from hookloop.tunnel.wire.frames import FrameType, encode_frame
from hookloop.tunnel.wire.messages import Hello
from hookloop.tunnel.wire.raw import Connect
from hookloop.tunnel.wire.session import Role, Session


class FakeTransport(asyncio.Transport):
    """Takes all, and remembers whether it was to read."""

    def __init__(self):
        super().__init__()
        self.is_on = True
        self.written = 0
        self.protocol = None

    def set_protocol(self, protocol):
        self.protocol = protocol

    def set_write_buffer_limits(self, high=None, low=None): ...

    def is_closing(self):
        return False

    def write(self, data):
        self.written += len(data)

    def pause_reading(self):
        self.is_on = False

    def resume_reading(self):
        self.is_on = True

    def abort(self): ...


class Owner:
    """Is told, and does nothing."""

    def session_event(self, event): ...

    def session_unblocked(self, stream): ...

    def session_flushed(self): ...

    def session_lost(self, reason): ...


HELLO = Hello("x", "x", stream_credit=2**20, session_credit=2**20, streams_max=8)
PING = encode_frame(FrameType.PING, bytes(8))


def carrier_with_lanes(count):
    """Return the carrier of a relay's session, flushed once, and the transports of its lanes."""
    session = Session(Role.RELAY, HELLO, 0.0)
    session.receive_data(encode_frame(FrameType.HELLO, HELLO.encode()), 0.0)
    carrier = Carrier(session, Owner(), SystemClock())
    carrier.take_over(FakeTransport(), b"")
    transports = [FakeTransport() for _ in range(count)]
    for number, transport in enumerate(transports, 1):
        carrier.add_lane(number, transport, PING)
    return carrier, session, transports


def on_a_loop(test):
    return lambda: asyncio.run(test())


@on_a_loop
async def test_a_lane_that_was_read_rests_until_its_next_turn():
    """At once: uvloop asks for more in the same turn otherwise."""
    _, _, [transport] = carrier_with_lanes(1)
    was_resting = not transport.is_on

    await asyncio.sleep(0)
    goes_on = transport.is_on
    transport.protocol.data_received(PING)

    assert (was_resting, goes_on, transport.is_on) == (True, True, False)


@on_a_loop
async def test_so_many_lanes_go_on_in_one_turn_and_the_others_in_the_next():
    """None is left out, and the loop looks at all else in between."""
    _, _, transports = carrier_with_lanes(3)
    going = []

    for _ in range(4):
        await asyncio.sleep(0)
        going.append([transport.is_on for transport in transports])

    assert LANES_TURN_BYTES == READ_BYTES  # so one a turn
    assert going[0] == [True, False, False]
    assert going[1] == [True, True, False]
    assert going[2] == [True, True, True]


@on_a_loop
async def test_so_much_is_written_to_lanes_in_one_turn():
    """However much waits for all of them."""
    carrier, session, transports = carrier_with_lanes(3)
    for _ in range(4):
        await asyncio.sleep(0)
    for number in (1, 2, 3):
        stream = session.open_raw_stream(Connect("t", "a:1"))
        session.lanes.move(stream, number)
        session.send_data(stream, bytes(200 * 1024))

    written = []
    for _ in range(3):
        carrier.flush_soon()
        await asyncio.sleep(0)
        written.append(sum(transport.written for transport in transports))

    assert written[0] <= LANES_TURN_BYTES + 64 * 1024
    assert written[-1] >= 3 * 200 * 1024
