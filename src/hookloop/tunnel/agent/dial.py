"""Opens a session: connects to the relay and asks for the upgrade. SPEC.md section 1."""

import asyncio
import base64
import json
import secrets
import socket
import ssl
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

from hookloop.errors import RefusedError, RemoteError
from hookloop.exchange import ResponseHead
from hookloop.tunnel.wire import handshake
from hookloop.tunnel.wire.handshake import SESSION_PATH, Carriage

from .trust import Trust, untrusted

__all__ = ["NoRelayError", "NotNowError", "Opened", "dial"]

ANSWER_BYTES_MAX = 64 * 1024  # of a relay that does not answer as a relay
RETRY_SECONDS_MAX = 60.0  # what a relay may ask us to wait
TRUST_SYSTEM = Trust()


class NoRelayError(RemoteError):
    """What answers is no relay, or does not hear of our Upgrade: a proxy stands before it."""


class NotNowError(RemoteError):
    """The relay asks to come back in *retry_seconds*."""

    def __init__(self, retry_seconds: float, message: str) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that has left HTTP."""

    transport: asyncio.Transport
    rest: bytes
    """Frames that came with the answer."""
    via: Carriage
    latency_seconds: float
    """From the request to its answer: a first measure of the way to the relay and back."""


async def dial(
    relay_url: str,
    token: str,
    *,
    timeout: float,  # noqa: ASYNC109  # one wait, not a scope
    via: Carriage | None = None,
    path: bytes = SESSION_PATH,
    trust: Trust = TRUST_SYSTEM,
) -> Opened:
    """
    Return an upgraded connection: by the carriage *via*, or, for None, by the one that passes.

    Raises `RefusedError` when the relay says no for good, `NotNowError` when it says when
    to ask again, `UntrustedError` when what answers may be anybody, any other `RemoteError`
    when it is no relay or not ready, and `OSError` or `TimeoutError` when there is no answer.
    """
    async with asyncio.timeout(timeout):
        if via is not None:
            return await _dial(relay_url, token, via, path, trust)
        try:
            return await _dial(relay_url, token, Carriage.UPGRADE, path, trust)
        except NoRelayError:
            return await _dial(relay_url, token, Carriage.WEBSOCKET, path, trust)


async def _dial(relay_url: str, token: str, via: Carriage, path: bytes, trust: Trust) -> Opened:
    parts = urlsplit(relay_url)
    is_tls = parts.scheme == "https"
    host = parts.hostname or ""
    authority = parts.netloc.rpartition("@")[2]
    loop = asyncio.get_running_loop()
    key = base64.b64encode(secrets.token_bytes(16)) if via is Carriage.WEBSOCKET else b""
    try:
        transport, protocol = await loop.create_connection(
            lambda: _Handshake(loop, key),
            _address(host),
            parts.port or (443 if is_tls else 80),
            ssl=trust.context() if is_tls else None,
            server_hostname=host if is_tls else None,
        )
    except ssl.SSLError as error:
        raise untrusted(error, host) or error from error
    try:
        _send_at_once(transport)
        asked = loop.time()
        transport.write(handshake.session_request(authority, token, path=path, websocket_key=key))
        rest = await protocol.done
        latency = loop.time() - asked
    except BaseException:
        transport.abort()
        raise
    if via is Carriage.WEBSOCKET:
        from hookloop.tunnel.websocket import Side, WebSocketTransport

        wrapped = WebSocketTransport(transport, Side.CLIENT)
        return Opened(wrapped, wrapped.unwrap(rest), via, latency)
    return Opened(transport, rest, via, latency)


def _send_at_once(transport: asyncio.Transport) -> None:
    """Set TCP_NODELAY: below TLS not every event loop does, and each small frame costs 40 ms."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _address(host: str) -> str:
    """Names below .localhost are this machine, whatever DNS says (RFC 6761 section 6.3)."""
    return "127.0.0.1" if host.lower().rstrip(".").endswith(".localhost") else host


class _Handshake(asyncio.Protocol):
    """Reads the one HTTP response of the upgrade."""

    def __init__(self, loop: asyncio.AbstractEventLoop, websocket_key: bytes) -> None:
        self._websocket_key = websocket_key
        self.done: asyncio.Future[bytes] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._fail(NoRelayError("what answers there does not speak HTTP: is it a relay?"))
        if self._received > ANSWER_BYTES_MAX:
            self._fail(NoRelayError("what answers there is not a hookloop relay"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or NoRelayError("the relay closed the connection before answering"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 101:
            head = ResponseHead(status, b"", tuple(self._headers))
            self._fail(_refusal(head, b"".join(self._body)))

    def _upgraded(self, rest: bytes) -> None:
        head = ResponseHead(101, b"", tuple(self._headers))
        if not handshake.grants(head, websocket_key=self._websocket_key):
            self._fail(NoRelayError("what answers there upgrades to something else than a session"))
        elif not self.done.done():
            # Whoever awaits `done` takes the connection over in a later loop turn.
            if self._transport is not None:
                self._transport.pause_reading()
            self.done.set_result(rest)

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def _refusal(head: ResponseHead, body: bytes) -> RemoteError:
    if head.get(b"hookloop-error") == b"tls_required":
        return RefusedError("tls_required", "the relay speaks TLS there: use https://")
    try:
        error = json.loads(body)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return NoRelayError(f"what answers there is not a hookloop relay: HTTP {head.status}")
    if code == "upgrade_lost":
        return NoRelayError(message)
    # Of a relay's own answers these are final. Any other, as a 502 of a proxy before it, passes.
    if head.status in {400, 401, 404, 426, 501}:
        return RefusedError(code, message)
    retry_after = head.get(b"retry-after") or b""
    if retry_after.isdigit() and len(retry_after) < 6:
        return NotNowError(min(float(retry_after), RETRY_SECONDS_MAX), message)
    return RemoteError(message)
