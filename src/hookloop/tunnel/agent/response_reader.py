"""An upstream's bytes as one response: a sans-I/O reader over httptools (llhttp)."""

from dataclasses import dataclass
from typing import Any

import httptools

from hookloop.exchange import Headers, ResponseHead
from hookloop.tunnel.end_to_end import end_to_end, lower_names, upgrade_granted
from hookloop.tunnel.wire.messages import FIELDS_MAX

__all__ = [
    "BodyRead",
    "BrokenRead",
    "EndRead",
    "FinalRead",
    "InterimRead",
    "ReaderEvent",
    "ResponseReader",
    "SwitchedRead",
    "is_last",
]

HEAD_BYTES_MAX = 60 * 1024  # fits the wire's 64 KiB; node sends at most 16 KiB


@dataclass(frozen=True, slots=True)
class InterimRead:
    """A 1xx head; the response is still to come."""

    head: ResponseHead


@dataclass(frozen=True, slots=True)
class SwitchedRead:
    """The 101 that was asked for: HTTP has ended. Nothing more is read."""

    head: ResponseHead
    """With the Upgrade field."""
    rest: bytes
    """What came behind it."""


@dataclass(slots=True)
class FinalRead:
    """The final head; a short response has come as a whole."""

    head: ResponseHead
    body: bytes = b""
    """What came of the body with the head."""
    end: "EndRead | None" = None
    """The end, where it came with the head too: then no `EndRead` follows."""


@dataclass(frozen=True, slots=True)
class BodyRead:
    """More of the body."""

    data: bytes


@dataclass(slots=True)
class EndRead:
    """The response is complete."""

    trailers: Headers
    is_reusable: bool
    """The connection may serve another request."""


@dataclass(frozen=True, slots=True)
class BrokenRead:
    """The response has no clean end. Nothing more is read."""

    message: str


ReaderEvent = InterimRead | SwitchedRead | FinalRead | BodyRead | EndRead | BrokenRead


def is_last(event: ReaderEvent) -> bool:
    """Say whether nothing of the response follows."""
    if isinstance(event, FinalRead):
        return event.end is not None
    return isinstance(event, EndRead | BrokenRead | SwitchedRead)


class ResponseReader:
    """Reads one response; the next one on the same connection needs a new reader."""

    def __init__(self, *, is_head_request: bool, asked: bytes = b"") -> None:
        """*asked*: the protocols that the request asks to change to."""
        self._asked = asked
        self._switched: ResponseHead | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        """None once the response is over, which is asked before it is used."""
        self._is_head_request = is_head_request
        self._events: list[ReaderEvent] = []
        self._final: FinalRead | None = None
        """The last event, where it is a head that what follows may be added to."""
        self._reason: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._silent_bytes = 0
        """What was fed since the last event: part of a head, of trailers, of a chunk's line."""
        self._is_interim = False
        self._needs_eof = False
        self._is_over = False
        self._has_surplus = False
        """More came than the response has."""

    def receive_data(self, data: bytes) -> list[ReaderEvent]:
        """Return what *data* completes, in order. Never raises, whatever the bytes."""
        if self._is_over:
            return []
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._leave_http(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._has_surplus = self._is_over
            self._break(f"its answer is not valid HTTP/1.1: {error}")
        self._silent_bytes = 0 if self._events else self._silent_bytes + len(data)
        if self._silent_bytes > HEAD_BYTES_MAX:
            self._break(f"a head or trailers of its answer are over {HEAD_BYTES_MAX} bytes")
        return self._take()

    def receive_eof(self) -> list[ReaderEvent]:
        """The upstream closed: the end of some bodies, the break of all others."""
        if self._needs_eof and not self._is_over:
            self._end((), is_reusable=False)
        self._break("it closed the connection in the middle of its answer")
        return self._take()

    # --- called by httptools --------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._has_surplus = self._is_over

    def on_status(self, reason: bytes) -> None:
        self._reason.append(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self._is_interim = status < 200
        fields = tuple(self._fields)
        names = lower_names(fields)
        head = ResponseHead(status, b"".join(self._reason), end_to_end(fields, names))
        is_coded = b"transfer-encoding" in names
        self._reason.clear()
        self._fields.clear()
        if self._is_over:
            return
        if len(head.headers) > FIELDS_MAX:
            self._break(f"its answer has over {FIELDS_MAX} header fields")
            return
        if is_coded and not _is_chunked(fields, names):
            # Passed on without this field the body would be taken for something it is not.
            self._break("its answer has a transfer coding that nobody asked for")
            return
        if status == 101:
            self._switch(fields, head)
            return
        if self._is_interim:
            self._events.append(InterimRead(head))
            return
        self._needs_eof = not is_coded and b"content-length" not in names
        self._final = FinalRead(head)
        self._events.append(self._final)
        if self._is_head_request:
            # llhttp cannot be told that no body follows, so this connection ends here.
            self._end((), is_reusable=False)

    def on_body(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._final is not None and not self._final.body:
            self._final.body = data
        else:
            self._final = None
            self._events.append(BodyRead(data))

    def on_message_complete(self) -> None:
        if self._is_interim or self._is_over:
            self._fields.clear()
            return
        if len(self._fields) > FIELDS_MAX:
            self._break(f"its answer has over {FIELDS_MAX} trailer fields")
            return
        self._end(tuple(self._fields), is_reusable=self._parser.should_keep_alive())

    def _switch(self, fields: Headers, head: ResponseHead) -> None:
        protocols = upgrade_granted(fields, self._asked) if self._asked else b""
        if not protocols:
            self._break("it changed protocols without being asked")
            return
        headers = (*head.headers, (b"Upgrade", protocols))
        self._switched = ResponseHead(101, head.reason, headers)

    def _leave_http(self, rest: bytes) -> None:
        switched, self._switched = self._switched, None
        if switched is None:
            self._break("it changed protocols without being asked")
        elif not self._is_over:
            self._is_over = True
            self._events.append(SwitchedRead(switched, rest))

    # --- ends -----------------------------------------------------------------------------

    def _end(self, trailers: Headers, *, is_reusable: bool) -> None:
        self._is_over = True
        end = EndRead(trailers, is_reusable)
        if self._final is not None and not trailers:
            self._final.end = end
        else:
            self._events.append(end)

    def _break(self, message: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._events.append(BrokenRead(message))

    def _take(self) -> list[ReaderEvent]:
        events, self._events = self._events, []
        self._final = None
        if self._is_over:
            # It holds our methods as we hold it: only the collector would ever free the two.
            self._parser = None
        if self._has_surplus and events:
            last = events[-1]
            end = last.end if isinstance(last, FinalRead) else last
            if isinstance(end, EndRead):
                end.is_reusable = False  # what follows would be read as the next answer
        return events


def _is_chunked(fields: Headers, names: list[bytes]) -> bool:
    codings = [
        value.strip().lower()
        for name, (_, value) in zip(names, fields, strict=True)
        if name == b"transfer-encoding"
    ]
    return codings == [b"chunked"]
