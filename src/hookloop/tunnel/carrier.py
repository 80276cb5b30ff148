"""
Carries a `Session` over one asyncio connection: the same shell on both sides.

It reads, flushes once per loop turn, stops flushing while the connection is full
(what waits then waits inside the session, where streams take turns), and keeps
the session's deadlines. All decisions are the session's.
"""

import asyncio
from typing import Protocol, cast

from hookloop.clock import Clock
from hookloop.errors import ProtocolError

from .lane_carrier import LaneCarrier
from .wire.events import Event, PeerSilent
from .wire.session import Session

__all__ = ["Carrier", "SessionOwner"]

WRITE_BUFFER_BYTES = 64 * 1024  # what the kernel is sure to take soon; the rest waits its turn
LANES_TURN_BYTES = 256 * 1024  # of all lanes in one turn: a millisecond or two of work
GOODBYE_SECONDS = 1.0  # for a side that broke the contract to read why the session ends


class SessionOwner(Protocol):
    """Whom a carrier tells. None of these may block or raise."""

    def session_event(self, event: Event) -> None:
        """Something came from the other side."""
        ...

    def session_unblocked(self, stream: int) -> None:
        """The source of *stream* may send again."""
        ...

    def session_flushed(self) -> None:
        """What a loop turn brought has been written, or waits fairly."""
        ...

    def session_lost(self, reason: str) -> None:
        """The connection has ended; said once, and the last thing said."""
        ...


class Carrier(asyncio.Protocol):
    """One session's connection. Call `flush_soon` after every call on the session."""

    def __init__(self, session: Session, owner: SessionOwner, clock: Clock) -> None:
        self._session = session
        self._owner = owner
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_full = False
        self._is_flush_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._reason: str | None = None
        self._lanes: dict[int, LaneCarrier] = {}

    def take_over(self, transport: asyncio.Transport, received: bytes) -> None:
        """Become the protocol of an upgraded connection; *received* came after the upgrade."""
        transport.set_protocol(self)
        self.connection_made(transport)
        if received:
            self.data_received(received)

    def add_lane(self, number: int, transport: asyncio.Transport, received: bytes) -> None:
        """A further connection of the session is there."""
        if self._transport is None:
            transport.abort()
            return
        self._session.lanes.add(number, self._clock.monotonic())
        lane = self._lanes[number] = LaneCarrier(number, self._session.lanes, self, self._clock)
        lane.take_over(transport, received)
        self.flush_soon()

    def close_lane(self, number: int) -> None:
        """It is not needed any more."""
        if lane := self._lanes.get(number):
            lane.close()

    def flush_soon(self) -> None:
        """Write at the end of this loop turn, together with all else that it brings."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def probe(self) -> None:
        """There is reason to doubt the connection: it ends soon unless the other side answers."""
        self._session.probe(self._clock.monotonic())
        if self._transport is not None:
            self._wait_for_deadline()
        self.flush_soon()

    def drop(self, reason: str) -> None:
        """End the connection now, unsent bytes and all."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._wait_for_deadline()
        self.flush_soon()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._session.receive_data(data, self._clock.monotonic())
        except ProtocolError as error:
            self._end_by(error)
            return
        for event in events:
            self._owner.session_event(event)
        self.flush_soon()

    # --- LaneOwner ------------------------------------------------------------------------

    def lane_received(self, number: int, data: bytes) -> None:
        now = self._clock.monotonic()
        try:
            events = self._session.receive_lane_data(number, data, now)
        except ProtocolError as error:
            self._end_by(error)
            return
        for event in events:
            self._owner.session_event(event)
        self.flush_soon()

    def lane_writable(self) -> None:
        self.flush_soon()

    def lane_lost(self, number: int) -> None:
        self._lanes.pop(number, None)
        for event in self._session.lanes.lost(number):
            self._owner.session_event(event)
        self.flush_soon()

    # --- asyncio.Protocol, the rest -------------------------------------------------------

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self.flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        for lane in list(self._lanes.values()):
            lane.drop()
        reason = self._reason or (str(exc) if exc else "the other side closed the connection")
        self._owner.session_lost(reason)

    # --- inside ---------------------------------------------------------------------------

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._transport is None or self._transport.is_closing():
            return
        while not self._is_full and (buffers := self._session.data_to_send()):
            # One write, joined: TLS would make a record of each buffer, and each costs a call.
            self._transport.write(b"".join(buffers))
        if self._lanes:
            self._flush_lanes()
        for stream in self._session.unblocked():
            self._owner.session_unblocked(stream)
        self._owner.session_flushed()
        if self._session.is_finished:
            self._transport.close()

    def _flush_lanes(self) -> None:
        """Give lanes their turns: so much in one of the loop, and the others in the next."""
        left = LANES_TURN_BYTES
        for number in list(self._lanes):
            if left <= 0:
                self.flush_soon()
                return
            lane = self._lanes[number] = self._lanes.pop(number)  # to the end of the line
            left -= lane.flush(left)

    def _end_by(self, error: ProtocolError) -> None:
        """Say why in a GOAWAY, which the session has queued, and close."""
        self._reason = str(error)
        transport = self._transport
        if transport is None:
            return
        transport.write(b"".join(self._session.data_to_send(0)))
        transport.close()
        # One that breaks the contract need not read this either, and its streams wait.
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(GOODBYE_SECONDS, transport.abort)

    def _wait_for_deadline(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        wait = self._session.next_deadline() - self._clock.monotonic()
        self._timer = self._loop.call_later(max(0.0, wait), self._deadline_passed)

    def _deadline_passed(self) -> None:
        for event in self._session.handle_timeout(self._clock.monotonic()):
            if isinstance(event, PeerSilent):
                self.drop(f"nothing was heard for {event.seconds:.0f} s")
                return
        self._wait_for_deadline()
        self.flush_soon()
