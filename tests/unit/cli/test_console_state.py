"""What the console knows, and the words in which its log tells it."""

import os
import shlex
from random import Random
from types import SimpleNamespace

import pytest

from hookloop.cli.console import AgentConsole
from hookloop.cli.console_log import LogFormat, LogLevel, LogWriter
from hookloop.cli.console_state import NOTE_SECONDS, NOTES_MAX, RECENT_MAX, ConsoleState
from hookloop.cli.console_view import Forwarding, Link
from hookloop.errors import RefusedError
from hookloop.exchange import Exchange, Objection, RequestHead, ResponseHead


class Clock:
    """Stands still until told."""

    now = 1000.0

    def wall(self) -> float:
        return 1.7e9 + self.now

    def monotonic(self) -> float:
        return self.now


def exchange(target: bytes = b"/", **values) -> Exchange:
    response = ResponseHead(200, b"OK", ())
    told = {"response": response, "failure": None, "started": 1.0, "ended": 1.25, **values}
    return Exchange(
        hop="agent",
        tunnel="shop",
        remote="1.2.3.4:5",
        request=RequestHead(b"POST", target, ()),
        request_body_bytes=0,
        response_body_bytes=0,
        responded=None,
        **told,
    )


def tunnel(label: str = "shop", url: str | None = "https://shop.tun.example", refusal=None):
    config = SimpleNamespace(upstream="http://localhost:3000")
    return SimpleNamespace(label=label, name=label, url=url, config=config, refusal=refusal)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    return ConsoleState(clock, Random(1), version="1.2.3")


def test_a_session_comes_goes_and_comes_again(state):
    """With the reason while it is away, and none of it after."""
    seen = [state.view()]
    state.session_up()
    seen.append(state.view())
    state.session_down("cannot reach \x1b[2J", 1.5)
    seen.append(state.view())
    state.session_up()
    seen.append(state.view())

    assert [(view.link, view.reason) for view in seen] == [
        (Link.CONNECTING, ""),
        (Link.ONLINE, ""),
        (Link.RECONNECTING, r"cannot reach \x1b[2J"),
        (Link.ONLINE, ""),
    ]


def test_tunnels_come_are_refused_and_go(state):
    """Each by what the agent calls it; a refusal is told at its line."""
    state.tunnel_up(tunnel("a", "https://a.tun.example"))
    state.tunnel_up(tunnel("b", "https://b.tun.example"))
    state.tunnel_refused(tunnel("c", None, RefusedError("taken", "the name is taken")), 2.0)
    state.tunnel_refused(tunnel("b", "https://b.tun.example", RefusedError("x", "lost it")), 2.0)
    state.tunnel_removed(tunnel("a"))

    assert state.view().forwardings == (
        Forwarding("https://b.tun.example", "http://localhost:3000", "lost it"),
        Forwarding("c", "http://localhost:3000", "the name is taken"),
    )


def test_what_ended_is_counted_and_the_newest_is_shown_first(state, clock):
    """All are counted; as many are kept as the tallest terminal shows."""
    for number in range(3 * RECENT_MAX):
        state.captured(exchange(b"/%d" % number))
    state.view()  # the frame that counts them
    clock.now += 5.0

    view = state.view(rows_max=3)

    assert [row.path for row in view.rows] == ["/299", "/298", "/297"]
    assert (view.reading.count, view.reading.rate1, view.reading.p50) == (300, 60.0, 0.25)
    assert len(state.view().rows) == RECENT_MAX


def test_looking_does_not_count_again(state):
    """A frame more is not an exchange more."""
    state.captured(exchange())

    assert [state.view().reading.count for _ in range(3)] == [1, 1, 1]


def test_what_the_agent_and_the_inspector_know_is_asked_at_each_frame(state):
    """Open exchanges, the relay's distance and its name; captures that were let go."""
    agent = SimpleNamespace(exchanges_open=2, latency_seconds=0.012, relay_software="hl/1\x07")
    state.connecting("https://tun.example")
    state.watch(lambda: agent)
    state.watch_dropped(lambda: 7)
    state.web_interface("http://127.0.0.1:4040")

    view = state.view()
    agent.exchanges_open = 0

    assert (view.reading.gauge, view.latency_seconds, view.captures_dropped) == (2, 0.012, 7)
    assert (view.relay, view.relay_software) == ("https://tun.example", r"hl/1\x07")
    assert view.web_url == "http://127.0.0.1:4040"
    assert state.view().reading.gauge == 0


def test_the_same_note_again_is_counted(state):
    """A hundred refused signatures are one line."""
    for _ in range(100):
        state.note("warning", "the signature is wrong")
    state.note("news", "caught POST /")

    assert [(note.text, note.times) for note in state.view().notes] == [
        ("the signature is wrong", 100),
        ("caught POST /", 1),
    ]


def test_few_notes_stay_and_not_for_long(state, clock):
    """What happened an hour ago is no news; a hint holds for as long as the command runs."""
    state.note("hint", "this URL is local")
    for number in range(2 * NOTES_MAX):
        state.note("news", f"caught {number}")
    fresh = state.view().notes
    clock.now += NOTE_SECONDS + 1

    assert [note.text for note in fresh] == [
        "this URL is local",
        *(f"caught {number}" for number in range(NOTES_MAX, 2 * NOTES_MAX)),
    ]
    assert [note.text for note in state.view().notes] == ["this URL is local"]


def test_why_the_app_did_not_answer_is_noted_in_whole(state):
    """Its column is too narrow for it."""
    state.captured(exchange(response=None, failure="cannot reach http://localhost:3000: refused"))
    state.captured(exchange(response=None, failure="cannot reach http://localhost:3000: refused"))

    (note,) = state.view().notes
    assert (note.kind, note.text) == ("warning", "cannot reach http://localhost:3000: refused")
    assert state.view().notes == (note,)


def test_a_refused_webhook_is_noted_with_its_reasons(state):
    """What the doctor says is for the tunnel's owner; the caller was told less."""
    reasons = ("the secret is another endpoint's", "look at whsec_...4f")
    objection = Objection(403, "signature_refused", "not accepted", reasons)
    state.captured(exchange(objection=objection, response=ResponseHead(403, b"", ())))

    (note,) = state.view().notes
    assert note.text == (
        "403 signature_refused: the secret is another endpoint's; look at whsec_...4f"
    )


def test_a_body_that_changed_on_its_way_is_told(state):
    """Signatures are made over it: this is the first thing to know."""
    state.captured(exchange(request_digest=b"a", request_digest_told=b"b"))

    assert state.view().rows[0].outcome == "200 OK, body altered"


def test_the_farewell_names_what_has_ended(state):
    """What stays on the terminal; nothing where there never was a tunnel."""
    before = state.farewell()
    state.tunnel_up(tunnel())
    state.captured(exchange())

    assert before == ""
    assert state.farewell() == ("hookloop: https://shop.tun.example has ended after 1 connection\n")


def test_all_of_it_is_a_line_in_the_log(state, clock):
    """In the words that readers of ngrok's log wait for."""
    reading, writing = os.pipe()
    log = LogWriter(writing, level=LogLevel.DEBUG, form=LogFormat.LOGFMT)
    console = AgentConsole(state, log, clock)
    console.connecting("https://tun.example")
    console.session_up()
    console.tunnel_up(tunnel())
    console.web_interface("http://127.0.0.1:4040")
    console.captured(exchange())
    console.note("news", "caught POST /")
    console.tunnel_refused(tunnel("b", None, RefusedError("taken", "the name is taken")), None)
    console.tunnel_removed(tunnel())
    console.session_down("gone", 1.0)
    console.session_down("still gone", 2.0)
    log.close()
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = [dict(word.split("=", 1) for word in shlex.split(line)) for line in stream]

    assert [(line["lvl"], line["msg"], line["obj"]) for line in lines] == [
        ("dbug", "connecting", "csess"),
        ("info", "tunnel session started", "tunnels.session"),
        ("info", "client session established", "csess"),
        ("info", "started tunnel", "tunnels"),
        ("info", "starting web service", "web"),
        ("info", "exchange", "http"),
        ("info", "caught POST /", "note"),
        ("eror", "failed to start tunnel", "tunnels"),
        ("info", "stopped tunnel", "tunnels"),
        ("eror", "session closed, starting reconnect loop", "csess"),
        ("eror", "failed to reconnect session", "csess"),
    ]
    assert lines[3]["url"] == "https://shop.tun.example"
    assert lines[4]["addr"] == "127.0.0.1:4040"
    assert lines[7]["err"] == "the name is taken"
