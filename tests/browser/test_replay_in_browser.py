"""Replays from the inspector's pages in a real Chromium, to an application that verifies."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stripe
from axe_playwright_python.sync_playwright import Axe
from conftest import SECRET, serve
from patience import PATIENCE
from playwright.sync_api import expect
from shown_captures import event, shown

from hookloop.cli.page_replays import PageReplays
from hookloop.clock import SystemClock
from hookloop.inspector import CaptureStore, Redaction
from hookloop.inspector.replay_pages import Replays, replay_pages
from hookloop.inspector.webhook_signature import KnownSecret, can_sign
from hookloop.signing import stripe_signature_header
from hookloop.tunnel.agent.config import TunnelConfig, parse_upstream

LAST_WEEK = 7 * 86400.0


@dataclass
class App:
    """Verifies as an application does, by the official package, and says what it was sent."""

    port: int = 0
    seen: list = field(default_factory=list)

    def answer(self, method, path, headers, body):
        self.seen.append((method, path, dict(headers), body))
        try:
            stripe.Webhook.construct_event(body, headers.get("Stripe-Signature", ""), SECRET)
        except (stripe.SignatureVerificationError, ValueError) as error:
            return 400, str(error).encode()
        return 200, b"accepted"


@pytest.fixture
def app():
    made = App()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, text = made.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_PUT(self):
            self.do_POST()

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()


@dataclass
class Open:
    """A tunnel of an agent, as far as replays look at it."""

    config: TunnelConfig
    name: str = "web"
    label: str = "web"


@pytest.fixture
def inspector(tmp_path, app):
    store = CaptureStore(tmp_path / "captures.db")
    tunnel = Open(TunnelConfig(parse_upstream(f"127.0.0.1:{app.port}"), name="web"))
    secrets = [KnownSecret("stripe", SECRET)]
    replays = Replays(
        store=store,
        clock=SystemClock(),
        send=PageReplays(lambda: [tunnel], store, Redaction()).send,
        secrets=secrets,
    )
    yield from serve(
        store,
        routes=replay_pages(replays),
        has_replay=True,
        can_sign=lambda head: can_sign(head, secrets),
    )
    store.close()


def old_webhook(number: int = 1, **more):
    """Return a webhook of last week, rightly signed then, that was answered 500."""
    body = event(number)
    at = int(time.time() - LAST_WEEK)
    header = stripe_signature_header(body, [SECRET], signed_at=at).encode()
    return shown(
        number,
        headers=(
            (b"Host", b"shop.tun.test"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Stripe-Signature", header),
        ),
        body=body,
        status=500,
        ago=LAST_WEEK,
        **more,
    )


def test_a_webhook_of_last_week_is_signed_afresh_and_accepted(page, inspector, app):
    """As it was it is too old for construct_event; the new exchange names its origin."""
    one = old_webhook()
    inspector.store.add([one], now=time.time())
    page.goto(f"{inspector.url}/requests/{one.id}")

    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.locator(".headline .status")).to_have_text("400")
    expect(page.locator("#answer")).to_contain_text("outside the tolerance zone")

    page.goto(f"{inspector.url}/requests/{one.id}")
    page.get_by_role("button", name="Replay, signed for now").click()
    expect(page.locator(".headline .status")).to_have_text("200")
    expect(page.get_by_text("This is a replay of")).to_contain_text(f"{one.id}: signed again")
    assert [body for _, _, _, body in app.seen] == [one.request_body.data] * 2
    assert SECRET not in page.content()

    page.get_by_role("link", name=one.id).click()
    expect(page.get_by_text("answered 200")).to_contain_text("signed again")


def test_edit_and_replay_without_script(browser, inspector, app):
    """Each field reaches the application, signed for the new body."""
    one = old_webhook()
    inspector.store.add([one], now=time.time())
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    page.goto(f"{inspector.url}/requests/{one.id}")
    page.get_by_role("link", name="Edit and replay").click()
    assert page.get_by_label("Body").input_value() == one.request_body.data.decode()

    page.get_by_label("Body").fill(one.request_body.data.decode().replace("4200", "77"))
    page.get_by_label("Method").fill("PUT")
    page.get_by_label("Path and query").fill("no path")
    headers = page.get_by_label("Headers")
    headers.fill(headers.input_value() + "\nX-Try: 2")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("is no path")
    page.get_by_label("Path and query").fill("/other?x=1")
    page.get_by_role("button", name="Send").click()

    expect(page.locator(".headline")).to_contain_text("200")
    expect(page.get_by_text("This is a replay of")).to_contain_text("edited, signed again")
    context.close()
    ((method, path, sent, body),) = app.seen
    assert (method, path, sent["X-Try"]) == ("PUT", "/other?x=1", "2")
    assert body == one.request_body.data.replace(b"4200", b"77")
    assert json.loads(body)["data"]["object"]["amount_due"] == 77


def test_what_was_not_touched_in_a_form_is_sent_bit_for_bit(page, inspector, app):
    """Also to another service than the tunnel's."""
    one = old_webhook()
    inspector.store.add([one], now=time.time())
    page.goto(f"{inspector.url}/requests/{one.id}/edit")

    page.get_by_label("Send to").fill(f"127.0.0.1:{app.port}")
    page.get_by_label("Sign afresh").uncheck()
    page.get_by_role("button", name="Send").click()

    expect(page.get_by_text("This is a replay of")).to_contain_text(f"to 127.0.0.1:{app.port}")
    assert app.seen[0][3] == one.request_body.data
    assert app.seen[0][2]["Stripe-Signature"] == one.request.get(b"stripe-signature").decode()


def test_all_that_a_search_finds_is_replayed_after_a_question(page, inspector, app):
    """Which says how many; they arrive on the live list."""
    inspector.store.add([old_webhook(1), old_webhook(2), shown(3, body=event(3))], now=time.time())
    page.goto(f"{inspector.url}/?q=status:500")
    page.get_by_role("link", name="Replay all of these").click()
    expect(page.locator("#count")).to_contain_text("2 requests")
    assert app.seen == []

    page.get_by_role("button", name="Send 2").click()

    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page.locator("#rows tr").first).to_contain_text("200")
    assert [json.loads(body)["id"] for *_, body in app.seen] == ["evt_1", "evt_2"]


def test_the_forms_can_be_used_by_everybody(page, inspector):
    """No grave finding of axe, and no sideways scrolling on a phone."""
    one = old_webhook()
    inspector.store.add([one], now=time.time())
    for address in (f"/requests/{one.id}/edit", "/replay?q=", "/", f"/requests/{one.id}"):
        page.set_viewport_size({"width": 1280, "height": 860})
        page.goto(inspector.url + address)
        found = Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in {"serious", "critical"}] == []
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
