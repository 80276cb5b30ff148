"""
Requests for an agent that is on its way: each waits, a few seconds, in a `Link`'s place.

An agent that changes relays, or comes back after its network did, is away for a second or
less. Its callers are answered late then, and not that it is offline.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hookloop.exchange import Headers
from hookloop.tunnel.wire.messages import Request, ResetCode

from .link import AnsweredCaller, Link, RawCaller
from .refusal import Refusal
from .registry import Found

__all__ = ["REQUESTS_MAX", "WaitingCaller", "WaitingLink", "WaitingRoom"]

REQUESTS_MAX = 2_000
"""That wait at once, of all tunnels: each has its head in memory, and what came with it."""


class WaitingCaller(AnsweredCaller, Protocol):
    """A caller's connection, which is told where its wait was for nothing."""

    def agent_stayed_away(self, refusal: Refusal) -> None:
        """Answer this. May not raise."""
        ...


class WaitingRoom:
    """Where requests wait. Call `bound` for each name that leads to an agent again."""

    def __init__(self, find: Callable[[str], Found[Link] | None], *, seconds: float) -> None:
        """*find* returns where a host leads; *seconds*, at most, is how long a request waits."""
        self._find = find
        self._seconds = seconds
        self._waiting: dict[str, set[WaitingLink]] = {}
        """By the host that each is for."""
        self._count = 0
        self._is_closed = False

    def __len__(self) -> int:
        """Return how many wait."""
        return self._count

    def link_for(self, host: str, refusal: Refusal) -> "WaitingLink | Refusal":
        """Return where a request for *host* may wait; *refusal* is its answer otherwise."""
        if not self._seconds or self._is_closed or self._count >= REQUESTS_MAX:
            return refusal
        return WaitingLink(self, host, refusal)

    def bound(self, host: str) -> None:
        """*host*, which may be one for all below it, leads to an agent: pass on what waits."""
        hosts = [host]
        if host.startswith("*"):
            hosts = [each for each in self._waiting if each.endswith(host[1:])]
        for each in hosts:
            for link in list(self._waiting.get(each, ())):
                found = self._find(each)
                if found is not None and found.link is not None and found.protocol == "http":
                    link.pass_on(found.name, found.link)

    def close(self) -> None:
        """No agent will come any more: answer all of them."""
        self._is_closed = True
        for links in list(self._waiting.values()):
            for link in list(links):
                link.give_up()

    # --- for links --------------------------------------------------------------------------

    def entered(self, host: str, link: "WaitingLink") -> asyncio.TimerHandle:
        """Keep a request; returns the end of its patience."""
        self._waiting.setdefault(host, set()).add(link)
        self._count += 1
        return asyncio.get_running_loop().call_later(self._seconds, link.give_up)

    def left(self, host: str, link: "WaitingLink") -> None:
        links = self._waiting.get(host, set())
        if link in links:
            links.remove(link)
            self._count -= 1
            if not links:
                del self._waiting[host]


@dataclass(slots=True)
class _Waiting:
    request: Request
    caller: WaitingCaller
    patience: asyncio.TimerHandle
    is_upgrade: bool = False
    body: list[bytes] = field(default_factory=list)
    is_ended: bool = False
    trailers: Headers = ()
    digest: bytes = b""


class WaitingLink:
    """
    Keeps one request, up to what one read of the socket brought, and then leads to its agent.

    Has the methods of a `Link` that a caller's connection calls.
    """

    def __init__(self, room: WaitingRoom, host: str, refusal: Refusal) -> None:
        self._room = room
        self._host = host
        self._refusal = refusal
        self._waiting: _Waiting | None = None
        self._link: Link | None = None
        """Its agent's, once that is there."""
        self._stream = 0
        """On that link. Here there is but one, whatever it is called."""

    # --- as a Link --------------------------------------------------------------------------

    def open_stream(
        self,
        request: Request,
        body: bytes,
        caller: WaitingCaller,
        *,
        is_ended: bool,
        digest: bytes = b"",
    ) -> int | None:
        """Let it wait; the stream is no agent's yet. Raises `LocalError` as a `Link` does."""
        waiting = self._enter(request, caller)
        waiting.body.append(body)
        waiting.is_ended, waiting.digest = is_ended, digest
        return 0

    def open_upgrade(self, request: Request, caller: WaitingCaller) -> int | None:
        self._enter(request, caller).is_upgrade = True
        return 0

    def become_raw(self, _stream: int, caller: RawCaller, *, is_ended: bool) -> None:
        if self._link is not None:
            self._link.become_raw(self._stream, caller, is_ended=is_ended)

    def send_data(self, _stream: int, data: bytes) -> bool:
        if self._link is not None:
            return self._link.send_data(self._stream, data)
        if self._waiting is not None:
            self._waiting.body.append(data)
        return False  # read on when somebody is there to take it

    def end_stream(self, _stream: int, trailers: Headers = (), *, digest: bytes = b"") -> None:
        if self._link is not None:
            self._link.end_stream(self._stream, trailers, digest=digest)
        elif waiting := self._waiting:
            waiting.is_ended, waiting.trailers, waiting.digest = True, trailers, digest

    def cancel(self, _stream: int, message: str) -> None:
        """The caller is gone."""
        self._leave()
        if self._link is not None:
            self._link.cancel(self._stream, message)

    def consumed(self, _stream: int, length: int) -> None:
        if self._link is not None:
            self._link.consumed(self._stream, length)

    # --- for the room -----------------------------------------------------------------------

    def pass_on(self, tunnel: str, link: Link) -> None:
        """Its agent is there, and calls the tunnel so."""
        waiting = self._leave()
        if waiting is None:
            return
        request = waiting.request._replace(tunnel=tunnel)
        if waiting.is_upgrade:
            stream = link.open_upgrade(request, waiting.caller)
        else:
            is_whole = waiting.is_ended and not waiting.trailers
            digest = waiting.digest if is_whole else b""
            body = b"".join(waiting.body)
            stream = link.open_stream(
                request, body, waiting.caller, is_ended=is_whole, digest=digest
            )
        if stream is None:
            message = "the agent is serving as many exchanges at once as it takes"
            waiting.caller.stream_reset(ResetCode.OVERLOADED, message)
            return
        self._link, self._stream = link, stream
        if waiting.trailers:
            link.end_stream(stream, waiting.trailers, digest=waiting.digest)
        waiting.caller.may_send_again()

    def give_up(self) -> None:
        """It has waited long enough."""
        if waiting := self._leave():
            waiting.caller.agent_stayed_away(self._refusal)

    # --- inside -----------------------------------------------------------------------------

    def _enter(self, request: Request, caller: WaitingCaller) -> _Waiting:
        request.encode()  # what a wire cannot carry is its caller's fault, and is said now
        patience = self._room.entered(self._host, self)
        waiting = self._waiting = _Waiting(request, caller, patience)
        return waiting

    def _leave(self) -> _Waiting | None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.patience.cancel()
            self._room.left(self._host, self)
        return waiting
