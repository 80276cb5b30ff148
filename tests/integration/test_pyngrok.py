"""pyngrok, unchanged and from PyPI, drives our agent in place of ngrok's."""

import base64
import json
import shutil
import socket
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pyngrok import agent, ngrok, process
from pyngrok.conf import PyngrokConfig
from pyngrok.exception import PyngrokNgrokError, PyngrokNgrokHTTPError

COMMAND = Path(sys.executable).with_name("hookloop-ngrok")


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer()

    def answer(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def app():
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running(tmp_path, version, **settings):
    """pyngrok's settings; what it started has ended after the block."""
    # pyngrok knows its processes by the path of the command: each test has one of its own.
    command = tmp_path / "ngrok"
    shutil.copy(COMMAND, command)
    file = tmp_path / "ngrok.yml"
    web = "127.0.0.1:0"
    text = {"2": f"web_addr: {web}\n", "3": f"agent:\n  web_addr: {web}\n"}[version]
    file.write_text(f'version: "{version}"\n{text}')
    config = PyngrokConfig(
        ngrok_path=str(command),
        config_path=str(file),
        config_version=version,
        startup_timeout=60,
        request_timeout=30,
        **settings,
    )
    try:
        yield config
    finally:
        ngrok.kill(config)


def ask(url: str, path: str = "/", body: bytes | None = None) -> bytes:
    """Ask by the relay's port and the tunnel's Host: not every machine resolves .localhost."""
    host = url.partition("://")[2]
    request = urllib.request.Request(
        f"http://127.0.0.1:{host.rpartition(':')[2]}{path}", body, headers={"Host": host}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ("HOOKLOOP_RELAY", "HOOKLOOP_TOKEN", "NGROK_AUTHTOKEN", "NGROK_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_tunnel_from_its_start_to_its_end(tmp_path, app, version):
    """With either of the two APIs that pyngrok speaks; and nothing of ngrok's is asked for."""
    with running(tmp_path, version) as config:
        tunnel = ngrok.connect(str(app), pyngrok_config=config)
        answer = ask(tunnel.public_url)
        tunnel.refresh_metrics()
        listed = ngrok.get_tunnels(config)
        ngrok.disconnect(tunnel.public_url, config)
        left = ngrok.get_tunnels(config)

        assert answer == b"hello"
        assert tunnel.name.startswith(f"http-{app}-")
        assert tunnel.proto == "http"
        assert tunnel.upstream["url"] == f"http://localhost:{app}"
        assert tunnel.metrics["http"]["count"] == 1
        assert tunnel.metrics["conns"]["gauge"] == 0
        assert 1e4 < tunnel.metrics["http"]["p50"] < 30e9  # nanoseconds
        assert [each.public_url for each in listed] == [tunnel.public_url]
        assert left == []
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(tunnel.public_url)


def test_the_kinds_of_tunnels(tmp_path, app):
    """A chosen name, a password, bytes by TCP, and a folder."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("a page")
    with running(tmp_path, "2") as config:
        named = ngrok.connect(str(app), name="web", subdomain="shop", pyngrok_config=config)
        locked = ngrok.connect(str(app), auth="ann:swordfish", pyngrok_config=config)
        raw = ngrok.connect(str(app), "tcp", pyngrok_config=config)
        folder = ngrok.connect(f"file://{site}", pyngrok_config=config)

        assert named.public_url.startswith("http://shop.tun.localhost:")
        assert named.config == {"addr": f"http://localhost:{app}", "inspect": True}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(locked.public_url)
        assert raw.proto == "tcp"
        assert raw.config == {"addr": f"localhost:{app}", "inspect": False}
        port = raw.public_url.rpartition(":")[2]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            assert answer.read() == b"hello"
        assert ask(folder.public_url) == b"a page"
        ngrok.disconnect(folder.public_url, config)
        assert len(ngrok.get_tunnels(config)) == 3


def test_what_cannot_be_is_refused_as_ngrok_refuses_it(tmp_path, app):
    """The texts that pyngrok's own tests look for."""
    with running(tmp_path, "2") as config:
        ngrok.connect(str(app), name="taken", pyngrok_config=config)
        with pytest.raises(PyngrokNgrokHTTPError) as invalid:
            ngrok.connect(str(app), "invalid-proto", pyngrok_config=config)
        with pytest.raises(PyngrokNgrokHTTPError) as again:
            ngrok.connect(str(app), name="taken", pyngrok_config=config)
        with pytest.raises(PyngrokNgrokHTTPError) as closed:
            ngrok.connect(str(app), oauth={"provider": "google"}, pyngrok_config=config)

        assert invalid.value.status_code == 400
        assert json.loads(invalid.value.body) == {
            "error_code": 102,
            "status_code": 400,
            "msg": "invalid tunnel configuration",
            "details": {"err": "Invalid protocol name 'invalid-proto'"},
        }
        assert "the agent has a tunnel 'taken' already" in again.value.body
        assert "oauth" in closed.value.body
        assert len(ngrok.get_tunnels(config)) == 1


def test_the_process_and_its_log(tmp_path, app):
    """The monitor's thread, its callback, a session of its own, and the agent's status."""
    lines = []
    heard = threading.Event()

    def hear(line):
        lines.append(line)
        if line.msg == "started tunnel":
            heard.set()

    with running(
        tmp_path, "3", log_event_callback=hear, start_new_session=True, region="eu", auth_token="x"
    ) as config:
        tunnel = ngrok.connect(str(app), pyngrok_config=config)
        assert heard.wait(30)
        started = ngrok.get_ngrok_process(config)
        status = agent.get_agent_status(config)

        assert started.healthy()
        assert started.startup_error is None
        assert status.status == "online"
        assert status.session["legs"][0]["region"] == "this machine"
        said = {line.msg: line for line in lines}
        assert f"http://{said['starting web service'].addr}" == started.api_url
        assert said["started tunnel"].url == tunnel.public_url
        assert said["client session established"].obj == "csess"
        ngrok.kill(config)
        assert not process.is_process_running(config.ngrok_path)


def test_the_file_and_the_version(tmp_path):
    """`config add-authtoken` writes where pyngrok says, and `--version` says 3."""
    with running(tmp_path, "3") as config:
        ngrok.set_auth_token("tok_123", config)
        text = Path(config.config_path).read_text()
        ours, _ = ngrok.get_version(config)

        assert "agent:\n  authtoken: tok_123\n  web_addr:" in text
        assert ours.startswith("3.")
        with pytest.raises(PyngrokNgrokError, match="there is no hosted API here"):
            ngrok.api("endpoints", "list", pyngrok_config=config)


def test_why_it_cannot_start_is_what_pyngrok_says(tmp_path):
    """What pyngrok shows is the error of our log's last line."""
    with running(tmp_path, "2") as config, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        Path(config.config_path).write_text(f'version: "2"\nweb_addr: 127.0.0.1:{port}\n')
        with pytest.raises(
            PyngrokNgrokError, match="errored on start: cannot serve the web"
        ) as why:
            ngrok.connect("80", pyngrok_config=config)

        assert str(port) in why.value.ngrok_error


def test_requests_are_listed_replayed_and_cleared(tmp_path, app):
    """By the tunnel's name, with the exact bytes; a tunnel without inspection keeps none."""
    with running(tmp_path, "2") as config:
        tunnel = ngrok.connect(str(app), name="tunnel (1)", pyngrok_config=config)
        other = ngrok.connect(str(app), inspect=False, pyngrok_config=config)
        ask(tunnel.public_url, "/hook?a=1", b"\x00body")
        ask(other.public_url)
        (kept,) = agent.get_requests(pyngrok_config=config)
        agent.replay_request(kept.id, pyngrok_config=config)
        both = agent.get_requests("tunnel (1)", config)
        again = agent.get_request(kept.id, config)
        none = agent.get_requests("no such", config)
        with pytest.raises(PyngrokNgrokHTTPError) as missing:
            agent.get_request("xx", config)
        agent.delete_requests(config)

        assert (kept.tunnel_name, kept.request["method"]) == ("tunnel (1)", "POST")
        assert kept.request["uri"] == "/hook?a=1"
        raw = base64.b64decode(kept.request["raw"])
        assert raw.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
        assert raw.endswith(b"\r\n\r\n\x00body")
        assert (kept.response["status"], kept.response["status_code"]) == ("200 OK", 200)
        assert base64.b64decode(kept.response["raw"]).endswith(b"\r\n\r\nhello")
        assert kept.duration > 0
        assert [each.response["status_code"] for each in both] == [200, 200]
        assert again.data == kept.data
        assert none == []
        assert json.loads(missing.value.body)["error_code"] == 106
        assert agent.get_requests(pyngrok_config=config) == []
