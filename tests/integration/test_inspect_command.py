"""`hookloop http` keeps what passes and shows it, bit for bit."""

import http.client
import json
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import Request, urlopen

import pytest
import stripe
from patience import PATIENCE
from test_http_command import ended_by, started, wait_for
from tunnel_loop import free_port

from hookloop.inspector import CaptureStore
from hookloop.testing import sign

BODY = bytes(range(256)) * 9


def test_what_passed_is_on_the_page_and_outlives_the_command(tmp_path):
    """No app listens: that too is an answer, and is captured."""
    file = tmp_path / "captures.db"
    arguments = ["--inspect", "127.0.0.1:0", "--capture", str(file), "--log-format", "json"]
    with started("http", str(free_port()), *arguments) as process:
        web = wait_for(process, "starting web service", json.loads)["addr"]
        url = wait_for(process, "started tunnel", json.loads)["url"]
        host = url.removeprefix("http://")
        caller = http.client.HTTPConnection(
            "127.0.0.1", int(host.rpartition(":")[2]), timeout=PATIENCE
        )
        caller.request("POST", "/hooks?token=abc", BODY, {"Host": host, "Cookie": "a=b"})
        assert caller.getresponse().status == 502
        caller.close()
        with urlopen(f"http://{web}/events?after=0", timeout=PATIENCE) as events:
            while b"/hooks" not in (line := events.readline()):
                assert line
        ended_by(signal.SIGTERM, process)

    store = CaptureStore(file)
    kept = store.get(store.find().items[0].id)
    store.close()
    assert kept.request_body.data == BODY
    assert kept.request.target == b"/hooks?token=[redacted]"
    assert kept.request.get(b"cookie") == b"[redacted]"
    assert "cannot reach" in kept.failure


SECRET = "whsec_of-the-command"
FILE = """
[tunnels.web]
upstream = {port}
verify_webhook = "stripe"
secret = ["{secret}"]
"""


class App(BaseHTTPRequestHandler):
    """Verifies as an application does, by the official package."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            stripe.Webhook.construct_event(body, self.headers["Stripe-Signature"], SECRET)
        except stripe.SignatureVerificationError:
            self.send_response(400)
        else:
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def app():
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("command", ["http", "start"])
def test_what_the_guard_refused_as_old_is_replayed_signed_by_the_tunnels_secret(
    tmp_path, app, command
):
    """From the page of a running command, whose secret nobody gave twice."""
    common = ["--inspect", "127.0.0.1:0", "--capture", "memory", "--log-format", "json"]
    arguments = ["http", str(app), "--verify-webhook", "stripe", "--secret", SECRET]
    if command == "start":
        file = tmp_path / "hookloop.toml"
        file.write_text(FILE.format(port=app, secret=SECRET))
        arguments = ["start", "web", "--config", str(file)]
    body = b'{"id": "evt_1", "object": "event", "type": "invoice.paid"}'
    signed = sign(body, SECRET, signed_at=time.time() - 86400)
    with started(*arguments, *common) as process:
        web = wait_for(process, "starting web service", json.loads)["addr"]
        url = wait_for(process, "started tunnel", json.loads)["url"]
        host = url.removeprefix("http://")
        port = int(host.rpartition(":")[2])
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        caller.request("POST", "/hooks", body, {"Host": host, **dict(signed.headers)})
        assert caller.getresponse().status == 403
        caller.close()
        with urlopen(f"http://{web}/events?after=0", timeout=PATIENCE) as events:
            while b"data-id=" not in (line := events.readline()):
                assert line
        id_ = line.partition(b'data-id="')[2].partition(b'"')[0].decode()
        replay = Request(f"http://{web}/requests/{id_}/replay", b"resign=1")
        with urlopen(replay, timeout=PATIENCE) as answer:
            text = answer.read().decode()
        ended_by(signal.SIGTERM, process)

    assert '<span class="status good">200</span>' in text
    assert f'a replay of <a href="/requests/{id_}">' in text
    assert SECRET not in text
