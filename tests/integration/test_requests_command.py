"""`hookloop requests`, as a process, on a store and against a real application."""

import json
import os
import subprocess
import sys
import threading
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stripe

from hookloop.exchange import RequestHead, ResponseHead
from hookloop.inspector import Captured, CapturedBody, CaptureStore
from hookloop.inspector.webhook_facts import webhook_facts
from hookloop.testing import sign

SECRET = "whsec_of_the_app"


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
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield str(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def webhook(id_: str, type_: str, at: float) -> Captured:
    body = json.dumps({"id": f"evt_{id_}", "object": "event", "type": type_}).encode()
    signed = sign(body, SECRET, signed_at=at)
    headers = tuple((key.encode(), value.encode()) for key, value in signed.headers)
    head = RequestHead(b"POST", b"/hooks", ((b"Host", b"shop.tun.example"), *headers))
    return Captured(
        id=f"cap_{id_}",
        tunnel="shop",
        started_at=at,
        request=head,
        request_body=CapturedBody(body, len(body), sha256(body).digest()),
        response=ResponseHead(500, b"", ()),
        webhook=webhook_facts(head, body),
    )


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "captures.sqlite3"
    now = time.time()
    kept = CaptureStore(path)
    last_week = now - 7 * 86400
    events = [webhook("1", "invoice.paid", last_week), webhook("2", "charge.failed", now)]
    kept.add(events, now=now)
    kept.close()
    return path


def requests(store, *words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "hookloop", "requests", *words],
        env={**os.environ, "HOOKLOOP_CAPTURES": str(store), "STRIPE_WEBHOOK_SECRET": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_webhook_of_last_week_is_accepted_when_it_is_signed_again(store, app):
    """As it was it is too old; both land beside it, and say whose replays they are."""
    (old,) = rows(requests(store, "replay", "cap_1", "--to", app, "--json", code=1))
    words = ["--to", app, "--resign", "--secret", SECRET, "--json"]
    query = "type:invoice.paid -is:replay"
    (new,) = rows(requests(store, "replay", "--query", query, *words))

    assert (old["status"], old["origin"], old["note"]) == (400, "cap_1", "")
    assert (new["status"], new["origin"], new["note"]) == (200, "cap_1", "signed again")
    listed = rows(requests(store, "ls", "origin:cap_1", "--json"))
    assert [each["id"] for each in listed] == [new["id"], old["id"]]
    assert SECRET.encode() not in store.read_bytes()


def test_edits_and_faults(store, app):
    """A new body with a signature for it; the same twice, with one that is broken."""
    signing = ["--resign", "--secret", f"stripe={SECRET}", "--to", app, "--json"]
    (edited,) = rows(requests(store, "replay", "cap_2", "--body", '{"object": "event"}', *signing))
    faulty = rows(
        requests(store, "replay", "cap_2", "--copies", "2", "--corrupt", *signing, code=1)
    )

    assert edited["status"] == 200
    assert [each["status"] for each in faulty] == [400, 400]
    assert "secret" not in requests(store, "show", edited["id"])


def test_an_app_that_is_not_there_is_an_outcome(store):
    """It lands too, with why."""
    (landed,) = rows(requests(store, "replay", "cap_2", "--to", "127.0.0.1:1", "--json", code=1))

    assert landed["status"] is None
    assert landed["failure"]


def test_listed_shown_compared_and_handed_out(store, tmp_path):
    """And read in again elsewhere."""
    assert "invoice.paid" in requests(store, "ls", "type:invoice.paid")
    assert '"evt_1"' in requests(store, "show", "cap_1")
    assert "curl --request POST" in requests(store, "show", "cap_1", "--as", "curl")
    assert "def test_invoice_paid" in requests(store, "show", "cap_1", "--as", "pytest")
    assert '-  "type": "invoice.paid"' in requests(store, "diff", "cap_1", "cap_2", code=1)
    assert requests(store, "diff", "cap_1", "cap_1") == "no difference\n"
    assert rows(requests(store, "show", "cap_1", "--json"))[0]["request"]["method"] == "POST"

    har, other = tmp_path / "all.har", tmp_path / "other.sqlite3"
    requests(store, "export", "-o", str(har))
    requests(other, "import", str(har))

    assert har.stat().st_mode & 0o077 == 0
    kinds = [each["event_type"] for each in rows(requests(other, "ls", "--json"))]
    assert sorted(kinds) == ["charge.failed", "invoice.paid"]
    assert len(rows(requests(other, "ls", "--json", "body:evt_2"))) == 1


def test_what_is_not_there_is_said(store, tmp_path):
    """Exit 2: the user's to mend."""
    requests(store, "show", "cap_9", code=2)
    requests(tmp_path / "none.sqlite3", "ls", code=2)
    requests(store, "replay", code=2)
    requests(store, "ls", "colour:red", code=2)
