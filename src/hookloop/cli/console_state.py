"""What the console knows: how the tunnel fares, what passed, what is worth a note."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Protocol

from hookloop.clock import Clock
from hookloop.exchange import Exchange
from hookloop.meter import Meter, Reading

from .console_text import printable, trouble
from .console_view import Forwarding, Link, Note, NoteKind, Row, View, row_of

if TYPE_CHECKING:
    from hookloop.tunnel.agent import Tunnel

__all__ = [
    "AgentCounts",
    "ConsoleState",
]

RECENT_MAX = 100  # as many as the tallest terminal shows
DURATIONS_MAX = 4096  # between two frames; beyond 40,000 exchanges a second they are a sample
NOTES_MAX = 3  # what happened before has been read or never will be
NOTE_SECONDS = 300.0  # old news is noise


class AgentCounts(Protocol):
    """What the console reads of an agent's statistics."""

    @property
    def exchanges_open(self) -> int: ...

    @property
    def latency_seconds(self) -> float | None: ...

    @property
    def relay_software(self) -> str: ...


class _Recent:
    """An exchange; its row is made for the first frame that shows it, if any does."""

    __slots__ = ("_at", "_exchange", "_row")

    def __init__(self, at: float, exchange: Exchange) -> None:
        self._at = at
        self._exchange: Exchange | None = exchange
        self._row: Row | None = None

    def row(self) -> Row:
        if self._exchange is not None:
            self._row = row_of(self._at, self._exchange)
            self._exchange = None  # body and headers have been looked at
        assert self._row is not None  # noqa: S101  # made when the exchange was let go
        return self._row


class ConsoleState:
    """
    Takes what happens at any rate, and makes a `View` of it now and then.

    An exchange costs two appends and a count: all else waits for the next frame.
    """

    def __init__(self, clock: Clock, random: Random, *, version: str) -> None:
        self._clock = clock
        self._meter = Meter(clock.monotonic(), random.random)
        self._link = Link.CONNECTING
        self._reason = ""
        self._version = version
        self._relay = ""
        self._web_url = ""
        self._forwardings: dict[str, Forwarding] = {}
        self._counts: Callable[[], AgentCounts] | None = None
        self._ended = 0
        self._durations: deque[float] = deque(maxlen=DURATIONS_MAX)
        self._recent: deque[_Recent] = deque(maxlen=RECENT_MAX)
        self._troubled: Exchange | None = None
        self._notes: deque[Note] = deque(maxlen=NOTES_MAX)
        self._hints: list[Note] = []
        self._captures_dropped: Callable[[], int] | None = None
        self.changes = 0
        """Grows whenever a new frame would look different from the last."""

    # --- what happens -----------------------------------------------------------------------

    def captured(self, exchange: Exchange) -> None:
        self._ended += 1
        self.changes += 1
        self._durations.append(exchange.ended - exchange.started)
        self._recent.append(_Recent(self._clock.wall(), exchange))
        if exchange.response is None or exchange.objection is not None:
            self._troubled = exchange

    def connection_ended(self, seconds: float) -> None:
        """A connection whose bytes nobody reads has ended: it counts, and has no line."""
        self._ended += 1
        self.changes += 1
        self._durations.append(seconds)

    def connecting(self, relay: str) -> None:
        """The relay at the address *relay* is being called."""
        self._relay = printable(relay)
        self.changes += 1

    def session_up(self) -> None:
        self._link, self._reason = Link.ONLINE, ""
        self.changes += 1

    def session_down(self, reason: str, retry_seconds: float) -> None:  # noqa: ARG002  # it is soon
        self._link, self._reason = Link.RECONNECTING, printable(reason)
        self.changes += 1

    def tunnel_up(self, tunnel: "Tunnel") -> None:
        self._forwardings[tunnel.label] = _forwarding(tunnel)
        self.changes += 1

    def tunnel_refused(self, tunnel: "Tunnel", retry_seconds: float | None) -> None:  # noqa: ARG002  # it is soon
        trouble = printable(str(tunnel.refusal or "refused"))
        self._forwardings[tunnel.label] = replace(_forwarding(tunnel), trouble=trouble)
        self.changes += 1

    def tunnel_removed(self, tunnel: "Tunnel") -> None:
        self._forwardings.pop(tunnel.label, None)
        self.changes += 1

    def web_interface(self, url: str) -> None:
        self._web_url = printable(url)
        self.changes += 1

    def watch(self, counts: Callable[[], AgentCounts]) -> None:
        """Ask *counts* at each frame what is open and how far the relay is."""
        self._counts = counts

    def watch_dropped(self, dropped: Callable[[], int]) -> None:
        """Ask *dropped* at each frame how many captures were let go for want of room."""
        self._captures_dropped = dropped

    def note(self, kind: NoteKind, text: str) -> None:
        note = Note(self._clock.wall(), kind, printable(text))
        self.changes += 1
        if kind == "hint":
            self._hints.append(note)
            return
        last = self._notes[-1] if self._notes else None
        if last is not None and (last.kind, last.text) == (note.kind, note.text):
            self._notes[-1] = replace(note, times=last.times + 1)
        else:
            self._notes.append(note)

    def _note_once(self, kind: NoteKind, text: str) -> None:
        """Note it unless it is the last note anyway: its exchanges are counted below it."""
        if not self._notes or self._notes[-1].text != printable(text):
            self.note(kind, text)

    # --- what is seen -----------------------------------------------------------------------

    def farewell(self) -> str:
        """Return what stays on the terminal when the screen is gone."""
        urls = ", ".join(forwarding.url for forwarding in self._forwardings.values())
        count = self.reading().count
        served = f"{count} connection{'' if count == 1 else 's'}"
        return f"hookloop: {urls} has ended after {served}\n" if urls else ""

    def forwardings(self) -> tuple[Forwarding, ...]:
        return tuple(self._forwardings.values())

    def reading(self, open_now: int = 0) -> Reading:
        now = self._clock.monotonic()
        count, self._ended = self._ended, 0
        durations = list(self._durations)
        self._durations.clear()
        self._meter.ended(count, durations, now)
        return self._meter.reading(now, open_now=open_now)

    def view(self, *, rows_max: int = RECENT_MAX) -> View:
        """Return what there is to see now, with the *rows_max* newest exchanges."""
        counts = self._counts() if self._counts else None
        if self._troubled is not None:
            self._note_once("warning", trouble(self._troubled))
            self._troubled = None
        rows = min(rows_max, len(self._recent))
        wall = self._clock.wall()
        return View(
            link=self._link,
            reason=self._reason,
            version=self._version,
            relay=self._relay,
            relay_software=printable(counts.relay_software) if counts else "",
            latency_seconds=counts.latency_seconds if counts else None,
            web_url=self._web_url,
            forwardings=self.forwardings(),
            reading=self.reading(counts.exchanges_open if counts else 0),
            captures_dropped=self._captures_dropped() if self._captures_dropped else 0,
            notes=(*self._hints, *(n for n in self._notes if wall - n.at < NOTE_SECONDS)),
            rows=tuple(self._recent[-number].row() for number in range(1, rows + 1)),
        )


def _forwarding(tunnel: "Tunnel") -> Forwarding:
    url = tunnel.url or tunnel.name or tunnel.label
    return Forwarding(printable(url), printable(str(tunnel.config.upstream)))
