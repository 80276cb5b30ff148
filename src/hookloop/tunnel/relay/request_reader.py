"""
A caller's bytes as requests: a sans-I/O reader over httptools (llhttp).

Reading and judging are apart: this says what came, `http_head` says what to think
of it. httptools has no limit on a head's size, so the limit is kept here.
"""

from dataclasses import dataclass

import httptools

from hookloop.exchange import Headers

from .http_head import HEAD_BYTES_MAX, RawRequest
from .refusal import Refusal

__all__ = ["BodyRead", "EndRead", "HeadRead", "ReaderEvent", "RequestReader", "UnreadableRead"]


@dataclass(frozen=True, slots=True)
class HeadRead:
    """A request begins."""

    raw: RawRequest
    keep_alive: bool
    """The caller would like to use the connection again."""
    after_upgrade: bytes | None = None
    """For a request to leave HTTP: what came behind it. Nothing more is read then."""


@dataclass(frozen=True, slots=True)
class BodyRead:
    data: bytes


@dataclass(frozen=True, slots=True)
class EndRead:
    """The request is complete."""

    trailers: Headers


@dataclass(frozen=True, slots=True)
class UnreadableRead:
    """What came is not HTTP, or has no end: answer this and close. Nothing more is read."""

    refusal: Refusal


ReaderEvent = HeadRead | BodyRead | EndRead | UnreadableRead


class RequestReader:
    """Reads the requests of one connection, one after the other."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._events: list[ReaderEvent] = []
        self._target: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._is_in_head = True
        self._head_bytes = 0
        self._leaving: RawRequest | None = None
        self._is_over = False

    def receive_data(self, data: bytes) -> list[ReaderEvent]:
        """Return what *data* completes, in order. Never raises, whatever the bytes."""
        if self._is_over:
            return []
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._leave_http(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._give_up(Refusal(400, "bad_request", f"this is not valid HTTP/1.1: {error}"))
        if self.has_begun_head and self._head_bytes > HEAD_BYTES_MAX:
            message = f"the request head is over {HEAD_BYTES_MAX} bytes"
            self._give_up(Refusal(431, "head_too_large", message))
        events, self._events = self._events, []
        return events

    @property
    def has_begun_head(self) -> bool:
        """Part of a head has come, and its end has not."""
        return self._is_in_head and self._head_bytes > 0 and not self._is_over

    # --- called by httptools --------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        self._target.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        raw = RawRequest(
            method=self._parser.get_method(),
            target=b"".join(self._target),
            version=self._parser.get_http_version(),
            headers=tuple(self._fields),
        )
        if self._parser.should_upgrade():
            self._leaving = raw
        else:
            self._events.append(HeadRead(raw, self._parser.should_keep_alive()))
        self._is_in_head = False
        self._target.clear()
        self._fields.clear()

    def on_body(self, data: bytes) -> None:
        self._events.append(BodyRead(data))

    def on_message_complete(self) -> None:
        if self._leaving is not None:
            return
        self._events.append(EndRead(tuple(self._fields)))
        self._fields.clear()
        self._is_in_head = True
        self._head_bytes = 0

    # --- ends -----------------------------------------------------------------------------

    def _leave_http(self, rest: bytes) -> None:
        """llhttp stops behind the head of a request with Upgrade, or of CONNECT."""
        self._is_over = True
        if self._leaving is not None:
            self._events.append(HeadRead(self._leaving, keep_alive=False, after_upgrade=rest))

    def _give_up(self, refusal: Refusal) -> None:
        self._is_over = True
        self._events.append(UnreadableRead(refusal))
