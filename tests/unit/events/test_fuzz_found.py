"""What `tests/fuzz` has found: the bytes that did it, and what is answered now."""

import asyncio
import json
from http import HTTPStatus
from io import BytesIO

import pytest

from hookloop import Hooks, Reply
from hookloop.signing import stripe_signature_header

SECRET = "whsec_found"


class Clock:
    def wall(self) -> float:
        return 1_800_000_000.0

    def monotonic(self) -> float:
        return 0.0


def hooks_replying(reply: Reply) -> Hooks:
    hooks = Hooks(SECRET, clock=Clock())
    hooks.on("invoice.paid")(lambda event: reply)
    return hooks


def signed(body: bytes) -> dict[str, str]:
    return {
        "stripe-signature": stripe_signature_header(body, [SECRET], signed_at=1_800_000_000),
        "content-length": str(len(body)),
    }


@pytest.mark.parametrize(
    "version",
    [
        pytest.param("2026-10-28.endive\r\nX-Injected: 1", id="it would start another header"),
        pytest.param("\u20ac", id="it is no latin-1: the ASGI face raised UnicodeEncodeError"),
        pytest.param("\ud800", id="it is half a character"),
        pytest.param("x" * 5000, id="it is longer than a server takes"),
        pytest.param("2026-10-28.endive\n", id="it ends the line"),
    ],
)
def test_an_api_version_that_is_none_does_not_become_a_header(version: str):
    """The answer to an event names the event's version only where it looks like one."""
    body = json.dumps({"id": "evt_1", "type": "invoice.paid", "api_version": version}).encode()

    result = hooks_replying(Reply({"approved": True})).receive(body, signed(body))

    assert (result.status, result.headers) == (200, (("Content-Type", "application/json"),))


def test_an_api_version_that_is_one_becomes_a_header():
    """Stripe wants it back beside the answer to a synchronous event."""
    body = b'{"id": "evt_1", "type": "invoice.paid", "api_version": "2026-10-28.endive"}'

    result = hooks_replying(Reply({"approved": True})).receive(body, signed(body))

    assert ("Stripe-Version", "2026-10-28.endive") in result.headers


def test_a_status_without_a_name_is_sent_by_every_face():
    """299 is a fine status, and WSGI wants a reason beside it."""
    body = b'{"id": "evt_1", "type": "invoice.paid"}'
    hooks = hooks_replying(Reply({}, status=299))

    assert 299 not in [status.value for status in HTTPStatus]
    assert over_asgi(hooks, body) == 299
    assert over_wsgi(hooks, body) == "299"


def over_asgi(hooks: Hooks, body: bytes) -> int:
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in signed(body).items()]
    asyncio.run(hooks.asgi({"type": "http", "method": "POST", "headers": headers}, receive, send))
    return sent[0]["status"]


def over_wsgi(hooks: Hooks, body: bytes) -> str:
    started = []
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_STRIPE_SIGNATURE": signed(body)["stripe-signature"],
        "wsgi.input": BytesIO(body),
    }
    hooks.wsgi(environ, lambda status, headers: started.append(status))
    return started[0].split()[0]
