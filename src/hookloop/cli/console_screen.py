"""The status screen as lines of text, for any size of terminal. Pure."""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from .console_line import BLANK, Line, cells_of, cut, line
from .console_view import Forwarding, Link, Note, NoteKind, Row, View

__all__ = ["screen_lines"]

LABEL_CELLS = 18  # the longest label and a gap
ROWS_MIN = 3  # requests there is room for before anything but the essential is shown
ROWS_WANTED = 8  # and before there are blank lines and hints
LINE_CELLS_MAX = 120  # an eye follows no longer line; a wider terminal stays empty at its right
WRAPPED_MAX = 3  # lines of one reason or note
NARROW = 80
WIDE = 100  # columns from which on there is room for milliseconds

_LINK_STYLES = {
    Link.CONNECTING: "yellow",
    Link.ONLINE: "bold green",
    Link.RECONNECTING: "bold yellow",
}
_NOTE_STYLES: dict[NoteKind, str] = {
    "hint": "",
    "news": "cyan",
    "warning": "yellow",
    "error": "red",
}
_STATUS_STYLES = {2: "green", 3: "cyan", 4: "yellow", 5: "red"}
_COLUMNS = ("ttl", "opn", "rt1", "rt5", "p50", "p90")


def screen_lines(view: View, width: int, height: int, qr: Sequence[Line] = ()) -> list[Line]:
    """
    Return at most *height* lines of at most *width* columns.

    What matters least goes first where room is scarce: the state of the tunnel and its
    URLs stay, then come requests and counts. *qr*, where it fits, comes before them.
    """
    width = min(width, LINE_CELLS_MAX)
    # Narrower than all was made for, lines are cropped.
    return [line.cropped(width) for line in _lines(view, width, height, qr)]


def _lines(view: View, width: int, height: int, qr: Sequence[Line]) -> list[Line]:
    top = _top(view, width, height)
    if qr:
        top = _with_qr(top, _essential(view, width, height), qr, width, height)
    room = height - len(top) - 2  # a blank line and the heading
    if room < 1 or not view.rows:
        return top[:height]
    rows = [_request(row, width) for row in view.rows[:room]]
    return [*top, BLANK, line(("Requests", "dim")), *rows]


def _top(view: View, width: int, height: int) -> list[Line]:
    """Return all above the requests, as rich as leaves room for some of them."""
    hintless = tuple(note for note in view.notes if note.kind != "hint")
    last = hintless[-1:] or view.notes[-1:]
    session = _session(view, width, height)
    counts = _connections(view, width)
    essential = _essential(view, width, height)
    airy = [_title(view, width), BLANK, *session, BLANK, *counts]
    told = _notes(view.notes, width)
    choices = (
        (ROWS_WANTED, [*airy, BLANK, *told] if told else airy),
        (ROWS_WANTED, [*airy, BLANK, *_notes(hintless, width)] if hintless else airy),
        (ROWS_MIN, [*session, *counts, *_notes(last, width)]),
        (ROWS_MIN, [*essential, *counts, *_notes(last, width)]),
        (ROWS_MIN, [*essential, *counts]),
        (ROWS_MIN, essential),
        (0, [*essential, *counts]),
    )
    for wanted, lines in choices:
        rows = min(wanted, len(view.rows))
        if len(lines) + (rows + 2 if rows else 0) <= height:
            return lines
    return essential


def _essential(view: View, width: int, height: int) -> list[Line]:
    return [*_status(view, width), *_forwardings(view, width, height)]


def _with_qr(
    top: list[Line], essential: list[Line], qr: Sequence[Line], width: int, height: int
) -> list[Line]:
    """Return *top*, or as little of it as leaves room, and the code whole below it."""
    if qr[0].cells <= width:
        for lines in ([*top, BLANK], essential, essential[:0]):
            if len(lines) + len(qr) <= height:
                return [*lines, *qr]
    needs = f"The QR code needs {qr[0].cells} columns and {len(qr)} lines."
    return [*top, line((needs, "yellow"))]


def _session(view: View, width: int, height: int) -> list[Line]:
    lines = _status(view, width)
    if view.relay:
        software = f"  {view.relay_software}" if view.relay_software else ""
        lines.append(_pair("Relay", view.relay, width, after=software))
    if view.link is Link.ONLINE:
        lines.append(_pair("Latency", _latency(view.latency_seconds), width))
    if view.web_url:
        lines.append(_pair("Web Interface", view.web_url, width))
    lines += _forwardings(view, width, height)
    if view.captures_dropped:
        dropped = f"{view.captures_dropped} exchanges too many to keep"
        lines.append(_pair("Not Captured", dropped, width, style="yellow"))
    return lines


# --- the parts ---------------------------------------------------------------------------


def _title(view: View, width: int) -> Line:
    keys = "Ctrl+C or q ends it"
    gap = " " * (width - len("hookloop ") - len(view.version) - len(keys))
    return line(("hookloop", "bold"), f" {view.version}{gap}", (keys, "dim"))


def _status(view: View, width: int) -> list[Line]:
    said = f"{view.link.value} ({view.reason})" if view.reason else view.link.value
    first, *more = _wrapped(said, width - LABEL_CELLS)
    style = _LINK_STYLES[view.link]
    lines = [_pair("Session Status", first, width, style=style)]
    return lines + [_pair("", line, width, style=style) for line in more]


def _forwardings(view: View, width: int, height: int) -> list[Line]:
    """One tunnel a line; a URL is never cut while its line can hold it."""
    shown = view.forwardings[: max(1, height // 3)]
    lines: list[Line] = []
    for number, forwarding in enumerate(shown):
        lines += _forwarding(forwarding, "" if number else "Forwarding", width, view.link)
    if more := len(view.forwardings) - len(shown):
        lines.append(_pair("", f"and {more} more", width, style="dim"))
    return lines


def _forwarding(forwarding: Forwarding, label: str, width: int, link: Link) -> list[Line]:
    url, upstream = forwarding.url, forwarding.upstream
    style = "bold" if link is Link.ONLINE and not forwarding.trouble else "dim"
    if LABEL_CELLS + cells_of(url) + cells_of(upstream) + 4 <= width:
        lines = [_pair(label, url, width, style=style, after=f" -> {upstream}")]
    else:
        if LABEL_CELLS + cells_of(url) <= width:
            lines = [_pair(label, url, width, style=style)]
        else:
            parts = (url[start : start + width] for start in range(0, len(url), width))
            lines = [_pair(label, "", width)] if label else []
            lines += [line((part, style)) for part in parts]
        lines.append(_pair("", f"-> {upstream}", width))
    if forwarding.trouble:
        troubles = _wrapped(forwarding.trouble, width - LABEL_CELLS)
        lines += [_pair("", trouble, width, style="yellow") for trouble in troubles]
    return lines


def _connections(view: View, width: int) -> list[Line]:
    cells = max(7, min(9, (width - LABEL_CELLS) // len(_COLUMNS)))
    shown = (width - LABEL_CELLS) // cells
    reading = view.reading
    values = (
        _count(reading.count),
        _count(reading.gauge),
        _rate(reading.rate1),
        _rate(reading.rate5),
        _seconds(reading.p50),
        _seconds(reading.p90),
    )
    header = "".join(f"{name:<{cells}}" for name in _COLUMNS[:shown])
    figures = "".join(f"{value:<{cells}}" for value in values[:shown])
    return [
        line((f"{'Connections':<{LABEL_CELLS}}{header}", "dim")),
        line(" " * LABEL_CELLS + figures),
    ]


def _notes(notes: Sequence[Note], width: int) -> list[Line]:
    lines: list[Line] = []
    for note in notes:
        stamp = "" if note.kind == "hint" else f"{_local(note.at):%H:%M:%S}  "
        times = f"  ({note.times} times)" if note.times > 1 else ""
        for number, part in enumerate(_wrapped(note.text + times, width - len(stamp))):
            before = " " * len(stamp) if number else stamp
            lines.append(line((before, "dim"), (part, _NOTE_STYLES[note.kind])))
    return lines


@lru_cache(maxsize=256)  # at a calm pace a row is shown in many frames
def _request(row: Row, width: int) -> Line:
    """Time, method, path, what happened, answer, and how long it took."""
    at = _local(row.at)
    stamp = f"{at:%H:%M:%S}.{at.microsecond // 1000:03}" if width >= WIDE else f"{at:%H:%M:%S}"
    answer = 25 if width >= WIDE else 14  # "500 Internal Server Error", "404 Not Found"
    left = width - len(stamp) - 2 - 8 - 2 - answer - 10
    kind = min(left * 2 // 5, 32) if row.event_type else 0
    if width < NARROW:  # a column of its own costs more than an even edge is worth
        kind = min(cells_of(row.event_type), left // 2)
    path = left - kind - (2 if kind else 0)
    return line(
        (f"{stamp}  ", "dim"),
        f"{cut(row.method, 7)} {cut(row.path, path)}  ",
        (f"{cut(row.event_type, kind)}  " if kind else "", "magenta"),
        (cut(_outcome(row, answer), answer), _answer_style(row)),
        f"{_took(row.seconds):>10}",
    )


def _outcome(row: Row, cells: int) -> str:
    """A reason that does not fit is in the note above."""
    is_too_long = row.status is None and cells_of(row.outcome) > cells
    return "no answer" if is_too_long else row.outcome


def _answer_style(row: Row) -> str:
    if row.status is None or row.outcome.endswith((", cut short", ", body altered")):
        return "red"
    return _STATUS_STYLES.get(row.status // 100, "")


# --- words and figures -------------------------------------------------------------------


def _pair(label: str, value: str, width: int, *, style: str = "", after: str = "") -> Line:
    return line((f"{label:<{LABEL_CELLS}}", "dim"), (value, style), after).cropped(width)


def _wrapped(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(text, max(width, 10), max_lines=WRAPPED_MAX, placeholder=" …")
    return lines or [""]


def _latency(seconds: float | None) -> str:
    return "-" if seconds is None else f"{max(1, round(seconds * 1000))} ms"


def _count(number: int) -> str:
    return str(number) if number < 1_000_000 else f"{number / 1_000_000:.2f}M"


def _rate(per_second: float) -> str:
    return f"{per_second:.2f}" if per_second < 1000 else f"{per_second:.0f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 10 else f"{seconds:.1f}"


def _took(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 1000 else f"{seconds / 60:.0f} min"


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()
