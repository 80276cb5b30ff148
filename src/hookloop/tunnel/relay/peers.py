"""
Between the workers of one relay: requests go on over our own wire, on a unix socket.

A worker that has a caller plays the relay, by an ordinary `Link` to the worker that has the
agent. That one plays the agent, and joins each stream to one of the real agent's link:

    caller ─ Downstream ─ Link ══ unix socket ══ PeerSession ─ Link ══ agent

Credit is kept: what one side does not take, the other is not asked for.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from random import SystemRandom

from hookloop.clock import Clock
from hookloop.errors import LocalError
from hookloop.exchange import Headers, ResponseHead
from hookloop.tunnel.carrier import Carrier
from hookloop.tunnel.log_values import Values
from hookloop.tunnel.wire import events
from hookloop.tunnel.wire.messages import Bind, Hello, Request, ResetCode
from hookloop.tunnel.wire.raw import Connect
from hookloop.tunnel.wire.session import Role, Session

from .lane_tickets import LaneTickets
from .link import Link
from .tokens import Token

__all__ = ["PeerServer", "Peers"]

logger = logging.getLogger("hookloop.relay")

STREAMS_MAX = 100_000  # of one worker at another: the agents have their own limits
AGAIN_SECONDS = 0.05  # between two tries to reach a worker that says it is ready
TRIES_MAX = 100
_NOBODY = Token(id="worker", sha256="0" * 64)


class PeerLink(Link):
    """A link to another worker, and not to an agent."""

    def __init__(self, hello: Hello, on_lost: "Callable[[Link], None]", clock: Clock) -> None:
        super().__init__(
            hello,
            _NOBODY,
            _NoNames(),
            on_lost,
            remote="worker",
            clock=clock,
            streams_max=STREAMS_MAX,
            tickets=LaneTickets(clock, SystemRandom()),
            lanes_max=0,  # a unix socket has no slow start to save
        )
        self._is_up = asyncio.Event()

    async def connect(self, path: str) -> None:
        """Return once streams can be opened. Raises `OSError`."""
        # The carrier from the first byte on: the other side says HELLO at once.
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._carrier, path)
        await self._is_up.wait()

    def _hello(self, hello: Hello) -> None:
        self.agent_id = hello.id
        self._is_up.set()

    def _tell_gone(self, reason: str) -> None:
        """It is the supervisor that tells of workers."""

    def session_lost(self, reason: str) -> None:
        self._is_up.set()
        super().session_lost(reason)


class Peers:
    """The links to the other workers, as the relay's side. Call `close` in the end."""

    def __init__(self, hello: Hello, clock: Clock) -> None:
        self._hello = hello
        self._clock = clock
        self._links: dict[int, Link] = {}
        self._connecting: dict[int, asyncio.Task[None]] = {}

    def to(self, worker: int) -> Link | None:
        """Return the link to *worker*, or None while there is none."""
        return self._links.get(worker)

    def connect(self, worker: int, path: str) -> None:
        """A worker is there: open a link to it, in place of one to a process before it."""
        self.forget(worker)
        task = asyncio.get_running_loop().create_task(self._connect(worker, path))
        self._connecting[worker] = task

    def forget(self, worker: int) -> None:
        """A worker has ended."""
        if task := self._connecting.pop(worker, None):
            task.cancel()
        if link := self._links.pop(worker, None):
            link.drop("the worker has ended")

    async def wait_connected(self, worker: int) -> None:
        """Return once there is a link to *worker*, or no hope of one."""
        if task := self._connecting.get(worker):
            await asyncio.wait({task})

    def close(self) -> None:
        for worker in list(self._links.keys() | self._connecting.keys()):
            self.forget(worker)

    async def _connect(self, worker: int, path: str) -> None:
        for _ in range(TRIES_MAX):
            link = PeerLink(self._hello, lambda link: self._lost(worker, link), self._clock)
            try:
                await link.connect(path)
            except OSError:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            self._links[worker] = link
            return
        logger.error("a worker cannot be reached %s", Values(worker=worker))

    def _lost(self, worker: int, link: Link) -> None:
        if self._links.get(worker) is link:
            del self._links[worker]


class _NoNames:
    """The landlord of a link that binds nothing."""

    def bind(self, link: Link, bind: Bind) -> None:
        link.refuse(bind, "bad_protocol", "a worker binds no names here")

    def unbind(self, link: Link, name: str) -> None: ...

    def lost(self, link: Link, *, is_held: bool) -> None: ...


class PeerServer:
    """Listens for the other workers, as the agent's side. Call `close` in the end."""

    def __init__(self, hello: Hello, find: Callable[[str], Link | None], clock: Clock) -> None:
        """*find* returns the link of a tunnel's name, if its agent is here."""
        self._hello = replace(hello, streams_max=STREAMS_MAX)
        self._find = find
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._sessions: set[PeerSession] = set()

    async def start(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._arrived, str(path))

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in list(self._sessions):
            session.drop("the worker has ended")

    def _arrived(self) -> Carrier:
        session = PeerSession(self._hello, self._find, self._clock, self._sessions.discard)
        self._sessions.add(session)
        return session.carrier


class PeerSession:
    """One other worker, whose callers' streams go on to agents that are here."""

    def __init__(
        self,
        hello: Hello,
        find: Callable[[str], Link | None],
        clock: Clock,
        on_lost: "Callable[[PeerSession], None]",
    ) -> None:
        self.session = Session(Role.AGENT, hello, clock.monotonic())
        self.carrier = Carrier(self.session, self, clock)
        self._find = find
        self._on_lost = on_lost
        self._bridges: dict[int, _Bridge] = {}

    def drop(self, reason: str) -> None:
        self.carrier.drop(reason)

    def ended(self, stream: int) -> None:
        """A bridge has nothing more to do."""
        self._bridges.pop(stream, None)

    # --- SessionOwner -------------------------------------------------------------------------

    def session_event(self, event: events.Event) -> None:
        match event:
            case events.RequestReceived():
                self._request(event)
            case events.RawStreamReceived(stream, connect):
                self._connect(stream, connect)
            case events.DataReceived():
                bridge = self._bridges.get(event.stream)
                if bridge is None:
                    self.session.consumed(event.stream, len(event.data))
                else:
                    bridge.request_data(event)
            case events.TrailersReceived(stream, trailers):
                if bridge := self._bridges.get(stream):
                    bridge.request_ended(trailers, b"")
            case events.StreamReset(stream, _, message):
                if bridge := self._bridges.pop(stream, None):
                    bridge.cancelled(message)
            case _:
                pass  # HELLO holds nothing we need; a worker never says goodbye before its end

    def session_unblocked(self, stream: int) -> None:
        if bridge := self._bridges.get(stream):
            bridge.session_unblocked()

    def session_flushed(self) -> None: ...

    def session_lost(self, reason: str) -> None:
        bridges, self._bridges = self._bridges, {}
        for bridge in bridges.values():
            bridge.cancelled(reason)
        self._on_lost(self)

    # --- inside -------------------------------------------------------------------------------

    def _request(self, event: events.RequestReceived) -> None:
        bridge = self._bridge(event.stream, event.tunnel)
        if bridge is None:
            self.session.consumed(event.stream, len(event.body))
        else:
            bridge.open(event)

    def _connect(self, stream: int, connect: Connect) -> None:
        bridge = self._bridge(stream, connect.tunnel)
        if bridge is not None:
            bridge.open_raw(connect)

    def _bridge(self, stream: int, tunnel: str) -> "_Bridge | None":
        link = self._find(tunnel)
        if link is None or link.is_going_away:
            # It was here a moment ago. No second hop: who moves that fast is asked again soon.
            why = "the agent has just gone elsewhere"
            self.session.reset_stream(stream, ResetCode.OVERLOADED, why)
            self.carrier.flush_soon()
            return None
        bridge = self._bridges[stream] = _Bridge(self, link, stream)
        return bridge


class _Bridge:
    """One stream of each side, joined. It is the caller, of either kind, of the agent's link."""

    def __init__(self, owner: PeerSession, link: Link, stream: int) -> None:
        self._owner = owner
        self._session = owner.session
        self._link = link
        self._stream = stream
        """At the other worker."""
        self._link_stream: int | None = None
        """At the agent."""
        self._unsent = 0
        """Bytes of the request that the agent's session is asked to hold, and is full."""
        self._untaken = 0
        """Bytes of the answer, the same towards the other worker."""
        self._is_agent_full = False
        self._is_peer_full = False
        self._is_raw = False
        self._is_request_ended = False
        self._is_answer_ended = False

    # --- from the other worker ----------------------------------------------------------------

    def open(self, event: events.RequestReceived) -> None:
        request = Request(event.tunnel, event.remote, event.head)
        self._is_request_ended = event.is_ended
        try:
            if event.is_upgrade:
                stream = self._link.open_upgrade(request, self)
            else:
                stream = self._link.open_stream(
                    request, event.body, self, is_ended=event.is_ended, digest=event.digest
                )
        except LocalError as error:
            self._reset(ResetCode.INTERNAL, str(error))
            return
        self._opened(stream)
        self._session.consumed(self._stream, len(event.body))

    def open_raw(self, connect: Connect) -> None:
        self._is_raw = True
        self._opened(self._link.open_raw_stream(connect, self))

    def _opened(self, stream: int | None) -> None:
        if stream is None:
            message = "the agent is serving as many exchanges at once as it takes"
            self._reset(ResetCode.OVERLOADED, message)
            return
        self._link_stream = stream
        self._flush()

    def request_data(self, event: events.DataReceived) -> None:
        self._unsent += len(event.data)
        if self._link_stream is not None and event.data:
            # Each answer counts: one that there is room again is not said a second time.
            self._is_agent_full = not self._link.send_data(self._link_stream, event.data)
        if event.is_ended:
            self.request_ended((), event.digest)
        self._settle_request()

    def request_ended(self, trailers: Headers, digest: bytes) -> None:
        self._is_request_ended = True
        if self._link_stream is not None:
            self._link.end_stream(self._link_stream, trailers, digest=digest)
        self._forget_ended()

    def cancelled(self, message: str) -> None:
        if self._link_stream is not None:
            self._link.consumed(self._link_stream, self._untaken)
            self._link.cancel(self._link_stream, message)
        self._session.consumed(self._stream, self._unsent)
        self._untaken = self._unsent = 0

    def session_unblocked(self) -> None:
        self._is_peer_full = False
        self._settle_answer()

    # --- link.AnsweredCaller ------------------------------------------------------------------

    def response_head(
        self, head: ResponseHead, body: bytes, *, is_ended: bool, digest: bytes
    ) -> None:
        self._is_peer_full = not self._session.respond(
            self._stream, head, body, is_ended=is_ended, digest=digest
        )
        if head.status == HTTPStatus.SWITCHING_PROTOCOLS and self._link_stream is not None:
            self._is_raw, self._is_request_ended = True, False
            self._link.become_raw(self._link_stream, self, is_ended=is_ended)
        self._answered(len(body), is_ended)

    def response_data(self, data: bytes, *, is_ended: bool, digest: bytes) -> None:
        self._is_peer_full = not self._session.send_data(
            self._stream, data, is_ended=is_ended, digest=digest
        )
        self._answered(len(data), is_ended)

    def response_trailers(self, trailers: Headers) -> None:
        self._session.end_stream(self._stream, trailers)
        self._answered(0, is_ended=True)

    # --- link.RawCaller -----------------------------------------------------------------------

    def raw_data(self, data: bytes, *, is_ended: bool) -> None:
        self._is_peer_full = not self._session.send_data(self._stream, data, is_ended=is_ended)
        self._answered(len(data), is_ended)

    # --- both ---------------------------------------------------------------------------------

    def stream_reset(self, code: ResetCode, message: str) -> None:
        self._link_stream = None
        self._reset(code, message)

    def may_send_again(self) -> None:
        self._is_agent_full = False
        self._settle_request()

    # --- inside -------------------------------------------------------------------------------

    def _answered(self, length: int, is_ended: bool) -> None:
        self._untaken += length
        if is_ended:
            self._is_answer_ended = True
            self._is_peer_full = False  # what is queued is bounded by the stream's credit
        self._settle_answer()
        self._forget_ended()
        self._flush()

    def _forget_ended(self) -> None:
        """The answer's end is the end of an exchange; raw bytes end on both sides."""
        if self._is_answer_ended and (self._is_request_ended or not self._is_raw):
            self._settle_request(is_over=True)
            self._owner.ended(self._stream)

    def _settle_answer(self) -> None:
        """Let the agent send more, for what the other worker has taken."""
        if self._untaken and not self._is_peer_full and self._link_stream is not None:
            self._link.consumed(self._link_stream, self._untaken)
            self._untaken = 0

    def _settle_request(self, *, is_over: bool = False) -> None:
        """Let the other worker send more, for what the agent's session has taken."""
        if self._unsent and (is_over or not self._is_agent_full):
            self._session.consumed(self._stream, self._unsent)
            self._unsent = 0
            self._flush()

    def _reset(self, code: ResetCode, message: str) -> None:
        self._session.consumed(self._stream, self._unsent)
        self._unsent = 0
        self._session.reset_stream(self._stream, code, message)
        self._owner.ended(self._stream)
        self._flush()

    def _flush(self) -> None:
        self._owner.carrier.flush_soon()
