"""The status screen as lines: what is shown at which size."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.cli.console_qr import qr_lines
from hookloop.cli.console_screen import screen_lines
from hookloop.cli.console_view import Forwarding, Link, Note, Row, View
from hookloop.meter import Reading

URL = "https://shop.tun.example.com"
ONLINE = View(
    link=Link.ONLINE,
    reason="",
    version="1.2.3",
    relay="https://tun.example.com",
    relay_software="hookloop/1.2.4",
    latency_seconds=0.0123,
    web_url="http://127.0.0.1:4040",
    forwardings=(Forwarding(URL, "http://localhost:3000"),),
    reading=Reading(1234, 2, 5.126, 3.3, 1.0, 0.0123, 12.5, 13.0, 14.0),
    captures_dropped=0,
    notes=(),
    rows=(),
)
ROW = Row(1795595925.25, "POST", "/webhooks/stripe", "invoice.paid", 200, "200 OK", 0.0123)


def shown(view: View, width: int = 100, height: int = 30, **options) -> list[str]:
    return [line.plain.rstrip() for line in screen_lines(view, width, height, **options)]


def style_at(lines, text: str) -> str:
    """Return the style of the piece that *text* begins in."""
    line = next(line for line in lines if text in line.plain)
    at, end = line.plain.index(text), 0
    for piece, style in line.pieces:
        end += len(piece)
        if at < end:
            return style
    raise AssertionError


def test_the_screen_in_whole():
    """As it is in the documents."""
    note = Note(0.0, "hint", "This URL is local.")

    lines = shown(replace(ONLINE, notes=(note,), rows=(ROW,)))

    assert lines[:13] == [
        "hookloop 1.2.3" + " " * 67 + "Ctrl+C or q ends it",
        "",
        "Session Status    online",
        "Relay             https://tun.example.com  hookloop/1.2.4",
        "Latency           12 ms",
        "Web Interface     http://127.0.0.1:4040",
        "Forwarding        https://shop.tun.example.com -> http://localhost:3000",
        "",
        "Connections       ttl      opn      rt1      rt5      p50      p90",
        "                  1234     2        5.13     3.30     0.012    12.5",
        "",
        "This URL is local.",
        "",
    ]
    assert lines[13] == "Requests"
    assert lines[14].split() == [
        lines[14].split()[0],
        "POST",
        "/webhooks/stripe",
        "invoice.paid",
        "200",
        "OK",
        "12.3",
        "ms",
    ]
    assert lines[14][9:12].isdigit()  # milliseconds
    assert len(lines) == 15


def test_the_reason_of_a_lost_session_is_told_in_whole():
    """That is what one needs to mend it; it may take more than a line."""
    reason = "cannot reach https://tun.example.com: Connection refused by the other side of it"
    view = replace(ONLINE, link=Link.RECONNECTING, reason=reason)

    lines = shown(view, width=60)
    at = lines.index(next(line for line in lines if "reconnecting" in line))
    status = [line[18:] for line in lines[at : at + 3]]

    assert " ".join(status) == f"reconnecting ({reason})"
    assert not any(line.startswith("Latency") for line in lines)


@pytest.mark.parametrize(
    ("link", "colour"),
    [
        (Link.CONNECTING, "yellow"),
        (Link.ONLINE, "bold green"),
        (Link.RECONNECTING, "bold yellow"),
    ],
)
def test_the_state_has_a_colour(link, colour):
    """It is seen from the other side of the room."""
    lines = screen_lines(replace(ONLINE, link=link), 100, 30)

    assert style_at(lines, link.value) == colour


def test_a_url_that_does_not_work_is_dim():
    """While the session is lost nobody should copy it in good faith."""
    lost = screen_lines(replace(ONLINE, link=Link.RECONNECTING), 100, 30)
    refused = replace(ONLINE, forwardings=(Forwarding("shop", "http://x", "the name is taken"),))

    assert style_at(screen_lines(ONLINE, 100, 30), URL) == "bold"
    assert style_at(lost, URL) == "dim"
    assert style_at(screen_lines(refused, 100, 30), "shop") == "dim"
    assert style_at(screen_lines(refused, 100, 30), "the name is taken") == "yellow"


def test_a_url_is_never_cut_nor_shared_with_another_line_that_could_hold_it():
    """It is there to be copied."""
    url = "https://" + "a" * 60 + ".tun.example.com"
    view = replace(ONLINE, forwardings=(Forwarding(url, "http://localhost:3000"),))

    assert any(line.endswith(url) for line in shown(view, width=110))
    assert url in shown(view, width=90)
    assert url in "".join(shown(view, width=60))


def test_many_tunnels_leave_room_for_their_requests():
    """A third of the screen, and how many more there are."""
    many = tuple(Forwarding(f"https://t{n}.x.com", "http://localhost:1") for n in range(20))

    lines = shown(replace(ONLINE, forwardings=many, rows=(ROW,) * 50), height=24)

    assert sum("-> http" in line for line in lines) == 8
    assert "                  and 12 more" in lines
    assert "Requests" in lines


def test_dropped_captures_are_told():
    """Only when there are any."""
    assert not any("Not Captured" in line for line in shown(ONLINE))
    assert any(
        line.startswith("Not Captured      7 ")
        for line in shown(replace(ONLINE, captures_dropped=7))
    )


def test_a_note_says_when_and_how_often():
    """And what it is by its colour."""
    note = Note(1795595925.0, "error", "the signature is wrong", times=3)

    lines = screen_lines(replace(ONLINE, notes=(note,)), 100, 30)

    assert any(line.plain.endswith("the signature is wrong  (3 times)") for line in lines)
    assert style_at(lines, "the signature") == "red"


@pytest.mark.parametrize(
    ("status", "told", "colour"),
    [
        (204, "204 No Content", "green"),
        (301, "301 Moved", "cyan"),
        (404, "404 Not Found", "yellow"),
        (503, "503 Unavailable", "red"),
        (200, "200 OK, cut short", "red"),
        (None, "refused", "red"),
    ],
)
def test_a_status_has_a_colour(status, told, colour):
    """Red is what went wrong."""
    row = ROW._replace(status=status, outcome=told)

    assert style_at(screen_lines(replace(ONLINE, rows=(row,)), 100, 30), told) == colour


def test_a_reason_too_long_for_its_column_is_left_to_the_note():
    """Half a sentence helps nobody."""
    row = ROW._replace(status=None, outcome="cannot reach http://localhost:3000: refused")

    assert "no answer" in shown(replace(ONLINE, rows=(row,)))[-1]


views = st.builds(
    View,
    link=st.sampled_from(Link),
    reason=st.text(st.characters(categories=("L", "N", "Zs")), max_size=200),
    version=st.just("1.2.3"),
    relay=st.sampled_from(["", "https://tun.example.com"]),
    relay_software=st.sampled_from(["", "hookloop/1"]),
    latency_seconds=st.none() | st.floats(0, 10),
    web_url=st.sampled_from(["", "http://127.0.0.1:4040"]),
    forwardings=st.lists(
        st.builds(Forwarding, st.text("a中", max_size=90), st.just("http://x:1")), max_size=9
    ).map(tuple),
    reading=st.builds(
        Reading,
        st.integers(0, 10**9),
        st.integers(0, 10**4),
        *[st.floats(0, 10**6)] * 7,
    ),
    captures_dropped=st.integers(0, 5),
    notes=st.lists(
        st.builds(
            Note,
            st.just(1.0),
            st.sampled_from(["hint", "news", "warning", "error"]),
            st.text("word ", max_size=200),
        ),
        max_size=3,
    ).map(tuple),
    rows=st.lists(
        st.builds(
            Row,
            st.just(1.0),
            st.sampled_from(["GET", "OPTIONS", "PROPPATCHED"]),
            st.text("/a中é", max_size=100),
            st.text("e.中", max_size=50),
            st.none() | st.integers(100, 999),
            st.text("word ", max_size=50),
            st.floats(0, 10**6),
        ),
        max_size=12,
    ).map(tuple),
)


@given(views, st.integers(20, 200), st.integers(1, 60), st.booleans())
def test_whatever_there_is_to_show_it_fits(view, width, height, has_qr):
    """No line wraps, none falls off the end; also where the terminal is tiny."""
    qr = qr_lines(URL) if has_qr else []

    lines = screen_lines(view, width, height, qr)

    assert len(lines) <= height
    assert all(line.cells <= width for line in lines)
    assert all("\n" not in line.plain for line in lines)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_from_eight_lines_on_there_are_a_url_and_requests(width):
    """What a person came for, in any split pane."""
    view = replace(ONLINE, rows=(ROW,) * 60)

    for height in range(8, 60):
        lines = shown(view, width, height)
        assert URL in "".join(lines)
        assert "Requests" in lines


# --- the QR code -------------------------------------------------------------------------


def modules(lines) -> list[list[bool]]:
    """Read the half blocks back: True is dark, where they are black on white."""
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows = []
    for line in lines:
        rows.append([bool(halves[c][0]) for c in line.plain])
        rows.append([bool(halves[c][1]) for c in line.plain])
    return rows


def finder_at(rows, y: int, x: int) -> bool:
    """Say whether the 7 x 7 square that a camera looks for is there."""
    want = ["#######", "#.....#", "#.###.#", "#.###.#", "#.###.#", "#.....#", "#######"]
    return all(rows[y + j][x + i] == (want[j][i] == "#") for j in range(7) for i in range(7))


def test_a_code_has_its_three_squares_and_a_quiet_border():
    """Dark on light with colours of its own, so that no theme inverts it."""
    lines = qr_lines(URL)
    rows = modules(lines)
    side = len(rows[0])

    assert finder_at(rows, 2, 2)
    assert finder_at(rows, 2, side - 9)
    assert finder_at(rows, side - 9, 2)
    assert not any(cell for row in (*rows[:2], rows[-1]) for cell in row)
    assert {style for line in lines for _, style in line.pieces} == {"color(16) on color(231)"}


def test_without_colours_it_is_drawn_in_light():
    """For a dark terminal, as most are: the same modules, the blocks are the light ones."""
    dark = modules(qr_lines(URL))
    light = modules(qr_lines(URL, has_colours=False))

    assert [[not module for module in row] for row in light] == dark
    assert not any(style for line in qr_lines(URL, has_colours=False) for _, style in line.pieces)


def test_a_code_comes_whole_or_not_at_all():
    """Half a code is none; a line says what it needs."""
    qr = qr_lines(URL)
    view = replace(ONLINE, rows=(ROW,) * 30)

    tall = shown(view, height=50, qr=qr)
    short = shown(view, height=len(qr) + 3, qr=qr)
    tiny = shown(view, height=10, qr=qr)

    for lines in (tall, short):
        at = [n for n, line in enumerate(lines) if "▀" in line]
        assert all(later == earlier + 1 for earlier, later in pairwise(at))
        assert len(at) >= len(qr) - 2  # the border is blank
    assert "Requests" in tall
    assert any("QR code needs" in line for line in tiny)
    assert not any("▀" in line for line in tiny)
