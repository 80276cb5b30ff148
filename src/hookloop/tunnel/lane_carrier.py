"""Carries one lane over its own asyncio connection; the `Carrier` of the session owns it."""

import asyncio
from typing import Protocol

from hookloop.clock import Clock

from .wire.lanes import LANE_LOOK_SECONDS, Lanes

__all__ = ["LaneCarrier", "LaneOwner"]

WRITE_BUFFER_BYTES = 256 * 1024  # nobody waits behind it; the kernel paces the rest
READ_BYTES = 256 * 1024  # at most of one read, by TLS under uvloop


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
        self._timer: asyncio.TimerHandle | None = None

    def take_over(self, transport: asyncio.Transport, received: bytes) -> None:
        """Become the protocol of an upgraded connection; *received* came after the upgrade."""
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._transport = transport
        self._look()
        if received:
            self.data_received(received)

    def flush(self, most: int = READ_BYTES) -> int:
        """
        Write about *most* bytes of what waits, and listen again if readers keep up.

        Returns how many bytes that is, to write and to come.
        """
        transport, lanes = self._transport, self._lanes
        if transport is None or transport.is_closing():
            return 0
        now, cost = self._clock.monotonic(), 0
        while cost < most and not self._is_full:
            data = b"".join(lanes.data_to_send(self._number, now, most - cost))
            if not data:
                break
            transport.write(data)
            cost += len(data)
        if not self._is_reading and lanes.may_read(self._number) and not transport.is_closing():
            self._is_reading = True
            transport.resume_reading()
            cost += READ_BYTES
        return cost

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
        transport = self._transport
        if self._is_reading and transport is not None and not transport.is_closing():
            # Until its next `flush`: uvloop would read megabytes in one turn, and every
            # webhook would wait until they were hashed.
            self._is_reading = False
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
        self._timer = self._loop.call_later(LANE_LOOK_SECONDS, self._look)
        self.flush()
