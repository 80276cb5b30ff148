"""`hookloop http` as a program starts, reads and ends it."""

import http.client
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE
from terminal import on_a_terminal
from tunnel_loop import free_port

COMMAND = [sys.executable, "-m", "hookloop"]
TOKEN = "hlt_only-for-these-tests"


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # where a test failed; else it has ended


def ended_by(ending: signal.Signals, process: subprocess.Popen[str]) -> None:
    process.send_signal(ending)
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")


def logfmt(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(line))


def wait_for(process: subprocess.Popen[str], message: str, read=logfmt) -> dict[str, str]:
    """Return the first line with *message*."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if read(line)["msg"] == message:
            return read(line)
    raise AssertionError(f"no {message!r} in {seen}")


def ask(url: str, target: str, *, method: str = "GET") -> int:
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(host.rpartition(":")[2]), timeout=PATIENCE
    )
    try:
        connection.request(method, target, headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_same_command_again_has_the_same_url(ending: signal.Signals):
    """However it was ended: the URL stands in a dashboard."""
    with started("relay", "--port", "0", "--token", TOKEN, "--json") as relay:
        assert relay.stdout is not None
        address = json.loads(relay.stdout.readline())["value"]
        urls = []
        for _ in range(2):
            with started(
                *("http", "3000", "--relay", address, "--token", TOKEN, "--name", "shop", "--json")
            ) as process:
                urls.append(wait_for(process, "started tunnel", json.loads)["url"])
                ended_by(ending, process)
        relay.send_signal(signal.SIGINT)
        relay.communicate(timeout=PATIENCE)

    assert relay.returncode == 0
    assert urls[0].startswith("http://shop.tun.localhost:")
    assert urls[0] == urls[1]


def test_in_a_pipe_it_writes_what_ngrok_writes():
    """logfmt, each line at once; a request is a line."""
    with started("http", "9", "--name", "shop") as process:
        wait_for(process, "tunnel session started")
        tunnel = wait_for(process, "started tunnel")
        assert ask(tunnel["url"], "/hook?token=sk_live") == 502
        request = wait_for(process, "exchange")
        ended_by(signal.SIGTERM, process)

    assert tunnel["obj"] == "tunnels"
    assert (tunnel["name"], tunnel["addr"]) == ("shop", "http://localhost:9")
    assert (request["lvl"], request["path"], request["method"]) == ("warn", "/hook?…", "GET")
    assert request["err"].startswith("cannot reach http://localhost:9: ")


def test_a_relay_that_is_away_is_an_error_line():
    """With the reason, and the command goes on."""
    with started("http", "9", "--relay", "http://127.0.0.1:9", "--token", "t") as process:
        failed = wait_for(process, "failed to reconnect session")
        ended_by(signal.SIGINT, process)

    assert (failed["lvl"], failed["obj"]) == ("eror", "csess")
    assert failed["err"].startswith("cannot reach http://127.0.0.1:9")


def test_a_log_file_beside_the_screen(tmp_path: Path):
    """For its owner alone, appended to; the screen stays."""
    log = tmp_path / "hookloop.log"
    log.write_text("before\n")
    command = [*COMMAND, "http", "9", "--log", str(log), "--log-format", "json"]
    with on_a_terminal(*command, "--log-level", "debug") as terminal:
        terminal.wait_for("Session Status    online")
        terminal.press(b"q")
        assert terminal.ended()[0] == 0

    before, *lines = log.read_text().splitlines()
    assert before == "before"
    assert "started tunnel" in {json.loads(line)["msg"] for line in lines}
    other = tmp_path / "new.log"
    with started("http", "9", "--log", str(other)) as process:
        while not (other.exists() and "started tunnel" in other.read_text()):
            assert process.poll() is None
        ended_by(signal.SIGTERM, process)
    assert stat.S_IMODE(other.stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_is_said_at_once(tmp_path: Path):
    """Before anybody relies on it."""
    with started("http", "9", "--log", str(tmp_path / "none" / "x.log")) as process:
        output, errors = process.communicate(timeout=PATIENCE)

    assert process.returncode == 2
    assert output == ""
    assert "cannot be written: No such file or directory; give another with --log" in errors


def test_a_reader_that_goes_ends_it():
    """A tunnel that nobody knows of must not stay open."""
    with started("http", "9") as process:
        url = wait_for(process, "started tunnel")["url"]
        process.stdout.close()
        ask(url, "/")

        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "environment"),
    [(["--log-format", "term"], {}), ([], {"TERM": "dumb"}), (["--log", "stdout"], {})],
)
def test_lines_on_a_terminal(options, environment):
    """Where asked for, or where the terminal cannot move its cursor: sentences, no screen."""
    with on_a_terminal(*COMMAND, "http", "9", *options, **environment) as terminal:
        terminal.wait_for("forwarding http://")
        terminal.press(b"\x03")
        code, _ = terminal.ended()

    assert code == 0
    assert b"\x1b[?1049h" not in terminal.output
    assert (b"\x1b[" in terminal.output) == (not environment)


def test_no_color_leaves_the_screen_without_colours():
    """https://no-color.org: bold and dim are no colours."""
    with on_a_terminal(*COMMAND, "http", "9", NO_COLOR="1") as terminal:
        terminal.wait_for("Session Status    online")
        colours = {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()}
        is_bold = any(cell.bold for row in terminal.screen.buffer.values() for cell in row.values())
        terminal.press(b"q")
        terminal.ended()

    assert colours == {"default"}
    assert is_bold


def test_in_the_background_of_a_terminal_it_writes_lines():
    """`hookloop http 3000 &`: it neither stops for want of the terminal nor draws over it."""
    shell = 'set -m; "$@" & wait $!; echo ended $?'
    with on_a_terminal("/bin/sh", "-c", shell, "sh", *COMMAND, "http", "9") as terminal:
        terminal.wait_for("forwarding http://")
        assert b"\x1b[?1049h" not in terminal.output
        (job,) = _children(terminal.process.pid)
        os.kill(job, signal.SIGTERM)
        terminal.wait_for("ended 0")


def _children(pid: int) -> list[int]:
    told = subprocess.run(
        ["ps", "-o", "pid=,ppid=", "-A"], capture_output=True, text=True, check=True
    ).stdout
    pairs = [line.split() for line in told.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


def test_qr_on_the_screen_and_among_lines():
    """Where the phone's camera is pointed."""
    with on_a_terminal(*COMMAND, "http", "9", "--qr", lines=40) as terminal:
        terminal.wait_for("█▀▀▀▀▀█")
        terminal.press(b"q")
        terminal.ended()
    with on_a_terminal(*COMMAND, "http", "9", "--qr", "--log-format", "term") as terminal:
        terminal.wait_for("█ ▄▄▄▄▄ █")
        terminal.press(b"\x03")
        terminal.ended()


def test_catch_mode_says_what_it_keeps(tmp_path):
    """A person sees that a webhook was caught, and that it is safe to restart."""
    with (
        started("relay", "--port", "0", "--token", TOKEN, "--json") as relay,
        started(
            *("http", str(free_port()), "--token", TOKEN, "--name", "shop", "--json"),
            *("--relay", json.loads(relay.stdout.readline())["value"]),
            *("--catch", "--catch-path", "/hook*", "--catch-status", "200"),
            *("--catch-dir", str(tmp_path)),
        ) as agent,
    ):
        url = wait_for(agent, "started tunnel", json.loads)["url"]

        assert ask(url, "/hook?secret=1", method="POST") == 200
        assert ask(url, "/login", method="POST") == 502
        assert wait_for(agent, "caught POST /hook: 1 waiting", json.loads)["lvl"] == "info"
        ended_by(signal.SIGTERM, agent)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--catch", "--catch-status", "302"], "302"),
        (["--catch", "--catch-path", "hook"], "'hook' is no path"),
        (["--catch-path", "/hook"], "add --catch"),
    ],
)
def test_catch_options_that_cannot_work_are_a_sentence(options, word):
    """Before anything is started."""
    done = subprocess.run(
        [*COMMAND, "http", "3000", *options], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr
