"""Connections to the local service: one exchange at a time each, kept for the next one."""

import asyncio
from collections import deque
from typing import Protocol, cast

from hookloop.clock import Clock
from hookloop.exchange import RequestHead
from hookloop.tunnel.patience import Patience
from hookloop.tunnel.turn_writer import TurnWriter

from .address import Upstream
from .response_reader import BrokenRead, ReaderEvent, ResponseReader, is_last
from .upstream_dial import open_upstream, upstream_tls

__all__ = ["UpstreamConnection", "UpstreamPool", "UpstreamUser"]

IDLE_SECONDS_MAX = 1.5  # below gunicorn's 2 s and node's 5 s, so that we close first, not they
IDLE_CONNECTIONS_MAX = 64  # more bursts than a developer's app serves at once
WRITE_BUFFER_BYTES = 64 * 1024  # above it the relay gets no more credit


class UpstreamUser(Protocol):
    """The exchange a connection serves. None of these may raise."""

    def upstream_event(self, event: ReaderEvent) -> None: ...

    def upstream_writable(self) -> None:
        """What was written before has left; more may come."""
        ...

    def upstream_late(self) -> None:
        """The time that `UpstreamConnection.expect` gave is over."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """A connection to the upstream; get one from `UpstreamPool`."""

    def __init__(self, pool: "UpstreamPool", clock: Clock) -> None:
        self._pool = pool
        self._patience = Patience(clock, self._ran_out)
        """With the upstream while it serves somebody, with us while it serves nobody."""
        self._writer = TurnWriter()
        self._transport: asyncio.Transport | None = None
        self._user: UpstreamUser | None = None
        self._reader: ResponseReader | None = None
        self._is_paused = False
        self.is_full = False
        """More than `WRITE_BUFFER_BYTES` wait to be sent."""

    def begin(self, user: UpstreamUser, head: RequestHead, *, asked: bytes = b"") -> None:
        """
        Serve *user* until its response has ended, or `abandon`.

        *asked*: the protocols that its request asks to change to.
        """
        self._user = user
        self._reader = ResponseReader(is_head_request=head.method == b"HEAD", asked=asked)
        self._patience.stop()

    def write(self, *buffers: bytes) -> None:
        self._writer.write(*buffers)

    def write_now(self, buffers: list[bytes]) -> None:
        """Write what ends the request, and all that was written before it."""
        self._writer.write_now(buffers)

    def expect(self, seconds: float) -> None:
        """Call the user's `upstream_late` in *seconds*, whatever was said before."""
        self._patience.wait(seconds)

    def expect_no_more(self) -> None:
        """The user waits for nothing in particular now."""
        self._patience.stop()

    def pause_reading(self) -> None:
        """The relay takes no more for now."""
        # uvloop, unlike asyncio, raises on a transport that is closing.
        if self._transport is not None and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def finish(self, *, is_reusable: bool) -> None:
        """The exchange has ended: keep the connection for the next one, or close it."""
        self._user = None
        self._reader = None
        if self._transport is None or self._transport.is_closing():
            return
        if is_reusable and self._pool.keep(self):
            if self._is_paused:
                self.resume_reading()
            self._patience.wait(IDLE_SECONDS_MAX)
        else:
            self.close()

    def hand_over(self, pipe: asyncio.Protocol) -> None:
        """HTTP has ended on this connection: it is *pipe*'s from here."""
        self._user = self._reader = None
        self._patience.close()
        transport, self._transport = self._transport, None
        if transport is None:
            pipe.connection_lost(None)
            return
        self._writer.flush()
        self._writer.transport = None
        transport.set_protocol(pipe)
        pipe.connection_made(transport)

    def abandon(self) -> None:
        """Nobody wants the rest: the upstream sees the connection reset."""
        self._user = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        self._pool.forget(self)
        if self._transport is not None:
            self._transport.close()

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # --- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._writer.transport = self._transport

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self.abandon()  # an upstream that speaks unasked is out of step
            self._pool.forget(self)
            return
        self._tell(self._reader.receive_data(data))

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._user is not None:
            self._user.upstream_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._writer.transport = None
        self._pool.forget(self)
        self._patience.close()
        if self._reader is not None:
            # A reset is never the clean end of a body.
            broken = BrokenRead("it reset the connection")
            self._tell([broken] if exc else self._reader.receive_eof())

    def _ran_out(self) -> None:
        if self._user is None:
            self.close()
        else:
            self._user.upstream_late()

    def _tell(self, events: list[ReaderEvent]) -> None:
        for event in events:
            user = self._user
            if user is None:
                return
            if is_last(event):
                self._reader = None
            user.upstream_event(event)


class UpstreamPool:
    """Connections that wait for their next exchange, newest first."""

    def __init__(self, upstream: Upstream, clock: Clock) -> None:
        """Raises `ConfigError` for an upstream whose certificates cannot be read."""
        self._upstream = upstream
        self._tls = upstream_tls(upstream)
        self._clock = clock
        self._idle: deque[UpstreamConnection] = deque()

    def take(self) -> UpstreamConnection | None:
        """Return a connection that is ready, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """Return a new connection. Raises `OSError` if the upstream takes none."""
        return await open_upstream(
            self._upstream, self._tls, lambda: UpstreamConnection(self, self._clock)
        )

    def keep(self, connection: UpstreamConnection) -> bool:
        """Say whether the connection was taken in."""
        if len(self._idle) >= IDLE_CONNECTIONS_MAX:
            return False
        self._idle.append(connection)
        return True

    def forget(self, connection: UpstreamConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        for connection in list(self._idle):
            connection.close()
