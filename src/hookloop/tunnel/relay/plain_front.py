"""
The second, plain port of a relay with TLS: sends callers to https, and answers http-01.

Challenges are answered here and never by a tunnel, or whoever has a tunnel could
have certificates made out for its name.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from typing import cast

__all__ = ["CHALLENGE_PATH", "PlainFront"]

CHALLENGE_PATH = "/.well-known/acme-challenge/"
HEAD_BYTES_MAX = 16 * 1024
HEAD_SECONDS = 10.0
LINGER_SECONDS = 1.0  # for a caller that still sends to read our answer

logger = logging.getLogger("hookloop.relay")

_REQUEST_LINE = re.compile(r"([A-Z]{1,20}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_AUTHORITY = re.compile(r"([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)\.?(?::[0-9]{1,5})?", re.IGNORECASE)


class PlainFront:
    """Makes the protocols of the plain port's connections."""

    def __init__(
        self,
        challenge: Callable[[str], str | None],
        *,
        is_ours: Callable[[str], bool],
        https_port: Callable[[], int],
    ) -> None:
        self._answer_of = challenge
        """Returns what to answer to a token, or None: `AcmeStore.challenge`."""
        self._is_ours = is_ours
        self._https_port = https_port

    def new_connection(self) -> asyncio.Protocol:
        return _PlainConnection(self)

    def answer(self, head: str) -> bytes:
        """Return the whole response to a request head."""
        request_line, *lines = head.split("\r\n")
        match = _REQUEST_LINE.fullmatch(request_line)
        if match is None:
            return _response("400 Bad Request", "This is not an HTTP/1.1 request.\n")
        method, target = match.groups()
        if target.startswith(CHALLENGE_PATH):
            return self._challenge(method, target.removeprefix(CHALLENGE_PATH))
        hosts = [line.partition(":")[2].strip() for line in lines if _is_host(line)]
        authority = _AUTHORITY.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if authority is None:
            return _response("400 Bad Request", "The request names no host.\n")
        host = authority[1].lower()
        if not self._is_ours(host):
            return _response("404 Not Found", "No such host here.\n")
        port = self._https_port()
        where = f"https://{host}{target}" if port == 443 else f"https://{host}:{port}{target}"
        # 308 and not 301: a POST stays a POST.
        return _response("308 Permanent Redirect", f"It is at {where}\n", f"Location: {where}\r\n")

    def _challenge(self, method: str, token: str) -> bytes:
        answer = self._answer_of(token) if method == "GET" else None
        if answer is None:
            return _response("404 Not Found", "No such challenge is under way.\n")
        logger.info("http-01 challenge answered")
        return _response("200 OK", answer)


def _is_host(line: str) -> bool:
    return line[:5].lower() == "host:"


def _response(status: str, text: str, fields: str = "") -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n{fields}Connection: close\r\n\r\n"
    )
    return head.encode() + body


class _PlainConnection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self, front: PlainFront) -> None:
        self._front = front
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = b""
        self._is_answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._wait(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._is_answered or self._transport is None:
            return
        self._received += data
        head, end, _ = self._received.partition(b"\r\n\r\n")
        if not end and len(self._received) <= HEAD_BYTES_MAX:
            return
        self._is_answered = True
        # A head that goes on and on is told that it is none.
        self._transport.write(self._front.answer(head.decode("latin-1") if end else ""))
        self._transport.write_eof()
        self._wait(LINGER_SECONDS)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, seconds: float) -> None:
        assert self._transport is not None  # noqa: S101  # for the type checker: it is connected
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)
