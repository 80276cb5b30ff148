"""The routes that replay, by requests as a browser without script sends them."""

import asyncio
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from captures import NOW, captured, event
from starlette.applications import Starlette

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError
from hookloop.inspector import CapturedBody, CaptureStore
from hookloop.inspector.pages import Inspected, inspector_pages
from hookloop.inspector.replay_pages import Replays, replay_pages
from hookloop.inspector.server import LocalOnly
from hookloop.inspector.webhook_signature import KnownSecret
from hookloop.signing import stripe_signature_header
from hookloop.testing.signed_request import SignedRequest
from hookloop.testing.through_asgi import through_asgi

SECRET = "whsec_replay-pages"
SIGNED = (
    (b"Content-Type", b"application/json"),
    (b"Stripe-Signature", stripe_signature_header(event(1), [SECRET], signed_at=int(NOW)).encode()),
)
HOST = ("Host", "127.0.0.1:4040")


class Pages:
    """The inspector's whole application, and what it sends."""

    def __init__(self, *kept, secrets=()):
        self.store = CaptureStore(None, max_age_seconds=1e10)
        if kept:
            self.store.add(kept, now=NOW)
        self.shots, self.upstreams = [], []
        self.replays = Replays(
            store=self.store,
            clock=SystemClock(),
            send=self.send,
            secrets=[KnownSecret("stripe", secret) for secret in secrets],
        )

    async def send(self, shots, upstream):
        if upstream == "nowhere":
            raise ConfigError("'nowhere' is not a local service")
        self.shots += shots
        self.upstreams.append(upstream)
        landed = [
            replace(captured(90 + n), origin=shot.origin, note=shot.note)
            for n, shot in enumerate(shots)
        ]
        self.store.add(landed, now=NOW)
        return landed

    def post_edit(self, one, **fields):
        return self.post(f"/requests/{one.id}/edit", fields)

    def ask(self, method, path, *, headers=(HOST,), **fields):
        return self.post(path, fields, headers, method)

    def post(self, path, fields, headers=(HOST,), method="POST"):
        """Return the status, the text and where it leads."""
        inspected = Inspected(store=self.store, clock=SystemClock(), has_replay=True)
        routes = [*replay_pages(self.replays), *inspector_pages(inspected)]
        body = urlencode(fields).encode() if method == "POST" else b""
        kind = ("Content-Type", "application/x-www-form-urlencoded")

        async def asked():
            app = LocalOnly(Starlette(routes=routes))

            async def hosted(scope, receive, send):
                theirs = (b"host", b"testserver")  # beside the one that is meant
                kept = [each for each in scope["headers"] if each != theirs]
                await app({**scope, "headers": kept}, receive, send)

            request = SignedRequest(body, [*headers, kind])
            answer = await through_asgi(hosted, request, method, path, 30.0)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                await task  # what was begun and goes on after the answer
            return answer

        answer = asyncio.run(asked())
        found = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, answer.body.decode(), found.get("location", "")


def test_a_replay_leads_to_the_exchange_that_came_of_it():
    """Which says whose replay it is; what was sent is what was captured."""
    one = captured(1)
    pages = Pages(one)

    status, _, to = pages.ask("POST", f"/requests/{one.id}/replay")

    assert status == 303
    assert to == f"/requests/{captured(90).id}"
    assert (pages.shots[0].head, pages.shots[0].body) == (one.request, one.request_body.data)
    assert pages.upstreams == [None]
    assert f'a replay of <a href="/requests/{one.id}">' in pages.ask("GET", to)[1]


def test_a_replay_is_signed_for_now_where_the_form_says_so():
    """And with no known secret it is an error that says how to give one."""
    one = captured(1, headers=SIGNED)
    pages = Pages(one, secrets=[SECRET])

    assert pages.ask("POST", f"/requests/{one.id}/replay", resign="1")[0] == 303

    header = pages.shots[0].head.get(b"stripe-signature").decode()
    at = int(header.partition(",")[0].removeprefix("t="))
    assert abs(at - time.time()) < 60
    assert header == stripe_signature_header(one.request_body.data, [SECRET], signed_at=at)
    status, text, _ = Pages(one).ask("POST", f"/requests/{one.id}/replay", resign="1")
    assert status == 400
    assert "--secret" in text


def test_what_nobody_edited_goes_out_bit_for_bit():
    """A browser writes ends of lines as CRLF, in bodies of either kind."""
    for body in (b'{\n "a": 1\n}', b'{\r\n "a": 1\r\n}', b"\n\nx", b"", "\ufeffé\u2028".encode()):
        one = captured(1, body=body, headers=(*SIGNED, (b"X-Name", b"J\xf6rg\x85")))
        pages = Pages(one)
        text = body.decode().replace("\r\n", "\n").replace("\n", "\r\n")
        lines = "".join(f"{n.decode()}: {v.decode('latin-1')}\r\n" for n, v in one.request.headers)

        assert pages.post_edit(one, body=text, headers=lines)[0] == 303
        assert (pages.shots[0].head, pages.shots[0].body) == (one.request, body)
        assert pages.shots[0].note == ""


def test_an_edit_changes_what_it_changes():
    """Method, path, headers, body and whither; the length is that of the new body."""
    one = captured(1, body=b'{\r\n"a": 1}', headers=(*SIGNED, (b"Content-Length", b"10")))
    pages = Pages(one)

    status, _, _ = pages.post_edit(
        one,
        method="PUT",
        target="/other?x=1",
        headers="X-New: yes\r\nContent-Length: 10",
        body='{\r\n"a": 2345}',
        upstream="3001",
    )

    shot = pages.shots[0]
    assert status == 303
    assert (shot.head.method, shot.head.target) == (b"PUT", b"/other?x=1")
    assert shot.head.headers == ((b"X-New", b"yes"), (b"Content-Length", b"13"))
    assert shot.body == b'{\r\n"a": 2345}'
    assert shot.note == "edited, to 3001"
    assert pages.upstreams == ["3001"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "GE T"}, "no method"),
        ({"target": "no-slash"}, "no path"),
        ({"headers": "no colon"}, "no header"),
        ({"headers": "X: \u20ac"}, "HTTP cannot carry"),
        ({"headers": "X: a\x00b"}, "cannot be sent"),
        ({"upstream": "nowhere"}, "not a local service"),
    ],
)
def test_what_cannot_be_sent_is_said_beside_what_was_typed(fields, said):
    """Nothing is sent, and nothing typed is lost."""
    one = captured(1)
    pages = Pages(one)

    status, text, _ = pages.post_edit(one, **{"body": "typed <b>", **fields})

    assert status == 400
    assert said in text
    assert "typed &lt;b&gt;</textarea>" in text
    assert pages.shots == []


BODIES = {
    "binary": (captured(1, body=b"\xff\xfe\x00\x01"), "text cannot stand for"),
    "coded": (
        captured(1, headers=((b"Content-Encoding", b"gzip"),), body=b"abc"),
        "text cannot stand for",
    ),
    "mixed": (captured(1, body=b"a\nb\r\nc"), "text cannot stand for"),
    "long": (captured(1, body=b"a" * 600_000), "too long"),
    "cut": (captured(1, request_body=CapturedBody(b"abc", 9, bytes(32))), "beginning"),
    "redacted": (captured(1, request_body=CapturedBody(b"abc", 3, bytes(32))), "taken out"),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_no_text_is_not_offered_as_text(kind):
    """It goes out as it was where it was kept whole; else nothing is sent, and why is said."""
    one, said = BODIES[kind]
    pages = Pages(one)

    status, text, _ = pages.ask("GET", f"/requests/{one.id}/edit")
    assert status == 200
    assert 'name="body"' not in text
    assert said in text

    status, text, _ = pages.post_edit(one, method="PUT", body="smuggled")
    if kind in {"cut", "redacted"}:
        assert (status, pages.shots) == (400, [])
        assert "cannot be replayed" in text
    else:
        assert (status, pages.shots[0].body) == (303, one.request_body.data)


def test_all_of_a_query_is_confirmed_by_its_number_and_sent_oldest_first():
    """What arrives between the question and the answer was not confirmed."""
    pages = Pages(*(captured(n, status=500 if n < 4 else 200) for n in range(1, 6)))
    status, text, _ = pages.ask("GET", "/replay?q=status:500")
    assert status == 200
    assert "<strong>3 requests</strong>" in text
    newest = text.partition('name="newest" value="')[2].partition('"')[0]
    pages.store.add([captured(7, status=500)], now=NOW)

    status, _, to = pages.ask("POST", "/replay", q="status:500", newest=newest)

    assert (status, to) == (303, "/?q=is%3Areplay")
    assert [shot.origin for shot in pages.shots] == [captured(n).id for n in (1, 2, 3)]
    assert [shot.after for shot in pages.shots] == [0.0, 0.1, 0.2]


def test_unsigned_requests_among_webhooks_are_sent_as_they_are():
    """Only what somebody had signed is signed afresh."""
    plain, webhook = captured(1), captured(2, headers=SIGNED)
    pages = Pages(plain, webhook, secrets=[SECRET])

    pages.ask("POST", "/replay", q="", newest=str(pages.store.newest()), resign="1")

    assert pages.shots[0].head == plain.request
    assert pages.shots[1].head.get(b"stripe-signature") != SIGNED[1][1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"q": ""}, "not confirmed"),
        ({"q": "stauts:500", "newest": "9"}, "did you mean status:"),
        ({"q": "status:404", "newest": "9"}, "nothing is found"),
    ],
)
def test_what_was_not_confirmed_or_finds_nothing_sends_nothing(fields, said):
    """And says so."""
    pages = Pages(captured(1))

    status, text, _ = pages.ask("POST", "/replay", **fields)

    assert (status, pages.shots) == (400, [])
    assert said in text


@pytest.mark.parametrize("path", ["/replay", "/requests/{}/replay", "/requests/{}/edit"])
def test_another_site_or_another_name_replays_nothing(path):
    """A page on the internet can post a form to this machine, or point its name here."""
    one = captured(1)
    pages = Pages(one)
    path, fields = path.format(one.id), {"q": "", "newest": "9"}
    evil = ("Origin", "https://evil.example")

    assert pages.ask("POST", path, headers=(HOST, evil), **fields)[0] == 403
    assert pages.ask("POST", path, headers=(("Host", "evil.example"),), **fields)[0] == 401
    assert pages.shots == []


def test_no_page_shows_a_secret_and_only_a_known_one_is_offered():
    """The checkbox to sign stands where it can be done."""
    one = captured(1, headers=SIGNED)
    for path in (f"/requests/{one.id}/edit", "/replay?q="):
        with_secret = Pages(one, secrets=[SECRET]).ask("GET", path)[1]
        assert 'name="resign"' in with_secret
        assert SECRET not in with_secret
        assert 'name="resign"' not in Pages(one).ask("GET", path)[1]


def test_what_is_gone_is_a_404():
    """As on the other pages."""
    pages = Pages()
    assert pages.ask("POST", "/requests/cap_1/replay")[0] == 404
    assert pages.ask("GET", "/requests/cap_1/edit")[0] == 404
