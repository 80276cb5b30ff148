"""Carries one lane over its own asyncio connection; the `Carrier` of the session owns it."""

import asyncio
from typing import Protocol

from hookloop.clock import Clock

from .wire.lanes import Lanes

__all__ = ["LaneCarrier", "LaneOwner"]

WRITE_BUFFER_BYTES = 256 * 1024  # nobody waits behind it; the kernel paces the rest
# Then it is the others' turn: uvloop would read megabytes in one, and a webhook wait for them.
TURN_BYTES = 64 * 1024
LOOK_SECONDS = 5.0  # half of the time after which a lane has to say something


class LaneOwner(Protocol):
    """Whom a lane tells. None of these may block or raise."""

    def lane_received(self, number: int, data: bytes) -> None: ...

    def lane_writable(self) -> None: ...

    def lane_lost(self, number: int) -> None: ...


class LaneCarrier(asyncio.Protocol):
    """One lane's connection. Its owner calls `flush` at the end of a loop turn."""

    def __init__(self, number: int, lanes: Lanes, owner: LaneOwner, clock: Clock) -> None:
        self._number = number
        self._lanes = lanes
        self._owner = owner
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_full = False
        self._is_reading = True
        self._read_this_turn = 0
        self._timer: asyncio.TimerHandle | None = None

    def take_over(self, transport: asyncio.Transport, received: bytes) -> None:
        """Become the protocol of an upgraded connection; *received* came after the upgrade."""
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._transport = transport
        self._look()
        if received:
            self.data_received(received)

    def flush(self) -> None:
        """Write what waits, and listen as far as readers keep up."""
        transport, lanes = self._transport, self._lanes
        if transport is None or transport.is_closing():
            return
        now = self._clock.monotonic()
        while not self._is_full and (buffers := lanes.data_to_send(self._number, now)):
            transport.write(b"".join(buffers))
        self._read_this_turn = 0
        may_read = lanes.may_read(self._number)
        if may_read != self._is_reading and not transport.is_closing():
            self._is_reading = may_read
            if may_read:
                transport.resume_reading()
            else:
                transport.pause_reading()

    def close(self) -> None:
        """The lane is not needed any more."""
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol -------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._read_this_turn += len(data)
        if self._read_this_turn >= TURN_BYTES and self._is_reading:
            transport = self._transport
            if transport is not None and not transport.is_closing():
                self._is_reading = False  # until `flush`
                transport.pause_reading()
        self._owner.lane_received(self._number, data)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._owner.lane_writable()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._owner.lane_lost(self._number)

    # --- inside -----------------------------------------------------------------------------

    def _look(self) -> None:
        if not self._lanes.handle_timeout(self._number, self._clock.monotonic()):
            self.drop()
            return
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        self.flush()
