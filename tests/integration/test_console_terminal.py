"""The status screen as a person sees it: on a real terminal, at any size, until it ends."""

import http.client
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from patience import END_PATIENCE, PATIENCE
from terminal import Terminal, on_a_terminal

COMMAND = [sys.executable, "-m", "hookloop", "http"]
SHOWN, HIDDEN = b"\x1b[?1049h", b"\x1b[?1049l"


class App(BaseHTTPRequestHandler):
    """Answers with the status its path begins with; /hang never does."""

    protocol_version = "HTTP/1.1"
    hanging = threading.Event()
    over = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/hang"):
            self.hanging.set()
            self.over.wait(30)
        # All of it: an answer that comes before its request's body leaves nothing to be shown.
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status = re.match(r"/(\d{3})\b", self.path)
        self.send_response(int(status[1]) if status else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def app() -> Iterator[str]:
    """The port of a local service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield str(server.server_address[1])
    App.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def shop(app) -> Iterator[Terminal]:
    """A screen with a tunnel that is online."""
    with on_a_terminal(*COMMAND, app, "--name", "shop") as terminal:
        terminal.wait_for("Forwarding")
        terminal.wait_for("online")
        yield terminal


def url_of(terminal: Terminal) -> str:
    found = re.search(r"http://shop\.tun\.localhost:\d+", terminal.text)
    assert found, terminal.text
    return found[0]


def ask(terminal: Terminal, target: str, body: bytes = b"", **headers: str) -> int:
    host = url_of(terminal).removeprefix("http://")
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(host.rpartition(":")[2]), timeout=PATIENCE
    )
    try:
        connection.request("GET", target, body, {"Host": host, **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def size(terminal: Terminal, columns: int, lines: int) -> None:
    """Resize, and wait until it is drawn anew."""
    if (terminal.screen.columns, terminal.screen.lines) == (columns, lines):
        return
    before = terminal.output.count(b"\x1b[2J")
    terminal.resize(columns, lines)
    terminal.wait_for(lambda: terminal.output.count(b"\x1b[2J") > before)
    terminal.read(0.05)


# --- what is on it -----------------------------------------------------------------------


def test_the_state_the_url_and_where_it_leads(shop, app):
    """What a person looks for first, each on a line with its name."""
    assert re.search(r"^Session Status +online$", shop.text, re.MULTILINE)
    assert re.search(r"^Relay +http://127\.0\.0\.1:\d+  hookloop/", shop.text, re.MULTILINE)
    assert shop.line_with("Forwarding").endswith(f"{url_of(shop)} -> http://localhost:{app}")
    assert shop.colour_of("online") == "green"


@pytest.mark.parametrize(
    ("status", "phrase", "colour"),
    [
        (200, "OK", "green"),
        (302, "Found", "cyan"),
        (404, "Not Found", "brown"),  # what the emulator calls the dark yellow
        (500, "Internal Server Error", "red"),
    ],
)
def test_a_request_has_its_line_and_its_status_a_colour(shop, status, phrase, colour):
    """Green went well, red did not."""
    target = f"/{status}/{phrase[:3]}"

    assert ask(shop, target) == status

    shop.wait_for(target)
    assert re.search(rf"\d\d:\d\d:\d\d\.\d{{3}}  GET +{target} +{status} {phrase}", shop.text)
    assert shop.colour_of(f"{status} {phrase}") == colour


def test_a_webhook_shows_what_happened(shop):
    """Where its sender says so in a header."""
    ask(shop, "/hooks", **{"X-GitHub-Event": "pull_request"})

    shop.wait_for("pull_request")
    assert "/hooks" in shop.line_with("pull_request")


def test_stripes_event_type_is_shown(shop):
    """It stands in the body, of which nothing else is."""
    body = b'{"object":"event","data":{"object":{"card":"4242 4242"}},"type":"invoice.paid"}'
    ask(shop, "/webhooks/stripe", body, **{"Stripe-Signature": "t=1,v1=00"})

    shop.wait_for("invoice.paid")
    assert "/webhooks/stripe" in shop.line_with("invoice.paid")
    assert b"4242 4242" not in shop.output  # a port may well have the digits once


def test_connections_are_counted(shop):
    """ttl and opn, under their names."""
    ask(shop, "/counted")
    shop.wait_for("/counted")
    names = shop.line_with("Connections").split()[1:]
    shop.wait_for(lambda: int(_figures(shop)[0]) >= 1)

    assert names == ["ttl", "opn", "rt1", "rt5", "p50", "p90"]
    assert len(_figures(shop)) == 6


def _figures(terminal: Terminal) -> list[str]:
    number = next(n for n, line in enumerate(terminal.lines) if line.startswith("Connections"))
    return terminal.lines[number + 1].split()


def test_a_query_is_not_shown(shop):
    """Tokens travel in it, and screens are shared."""
    ask(shop, "/reset?token=sk_live_of_a_person")

    shop.wait_for("/reset?…")
    assert b"sk_live" not in shop.output


def test_a_header_cannot_steer_the_terminal(shop):
    """What begins an ANSI sequence, and what turns the writing round, is shown, not obeyed."""
    hostile = "\x9b31mred\u202e\u2066".encode().decode("latin-1")
    assert ask(shop, "/evil", **{"X-GitHub-Event": hostile}) == 200

    shop.wait_for(r"\x9b31mred\u202")  # and an ellipsis
    assert "\x9b".encode() not in shop.output
    assert "\u202e".encode() not in shop.output
    assert "Session Status" in shop.text


# --- at any size -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "lines"), [(60, 24), (60, 10), (80, 24), (100, 30), (200, 50), (60, 5), (40, 3)]
)
def test_every_size_shows_what_matters(shop, columns, lines):
    """Also while it is changed: nothing wraps, nothing is left of the size before."""
    try:
        size(shop, columns, lines)

        shop.wait_for(lambda: shop.lines[0 if lines < 24 else 2] == _status_line())
        assert sum("Session Status" in line for line in shop.lines) == 1
        assert url_of(shop)
    finally:
        size(shop, 100, 30)
        shop.wait_for("Requests")


def _status_line() -> str:
    return "Session Status    online"


def test_a_screen_at_rest_is_not_written(shop):
    """No flicker, no load: a second frame that looks the same costs no byte."""
    shop.wait_for("Requests")
    ends = time.monotonic() + PATIENCE
    quiet = 0
    while quiet < 5 and time.monotonic() < ends:
        before = len(shop.output)
        shop.read(0.1)
        quiet = quiet + 1 if len(shop.output) == before else 0

    assert quiet == 5


# --- the shell gets its terminal back ----------------------------------------------------


def test_ctrl_z_and_fg(shop):
    """The shell has a sane terminal in between, and the screen comes back whole."""
    shop.press(b"\x1a")
    os.waitid(os.P_PID, shop.process.pid, os.WSTOPPED)
    shop.wait_for(lambda: shop.output.count(HIDDEN) == 1)
    echo = _echoes(shop)
    os.kill(shop.process.pid, signal.SIGCONT)
    shop.wait_for(lambda: shop.output.count(SHOWN) == 2)

    shop.wait_for(lambda: not _echoes(shop))

    assert echo
    assert ask(shop, "/after-fg") == 200
    shop.wait_for("/after-fg")


def _echoes(terminal: Terminal) -> bool:
    import termios

    return bool(terminal.modes()[3] & termios.ECHO)


def ended(terminal: Terminal, modes: list) -> int:
    """Wait for its end; it must come soon, and leave all as it was."""
    code, took = terminal.ended()
    assert took < END_PATIENCE
    assert terminal.output.count(SHOWN) == terminal.output.count(HIDDEN)
    assert terminal.output.rindex(b"\x1b[?25h") > terminal.output.rindex(b"\x1b[?25l")
    assert b"Traceback" not in terminal.output
    if terminal.process.returncode is not None and modes:
        assert terminal.modes() == modes
    return code


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_a_key_ends_it(app, key):
    """q, or Ctrl+C: at once, with exit code 0, and the URL stays to be read."""
    with on_a_terminal(*COMMAND, app, "--name", "shop") as terminal:
        modes = terminal.modes()
        terminal.wait_for("online")
        terminal.press(key)

        assert ended(terminal, modes) == 0
        last = terminal.output.rpartition(HIDDEN)[2]
    assert re.fullmatch(
        rb"hookloop: http://shop\.tun\.localhost:\d+ has ended after 0 connections\r\n", last
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(app, number):
    """However it is told."""
    with on_a_terminal(*COMMAND, app, "--name", "shop") as terminal:
        modes = terminal.modes()
        terminal.wait_for("online")
        terminal.process.send_signal(number)

        assert ended(terminal, modes) == 0


def test_ctrl_c_while_the_relay_cannot_be_reached(app):
    """The reason is on the screen; nobody waits for the next try."""
    with on_a_terminal(*COMMAND, app, "--relay", "http://127.0.0.1:9", "--token", "t") as terminal:
        modes = terminal.modes()
        terminal.wait_for("reconnecting (cannot reach http://127.0.0.1:9")
        assert terminal.colour_of("reconnecting") == "brown"
        terminal.press(b"\x03")

        assert ended(terminal, modes) == 0


def test_ctrl_c_while_an_exchange_is_open(app):
    """A handler in a debugger does not hold the command."""
    App.hanging.clear()
    with on_a_terminal(*COMMAND, app, "--name", "shop") as terminal:
        modes = terminal.modes()
        terminal.wait_for("online")
        caller = threading.Thread(target=_ask_in_vain, args=(terminal,))
        caller.start()
        terminal.wait_for(App.hanging.is_set)
        terminal.wait_for(lambda: _figures(terminal)[1] == "1")
        terminal.press(b"\x03")

        assert ended(terminal, modes) == 0
        caller.join()


def test_a_second_ctrl_c_waits_for_nothing(app):
    """Whoever presses it twice means it; the terminal is whole all the same."""
    App.hanging.clear()
    with on_a_terminal(*COMMAND, app, "--name", "shop") as terminal:
        modes = terminal.modes()
        terminal.wait_for("online")
        caller = threading.Thread(target=_ask_in_vain, args=(terminal,))
        caller.start()
        terminal.wait_for(App.hanging.is_set)
        terminal.press(b"\x03")
        terminal.read(0.05)
        terminal.press(b"\x03")

        assert ended(terminal, modes) == 130
        caller.join()


def _ask_in_vain(terminal: Terminal) -> None:
    with suppress(OSError, http.client.HTTPException):
        ask(terminal, "/hang")


def test_a_terminal_that_takes_nothing_holds_up_nobody(app):
    """Its buffer full, the tunnel goes on, and Ctrl+C ends it."""
    with on_a_terminal(*COMMAND, app, "--name", "shop", columns=200, lines=50) as terminal:
        terminal.wait_for("online")
        # From here on nobody reads.
        assert {ask(terminal, f"/{number}") for number in range(200, 290)} != set()
        terminal.press(b"\x13")  # Ctrl+S too
        assert ask(terminal, "/201") == 201
        terminal.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        terminal.process.wait(30)

        assert time.monotonic() - began < END_PATIENCE
