"""
A caller's bytes as requests: a sans-I/O reader over httptools (llhttp).

Reading and judging are apart: this says what came, `http_head` says what to think
of it. httptools has no limit on the size of a head, of trailers or of a chunk's
extensions, so the limit is kept here.
"""

from dataclasses import dataclass

import httptools

from hookloop.exchange import Headers

from .http_head import DEFAULTS, RawRequest, is_within_limits
from .limits import RelayLimits
from .refusal import Refusal

__all__ = ["BodyRead", "EndRead", "HeadRead", "ReaderEvent", "RequestReader", "UnreadableRead"]


@dataclass(slots=True)
class HeadRead:
    """
    A request begins; a short one has come as a whole.

    Most webhooks arrive in one packet, and are passed on in one step.
    """

    raw: RawRequest
    keep_alive: bool
    """The caller would like to use the connection again."""
    body: bytes = b""
    """What came of the body with the head."""
    is_ended: bool = False
    """That is all of it: no `EndRead` follows."""
    after_upgrade: bytes | None = None
    """For a request to leave HTTP: what came behind it. Nothing more is read then."""


@dataclass(frozen=True, slots=True)
class BodyRead:
    """More of the body."""

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

    def __init__(self, limits: RelayLimits = DEFAULTS) -> None:
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._events: list[ReaderEvent] = []
        self._head: HeadRead | None = None
        """The last event, where it is a head that what follows may be added to."""
        self._target: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._silent_bytes = 0
        """What was fed since the last event: part of a head, of trailers, of a chunk's line."""
        self._leaving: RawRequest | None = None
        self._is_over = False
        self.has_begun_head = False
        """Part of a head has come, and its end has not."""

    def receive_data(self, data: bytes) -> list[ReaderEvent]:
        """Return what *data* completes, in order. Never raises, whatever the bytes."""
        if self._is_over:
            return []
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._leave_http(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._give_up(Refusal(400, "bad_request", f"this is not valid HTTP/1.1: {error}"))
        self._silent_bytes = 0 if self._events else self._silent_bytes + len(data)
        if self._silent_bytes > self._limits.head_bytes_max:
            self._too_large()
        self._head = None
        events, self._events = self._events, []
        return events

    # --- called by httptools --------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.has_begun_head = True

    def on_url(self, url: bytes) -> None:
        self._target.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # White space behind a value is no part of it (RFC 9112 section 5); llhttp leaves it there.
        self._fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.has_begun_head = False
        if self._is_over:
            return
        raw = RawRequest(
            method=self._parser.get_method(),
            target=b"".join(self._target),
            version=self._parser.get_http_version(),
            headers=tuple(self._fields),
        )
        if self._parser.should_upgrade():
            self._leaving = raw
        else:
            self._head = HeadRead(raw, self._parser.should_keep_alive())
            self._events.append(self._head)
        self._target.clear()
        self._fields.clear()

    def on_body(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._head is not None and not self._head.body:
            self._head.body = data
        else:
            self._head = None
            self._events.append(BodyRead(data))

    def on_message_complete(self) -> None:
        if self._leaving is not None or self._is_over:
            return
        head, self._head = self._head, None
        if head is not None and not self._fields:
            head.is_ended = True
            return
        trailers = tuple(self._fields)
        self._fields.clear()
        if is_within_limits(trailers, self._limits):
            self._events.append(EndRead(trailers))
        else:
            self._too_large()

    # --- ends -----------------------------------------------------------------------------

    def _leave_http(self, rest: bytes) -> None:
        """llhttp stops behind the head of a request with Upgrade, or of CONNECT."""
        self._is_over = True
        if self._leaving is not None:
            # llhttp no longer says whether the caller would like to go on.
            self._events.append(
                HeadRead(self._leaving, keep_alive=_keeps_alive(self._leaving), after_upgrade=rest)
            )

    def _too_large(self) -> None:
        message = "the head or the trailers of the request are over the limits, such as "
        message += f"{self._limits.head_bytes_max} bytes"
        self._give_up(Refusal(431, "head_too_large", message))

    def _give_up(self, refusal: Refusal) -> None:
        if not self._is_over:
            self._is_over = True
            self._events.append(UnreadableRead(refusal))


def _keeps_alive(raw: RawRequest) -> bool:
    """Say it for a request with Upgrade, whose Connection field has been read by llhttp."""
    options = b",".join(value for name, value in raw.headers if name.lower() == b"connection")
    is_closing = b"close" in [option.strip().lower() for option in options.split(b",")]
    return raw.version == "1.1" and not is_closing
