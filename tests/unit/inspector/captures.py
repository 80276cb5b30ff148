"""Captured exchanges made up for tests."""

import json
from hashlib import sha256

from hookloop.exchange import Exchange, RequestHead, ResponseHead
from hookloop.inspector.captured import Captured, CapturedBody, capture_id
from hookloop.inspector.webhook_facts import webhook_facts

NOW = 1_800_000_000.0


def body_of(data: bytes) -> CapturedBody:
    return CapturedBody(data, len(data), sha256(data).digest())


def event(number: int = 1, type_: str = "invoice.paid", **more) -> bytes:
    """Return a Stripe event's JSON."""
    about = {"id": f"in_{number}", "object": "invoice", **more}
    content = {"id": f"evt_{number}", "object": "event", "type": type_, "data": {"object": about}}
    return json.dumps(content).encode()


def captured(
    number: int = 1,
    *,
    method: bytes = b"POST",
    target: bytes = b"/webhooks/stripe",
    headers=((b"Content-Type", b"application/json"), (b"User-Agent", b"Stripe/1.0")),
    body: bytes | None = None,
    status: int | None = 200,
    answer: bytes = b"ok",
    answer_headers=((b"Content-Type", b"text/plain"),),
    **more,
) -> Captured:
    """Return an exchange; the *number* makes its time, its id and its event's."""
    body = event(number) if body is None else body
    head = RequestHead(method, target, headers)
    facts = {
        "id": capture_id(NOW + number, number),
        "tunnel": "shop",
        "remote": "203.0.113.9:4711",
        "started_at": NOW + number,
        "duration_seconds": 0.012,
        "connected_seconds": 0.001,
        "responded_seconds": 0.011,
        "request": head,
        "request_body": body_of(body),
        "response": None if status is None else ResponseHead(status, b"OK", answer_headers),
        "response_body": body_of(answer if status is not None else b""),
        "webhook": webhook_facts(head, body),
    }
    return Captured(**{**facts, **more})


def exchange(number: int = 1, *, body: bytes = b"hello", **more) -> Exchange:
    """Return what an agent tells its sink."""
    facts = {
        "hop": "agent",
        "tunnel": "shop",
        "remote": "203.0.113.9:4711",
        "request": RequestHead(b"POST", b"/hooks/%d" % number, ((b"Cookie", b"id=1"),)),
        "response": ResponseHead(200, b"OK", ((b"Set-Cookie", b"id=2"),)),
        "request_body_bytes": len(body),
        "response_body_bytes": 2,
        "started": 100.0,
        "responded": 100.2,
        "ended": 100.25,
        "failure": None,
        "request_digest": sha256(body).digest(),
        "response_digest": sha256(b"ok").digest(),
        "connected": 100.125,
        "request_kept": [body[:2], body[2:]],
        "response_kept": [b"ok"],
    }
    return Exchange(**{**facts, **more})
