"""
A caller's connection: HTTP/1.1 in, streams out, answers back.

Exchanges of one connection run one after the other. What a caller sends ahead
(pipelining) waits here, and reading stops until it is its turn: at most what one
read of the socket brought. Nor does a new exchange begin while the caller has not
read the answers before it.
"""

import asyncio
from collections import deque
from typing import cast

from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import Headers, RequestHead, ResponseHead
from hookloop.tunnel.end_to_end import upgrade_asked, upgrade_granted
from hookloop.tunnel.patience import Patience
from hookloop.tunnel.raw_pipe import reset_on_close
from hookloop.tunnel.turn_writer import TurnWriter
from hookloop.tunnel.wire.messages import ResetCode

from .forwarded import forwarded
from .front import Front, Page, peer_name
from .http_head import Admitted, admit, passable_trailers
from .refusal import Refusal, refusal_for_reset, render_refusal
from .request_reader import BodyRead, EndRead, HeadRead, ReaderEvent, RequestReader, UnreadableRead
from .response import ResponseWriter
from .serving import Serving
from .upgraded import UpgradedCaller

__all__ = ["Downstream"]


class Downstream(asyncio.Protocol):
    """One caller's connection; see the module's text. It is a `link.AnsweredCaller`."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._limits = front.config.limits
        self.peer = ("unknown", 0)
        """The address at the other end, which may be a proxy's."""
        self._remote = self._remote_host = ""
        self._reader = RequestReader(self._limits)
        self._ahead: deque[ReaderEvent] = deque()
        self._exchange: Serving | None = None
        self._writer = TurnWriter()
        self._is_full = False
        """The caller does not read as fast as the answer comes."""
        self._is_held = False
        """The agent takes no more of the request for now."""
        self._has_ended = False
        """The caller sends no more."""
        self._unconsumed = 0
        self._unread = 0
        """What waited for a slow reader at the last look: it should become less."""
        self._unread_of = 0
        """How long the answer's body was then."""
        self._body_since = self._held_at = 0.0
        """When the request's body began; what it waits for us is added."""
        self._patience = Patience(front.clock, self._too_slow)
        """For what the caller sends."""
        self._reading = Patience(front.clock, self._stalled)
        """For the caller to take what waits for it."""
        self._behind_upgrade: bytes | None = None
        """What came behind a request to leave HTTP: until its answer nobody knows what it is."""
        self._upgraded: UpgradedCaller | None = None
        """Has the connection once it has left HTTP."""
        self._is_closing = False
        self._has_drained = False
        """Closing, and nothing waits for the caller any more."""

    def close_when_idle(self) -> None:
        """Take no request after the one that is being served."""
        if self._exchange is None:
            self._close()
        else:
            self._exchange.writer.keep_alive = False

    def abort(self) -> None:
        """End the connection now, so that a cut answer is seen to be cut."""
        self._is_closing = True
        if self._upgraded is not None:
            self._upgraded.pipe.cut("the relay was stopped")
        elif self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._writer.transport = self._transport
        self._transport.set_write_buffer_limits(high=self._limits.answer_buffer_bytes)
        self.peer = peer_name(transport)
        host, port = self._front.peer_of(transport)
        self._remote_host, self._remote = host, f"{host}:{port}"
        refusal = self._front.enter(self, host)
        if refusal is None:
            self._patience.wait(self._limits.head_seconds)
        else:
            self._unreadable(refusal)

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        if self._behind_upgrade is not None:
            self._behind_upgrade += data
            self._pause_reading()
            return
        self._ahead.extend(self._reader.receive_data(data))
        self._go_on()

    def eof_received(self) -> bool:
        """A caller may end its sending side and still read the answer, but by TLS it cannot."""
        self._has_ended = True
        if self._transport is None or not self._transport.can_write_eof():
            return False  # both event loops would close all the same, and log that they do
        is_waiting = self._exchange is not None and self._exchange.is_request_ended
        return not self._is_closing and (is_waiting or bool(self._ahead))

    def pause_writing(self) -> None:
        self._is_full = True
        self._expect_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        self._settle_credit()
        if not self._is_closing:
            self._reading.stop()
            if self._exchange is None:
                self._wait_for_request()
                self._go_on()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = self._writer.transport = None
        self._is_closing = True
        self._patience.close()
        self._reading.close()
        self._settle_credit()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._front.counts.cut["caller_gone"] += 1
            exchange.leave_stream("the caller closed the connection")
            exchange.tell(self._front, "the caller closed the connection")
        self._front.downstream_lost(self)

    # --- requests on their way in -----------------------------------------------------------

    def _go_on(self) -> None:
        """Take what was read, up to the end of the request that is being served."""
        while self._ahead and not self._is_closing:
            exchange = self._exchange
            if self._is_full if exchange is None else exchange.is_request_ended:
                self._pause_reading()
                return
            self._take(self._ahead.popleft())
        if self._is_closing:
            return
        if not self._is_held:
            self._resume_reading()
        if self._exchange is None and self._reader.has_begun_head:
            self._patience.wait_no_longer(self._limits.head_seconds)

    def _take(self, event: ReaderEvent) -> None:
        match event:
            case HeadRead():
                self._begin(event)
            case BodyRead(data):
                self._body(data)
            case EndRead(trailers):
                self._end(trailers)
            case UnreadableRead(refusal):
                self._unreadable(refusal)

    def _begin(self, read: HeadRead) -> None:
        raw = read.raw
        head = RequestHead(raw.method, raw.target, raw.headers)
        keep_alive = read.keep_alive and not self._front.is_leaving
        writer = ResponseWriter(method=raw.method, version=raw.version, keep_alive=keep_alive)
        exchange = self._exchange = Serving(
            head, writer, self._front.clock.monotonic(), self._remote
        )
        # One that leaves HTTP has ended as HTTP: nothing more is read.
        exchange.is_request_ended = read.is_ended or read.after_upgrade is not None
        if exchange.is_request_ended:
            self._patience.stop()
        else:
            self._body_since = exchange.started
            self._expect_body(exchange)
        verdict = admit(raw, self._limits)
        if isinstance(verdict, Refusal):
            writer.keep_alive = False
            exchange.drained_bytes = len(read.body)
            self._answer(exchange, verdict)
        elif read.after_upgrade is not None:
            self._leave_http(exchange, verdict, head, read)
        else:
            self._pass_on(exchange, verdict, read)

    def _leave_http(
        self, exchange: Serving, admitted: Admitted, upgrade: RequestHead, read: HeadRead
    ) -> None:
        """A request with Upgrade: of an agent, or of a caller of a tunnel."""
        assert self._transport is not None  # noqa: S101  # we are reading from it
        rest = read.after_upgrade or b""
        if admitted.has_body:
            # Nobody agrees on where such a body ends and the new protocol begins.
            exchange.writer.keep_alive = False
            self._answer(exchange, Refusal(400, "bad_request", "a request with Upgrade has a body"))
            return
        if not self._front.is_of_agent(admitted, upgrade):
            self._behind_upgrade = rest
            if read.raw.version == "1.1":  # RFC 9110 section 7.8: to be ignored in HTTP/1.0
                exchange.asked = upgrade_asked(upgrade.headers)
            self._pass_on(exchange, admitted, read)
            return
        self._writer.flush()
        refusal = self._front.open_session(upgrade, self._transport, rest)
        if refusal is not None:
            exchange.writer.keep_alive = False
            self._answer(exchange, refusal)
            return
        # The connection is the session's now, and nothing here may touch it again.
        self._exchange = None
        self._is_closing = True
        self._transport = self._writer.transport = None
        self._patience.close()
        self._reading.close()
        self._front.downstream_lost(self)

    def _pass_on(self, exchange: Serving, admitted: Admitted, read: HeadRead) -> None:
        route = self._front.route(admitted)
        if isinstance(route, Refusal):
            self._answer(exchange, route)
            return
        if isinstance(route, Page):
            self._answer_page(exchange, route)
            return
        front = self._front
        caller = forwarded(
            admitted, peer=self._remote_host, scheme=front.scheme, proxies=front.proxies
        )
        exchange.request = caller.head
        if caller.host != self._remote_host:
            exchange.remote = f"{caller.host}:0"  # the proxy knows the port, and does not say
        exchange.tunnel, exchange.has_body = route.tunnel, admitted.has_body
        exchange.request_body.add(read.body)
        try:
            stream = exchange.open_stream(route.link, read, self)
        except LocalError:
            # llhttp lets through what the wire does not carry; it came from the caller.
            message = "the request head has a field that is not valid HTTP"
            self._answer(exchange, Refusal(400, "bad_request", message))
            return
        if stream is None:
            message = "the agent is serving as many exchanges at once as it takes"
            self._answer(exchange, Refusal(503, "overloaded", message, retry_after=1))
            return
        exchange.link, exchange.stream = route.link, stream

    def _body(self, data: bytes) -> None:
        exchange = self._exchange
        assert exchange is not None  # noqa: S101  # a body follows its head
        if exchange.link is None or exchange.stream is None or exchange.is_response_ended:
            exchange.drained_bytes += len(data)
            if exchange.drained_bytes > self._limits.unwanted_bytes_max:
                self._close()
            return
        exchange.request_body.add(data)
        if not exchange.link.send_data(exchange.stream, data):
            self._hold()
        elif not self._is_held:
            self._expect_body(exchange)

    def _hold(self) -> None:
        """It is us who wait now, not the caller who is slow."""
        if not self._is_held:  # what was read before the pause still comes
            self._is_held, self._held_at = True, self._front.clock.monotonic()
            self._patience.stop()
            self._pause_reading()

    def _end(self, trailers: Headers) -> None:
        exchange = self._exchange
        assert exchange is not None  # noqa: S101  # an end follows its head
        exchange.is_request_ended = True
        self._is_held = False
        self._patience.stop()
        if exchange.is_response_ended:
            self._finish(exchange)
        elif exchange.has_body and exchange.link is not None and exchange.stream is not None:
            try:
                exchange.link.end_stream(
                    exchange.stream,
                    passable_trailers(trailers),
                    digest=exchange.request_body.digest(),
                )
            except LocalError:
                message = "the trailers have a field that is not valid HTTP"
                self._unreadable(Refusal(400, "bad_request", message))

    def _unreadable(self, refusal: Refusal) -> None:
        """What came is not HTTP: answer if nothing was answered yet, and close."""
        exchange = self._exchange
        if exchange is None:
            writer = ResponseWriter(method=b"GET", version="1.1", keep_alive=False)
            head = RequestHead(b"", b"", ())
            exchange = self._exchange = Serving(
                head, writer, self._front.clock.monotonic(), self._remote
            )
        else:
            exchange.leave_stream("the caller's request is not valid HTTP/1.1")
        exchange.is_request_ended = True
        exchange.writer.keep_alive = False
        if exchange.response is None:
            self._answer(exchange, refusal)
        elif exchange.is_response_ended:
            self._finish(exchange)
        else:
            exchange.tell(self._front, "the caller's request is not valid HTTP/1.1")
            self._cut(exchange)

    # --- link.AnsweredCaller: answers on their way out --------------------------------------

    def response_head(
        self, head: ResponseHead, body: bytes, *, is_ended: bool, digest: bytes
    ) -> None:
        exchange = self._exchange
        if exchange is None or exchange.is_response_ended:
            return
        if head.status == 101:
            self._become_raw(exchange, head, is_ended)
            return
        try:
            if head.status < 200:
                self._writer.write(exchange.writer.interim(head))
                return
            buffers = [exchange.writer.head(head), *self._framed(exchange, body, is_ended)]
        except ProtocolError as error:
            self._give_up(exchange, str(error))
            return
        exchange.response = head
        exchange.responded = self._front.clock.monotonic()
        exchange.response_body.told = digest
        self._pass_back(exchange, buffers, is_ended)

    def response_data(self, data: bytes, *, is_ended: bool, digest: bytes) -> None:
        exchange = self._exchange
        if exchange is None or exchange.is_response_ended:
            return
        try:
            buffers = self._framed(exchange, data, is_ended)
        except ProtocolError as error:
            self._give_up(exchange, str(error))
            return
        exchange.response_body.told = digest
        self._pass_back(exchange, buffers, is_ended)

    def _framed(self, exchange: Serving, body: bytes, is_ended: bool) -> list[bytes]:
        """Return body bytes as the caller gets them. Raises `ProtocolError` for a broken body."""
        self._unconsumed += len(body)
        exchange.response_body.add(body)
        buffers = [*exchange.writer.data(body)]
        if is_ended:
            buffers.append(exchange.writer.end())
        return buffers

    def _pass_back(self, exchange: Serving, buffers: list[bytes], is_ended: bool) -> None:
        """Write some of the answer, and at once where nothing will come to go with it."""
        if is_ended:
            self._writer.write_now(buffers)
            self._response_ended(exchange)
            return
        self._writer.write(*buffers)
        if not self._is_full:
            self._settle_credit()

    def response_trailers(self, trailers: Headers) -> None:
        exchange = self._exchange
        if exchange is None or exchange.is_response_ended:
            return
        try:
            self._writer.write(exchange.writer.end(trailers))
        except ProtocolError as error:
            self._give_up(exchange, str(error))
            return
        self._response_ended(exchange)

    def stream_reset(self, code: ResetCode, message: str) -> None:
        exchange = self._exchange
        if exchange is None or exchange.is_response_ended:
            return
        self._settle_credit()
        if exchange.response is None:
            self._answer(exchange, refusal_for_reset(code, message))
        else:
            exchange.tell(self._front, message)
            self._cut(exchange)

    def may_send_again(self) -> None:
        if self._is_held:
            self._is_held = False
            self._body_since += self._front.clock.monotonic() - self._held_at
        if self._exchange is not None and not self._exchange.is_request_ended:
            self._expect_body(self._exchange)
            self._resume_reading()

    def agent_stayed_away(self, refusal: Refusal) -> None:
        if self._exchange is not None:
            self._answer(self._exchange, refusal)

    # --- out of HTTP --------------------------------------------------------------------------

    def _become_raw(self, exchange: Serving, head: ResponseHead, is_ended: bool) -> None:
        """The agent grants what was asked for: from here the connection is a pipe's."""
        protocols = upgrade_granted(head.headers, exchange.asked)
        if not protocols or self._transport is None:
            self._give_up(exchange, "the upstream changed to a protocol that was not asked for")
            return
        self._writer.write_now([exchange.writer.switching(head, protocols)])
        exchange.response, exchange.responded = head, self._front.clock.monotonic()
        self._exchange = None
        self._patience.close()
        self._reading.close()
        behind, self._behind_upgrade = self._behind_upgrade or b"", None
        self._upgraded = UpgradedCaller(exchange, self._limits, self._front.clock, self._raw_ended)
        self._upgraded.take_over(
            self._transport, behind, is_caller_ended=self._has_ended, is_agent_ended=is_ended
        )

    def _raw_ended(self, exchange: Serving, failure: str | None) -> None:
        self._transport = self._writer.transport = self._upgraded = None
        self._is_closing = True
        exchange.tell(self._front, failure)
        self._front.downstream_lost(self)

    # --- the answer ---------------------------------------------------------------------------

    def _give_up(self, exchange: Serving, why: str) -> None:
        """The agent's answer cannot be passed on: say 502, or cut what has begun."""
        exchange.leave_stream(why)
        self.stream_reset(ResetCode.UPSTREAM_BROKEN, why)

    def _answer(self, exchange: Serving, refusal: Refusal) -> None:
        head, body = render_refusal(refusal, accept=exchange.request.get(b"accept"))
        exchange.refused = refusal.code
        self._front.counts.refused[refusal.code] += 1
        self._answer_page(exchange, Page(head, body))

    def _answer_page(self, exchange: Serving, page: Page) -> None:
        exchange.response = page.head
        exchange.responded = self._front.clock.monotonic()
        self._writer.write(exchange.writer.head(page.head, is_own=True))
        self._writer.write(*exchange.writer.data(page.body), exchange.writer.end())
        self._response_ended(exchange)

    def _response_ended(self, exchange: Serving) -> None:
        exchange.is_response_ended = True
        self._is_held = False
        self._settle_credit()
        if exchange.is_request_ended:
            self._finish(exchange)
            return
        # The answer came first: read the rest of the request, within limits, and drop it.
        self._patience.wait(self._limits.linger_seconds)
        self._resume_reading()

    def _finish(self, exchange: Serving) -> None:
        self._exchange = None
        exchange.tell(self._front, None)
        if self._behind_upgrade is not None:
            # Not upgraded: the connection is HTTP as it was, and so is what came behind.
            behind, self._behind_upgrade = self._behind_upgrade, None
            self._reader = RequestReader(self._limits)
            self._ahead.extend(self._reader.receive_data(behind))
        if not exchange.writer.keep_alive or (self._has_ended and not self._ahead):
            self._close()
            return
        self._wait_for_request()
        if self._ahead:
            # Not from here: a caller of a thousand answers at once would nest them.
            self._loop.call_soon(self._go_on)
        else:
            self._resume_reading()

    # --- the socket -----------------------------------------------------------------------------

    def _settle_credit(self) -> None:
        """Let the agent send more, for what has left for the caller."""
        exchange, length = self._exchange, self._unconsumed
        if length and exchange is not None and exchange.link and exchange.stream is not None:
            exchange.link.consumed(exchange.stream, length)
            self._unconsumed = 0

    def _pause_reading(self) -> None:
        # uvloop, unlike asyncio, raises on a transport that is closing.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _bytes_unread(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _cut(self, exchange: Serving) -> None:
        """Leave the answer without its end, so that the caller sees that it is cut."""
        self._front.counts.cut["answer_broken"] += 1
        self._exchange = None
        if not exchange.writer.is_cut_visible and self._transport is not None:
            reset_on_close(self._transport.get_extra_info("socket"))
            self.abort()
        else:
            self._close()

    def _close(self) -> None:
        """
        Write what is left, end our side, and give the caller a moment to read it.

        Half-close first: with bytes of the caller unread, a full close would reset the
        connection and take our answer with it.
        """
        transport = self._transport
        if self._is_closing or transport is None or transport.is_closing():
            return
        self._is_closing = True
        self._writer.flush()
        if transport.is_closing():
            return
        self._expect_reading()
        if self._has_ended:
            transport.close()
            return
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        elif self._exchange is None or self._exchange.is_request_ended:
            transport.close()  # TLS says "no more" and "gone" in one, which no answer is lost by
            return
        self._has_drained = self._bytes_unread() == 0
        self._patience.wait(self._limits.linger_seconds)

    # --- deadlines ------------------------------------------------------------------------------

    def _wait_for_request(self) -> None:
        limits, has_begun = self._limits, self._reader.has_begun_head
        self._patience.wait(limits.head_seconds if has_begun else limits.idle_seconds)

    def _expect_body(self, exchange: Serving) -> None:
        """More of the request's body must come soon, and all of it not too slowly."""
        limits = self._limits
        wait = limits.body_idle_seconds
        if limits.body_rate_min:
            paid = limits.rate_grace_seconds + exchange.request_body.length / limits.body_rate_min
            wait = min(wait, self._body_since + paid - self._front.clock.monotonic())
        self._patience.wait(wait)

    def _expect_reading(self) -> None:
        """The caller must take some of what waits for it, again and again."""
        self._unread, self._unread_of = self._bytes_unread(), self._bytes_answered()
        self._reading.wait(self._limits.stall_seconds)

    def _stalled(self) -> None:
        unread = self._bytes_unread()
        taken = self._unread - unread + max(0, self._bytes_answered() - self._unread_of)
        least = max(1, int(self._limits.answer_rate_min * self._limits.stall_seconds))
        if taken >= min(least, self._unread):
            self._expect_reading()  # it is slow, but it reads
            return
        self._front.counts.cut["slow_reader"] += 1
        self.abort()

    def _bytes_answered(self) -> int:
        return self._exchange.response_body.length if self._exchange is not None else 0

    def _linger(self) -> None:
        """Closing: let the caller read what waits for it, and a moment more."""
        if self._has_drained:
            self.abort()
            return
        self._has_drained = self._bytes_unread() == 0
        self._patience.wait(self._limits.linger_seconds)

    def _too_slow(self) -> None:
        exchange = self._exchange
        if self._is_closing:
            self._linger()
        elif exchange is None and self._is_full:
            pass  # it reads the answers before this wait, or stalls
        elif exchange is not None and exchange.is_response_ended:
            self._close()
        elif exchange is not None or self._reader.has_begun_head:
            message = "the request did not come to its end in time"
            self._unreadable(Refusal(408, "request_timeout", message))
        else:
            self._close()
