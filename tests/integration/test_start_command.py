"""`hookloop start`, `hookloop config check`, and the options of `hookloop http`, as programs."""

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE
from typer.testing import CliRunner

from hookloop.cli.app import app
from hookloop.clock import SystemClock
from hookloop.signing import stripe_signature_header

COMMAND = [sys.executable, "-m", "hookloop"]
SECRET = "whsec_only-for-these-tests"


@contextmanager
def started(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLOOP")}
    clean |= environment or {}
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--json"],
        cwd=folder,
        env=clean,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
            assert arguments[0] == "relay" or errors == ""  # whose log that is
        finally:
            process.kill()  # where a test failed; else it has ended


def next_line(process: subprocess.Popen[str], message: str) -> dict[str, str]:
    """Return the next line of the log with *message*."""
    seen = []
    assert process.stdout is not None
    for text in process.stdout:
        line = json.loads(text)
        seen.append(line)
        if line["msg"] == message:
            return line
    raise AssertionError(f"no {message!r} in {seen}")


def ask(url: str, target: str, body: bytes | None = None, **fields: str) -> tuple[int, bytes]:
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(host.rpartition(":")[2]), timeout=PATIENCE
    )
    method = "GET" if body is None else "POST"
    headers = {"Host": host, **{name.replace("_", "-"): value for name, value in fields.items()}}
    try:
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def project(tmp_path):
    """Two sites and their file, and a folder further down."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(f"<h1>{name}</h1>")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "hookloop.toml").write_text(
        """
        [tunnels.one]
        upstream = "./one"
        name = "one"
        response_header_add = "X-From: one"

        [tunnels.two]
        upstream = "two"
        basic_auth = "ada:correct-horse"

        [tunnels.www]
        upstream = 1
        name = "www"
        """
    )
    return tmp_path


def test_the_tunnels_of_a_file_are_started_in_one_session(project):
    """Found from a folder below; one that is refused does not end the others."""
    password = "Basic " + base64.b64encode(b"ada:correct-horse").decode()
    with started(project / "deeper", "start", "--all") as process:
        urls = {}
        for _ in range(2):
            line = next_line(process, "started tunnel")
            urls[line["name"]] = line["url"]
        one = ask(urls["one"], "/")
        locked = ask(urls["two"], "/")
        two = ask(urls["two"], "/", Authorization=password)

    assert urls["one"].startswith("http://one.tun.localhost:")
    assert one == (200, b"<h1>one</h1>")
    assert locked[0] == 401
    assert two == (200, b"<h1>two</h1>")


def test_the_environment_goes_before_the_file(tmp_path):
    """A file is shared by a team, and its relay may be another one's today."""
    (tmp_path / "hookloop.toml").write_text(
        "relay = 'http://127.0.0.1:1'\ntoken = 'hlt_the-files'\n[tunnels.web]\nupstream = 1\n"
    )
    token = "hlt_only-for-these-tests"
    with started(tmp_path, "relay", "--port", "0", "--token", token) as relay:
        assert relay.stdout is not None
        address = json.loads(relay.stdout.readline())["value"]
        environment = {"HOOKLOOP_RELAY": address, "HOOKLOOP_TOKEN": token}
        with started(tmp_path, "start", "web", environment=environment) as process:
            url = next_line(process, "started tunnel")["url"]

    assert url.endswith(address.rpartition(":")[2])


def test_a_webhook_that_is_not_signed_is_stopped(project):
    """A folder answers 405 to what gets through."""
    body = b'{"id":"evt_1"}'
    right = stripe_signature_header(body, [SECRET], signed_at=int(SystemClock().wall()))
    options = ("--verify-webhook", "stripe", "--secret", SECRET)
    with started(project, "http", "./one", *options) as process:
        url = next_line(process, "started tunnel")["url"]
        signed = ask(url, "/", body, Stripe_Signature=right)
        forged = ask(url, "/", body.replace(b"1", b"2"), Stripe_Signature=right)

    assert signed[0] == 405
    assert forged[0] == 403
    assert b"webhook_not_verified" in forged[1]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output


def test_a_file_is_checked(project, monkeypatch):
    """What it starts is said, without its passwords."""
    monkeypatch.chdir(project / "deeper")

    code, output = run("config", "check")

    assert code == 0
    assert f"file        {project}/hookloop.toml" in output
    assert f"tunnel      two: http, any name -> {project}/two, checks a password" in output
    assert "hookloop start one two www" in output
    assert "correct-horse" not in output


def test_a_checked_file_is_told_to_programs_too(project, monkeypatch):
    """An object a line."""
    monkeypatch.chdir(project)

    code, output = run("config", "check", "--json")

    facts = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    assert [fact["fact"] for fact in facts] == ["file", "relay", "tunnel", "tunnel", "tunnel"]


@pytest.mark.parametrize("command", [("config", "check"), ("start", "--all")])
def test_a_wrong_file_is_told_by_its_lines(tmp_path, command):
    """Exit 2: the settings are at fault."""
    path = tmp_path / "hookloop.toml"
    path.write_text("[tunnels.web]\nupstream = 3000\nhost_heder = 'rewrite'\n")

    code, output = run(*command, "--config", str(path))

    assert code == 2
    assert "hookloop.toml:3: tunnels.web.host_heder: there is no key" in " ".join(output.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["start"], "say which to start, or --all: "),
        (["start", "tow"], "has no tunnel 'tow'; did you mean two?"),
        (["start", "xyz"], "has no tunnel 'xyz'; it has one, two, www"),
    ],
)
def test_a_tunnel_that_is_not_there_is_told(project, monkeypatch, arguments, told):
    """With those that are."""
    monkeypatch.chdir(project)

    code, output = run(*arguments)

    assert code == 2
    assert told in " ".join(output.split())


def test_where_there_is_no_file_it_is_said_how_to_begin(tmp_path, monkeypatch):
    """The first thing a newcomer meets."""
    monkeypatch.chdir(tmp_path)

    code, output = run("start", "--all")

    assert code == 2
    assert "upstream = 3000" in output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--basic-auth", "ada:short"], "under 8 characters"),
        (["--allow-cidr", "here"], "'here' is no network"),
        (["--request-header-add", "Content-Length: 3"], "framed"),
        (["--response-header-remove", "Transfer-Encoding"], "framed"),
        (["--host-header", "a b"], "cannot be a Host header"),
        (["--verify-webhook", "paypal", "--secret", "x"], "github, shopify, slack"),
        (["--verify-webhook", "stripe"], "secret is needed"),
        (["--catch-path", "/x"], "add --catch"),
    ],
)
def test_options_that_cannot_work_end_the_command(options, told):
    """Before anything is opened."""
    code, output = run("http", "3000", *options)

    assert code == 2
    assert told in " ".join(output.split())
