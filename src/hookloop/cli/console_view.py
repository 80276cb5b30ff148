"""What a frame of the status screen shows, as values; every text in them is printable. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

from hookloop.exchange import Exchange
from hookloop.meter import Reading

from .console_text import event_type, outcome, path_of, printable

__all__ = ["Forwarding", "Link", "Note", "NoteKind", "Row", "View", "row_of"]

NoteKind = Literal["hint", "news", "warning", "error"]
"""
A hint holds as long as the command runs. News, a warning and an error are of their moment:
a request was caught; a signature was refused; something broke.
"""


class Link(Enum):
    """Of the session with the relay."""

    CONNECTING = "connecting"
    ONLINE = "online"
    RECONNECTING = "reconnecting"


@dataclass(frozen=True, slots=True)
class Note:
    """One line of what happened."""

    at: float
    """Unix seconds."""
    kind: NoteKind
    text: str
    times: int = 1
    """How often in a row."""


class Row(NamedTuple):
    """A finished exchange, as it is shown; every text is printable."""

    at: float
    """When it ended, in Unix seconds."""
    method: str
    path: str
    event_type: str
    status: int | None
    """None where no answer came."""
    outcome: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Forwarding:
    """One tunnel, as it is shown."""

    url: str
    """Where callers reach it, or the name it was asked for by."""
    upstream: str
    trouble: str = ""
    """Why callers do not reach it though the session is online."""


@dataclass(frozen=True, slots=True)
class View:
    """All that a frame shows, at one moment."""

    link: Link
    reason: str
    """Why it is not online; empty where that is not known."""
    version: str
    relay: str
    relay_software: str
    latency_seconds: float | None
    web_url: str
    forwardings: tuple[Forwarding, ...]
    """In the order they were first given."""
    reading: Reading
    captures_dropped: int
    notes: tuple[Note, ...]
    """Hints first, then the newest last."""
    rows: tuple[Row, ...]
    """The newest first."""


def row_of(at: float, exchange: Exchange) -> Row:
    """Return *exchange*, which ended *at*, as it is shown."""
    request = exchange.request
    return Row(
        at=at,
        method=printable(request.method.decode("latin-1")),
        path=path_of(request),
        event_type=event_type(exchange),
        status=exchange.response.status if exchange.response else None,
        outcome=outcome(exchange),
        seconds=exchange.ended - exchange.started,
    )
