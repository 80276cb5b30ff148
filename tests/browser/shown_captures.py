"""Exchanges of each kind, for pages to show."""

import json
import struct
import time
import zlib
from hashlib import sha256

from hookloop.exchange import RequestHead, ResponseHead
from hookloop.inspector.captured import Captured, CapturedBody, capture_id
from hookloop.inspector.webhook_facts import webhook_facts


def body_of(data: bytes) -> CapturedBody:
    return CapturedBody(data, len(data), sha256(data).digest())


def shown(
    number: int,
    *,
    method: bytes = b"POST",
    target: bytes = b"/webhooks/stripe",
    kind: bytes = b"application/json",
    headers=(),
    body: bytes = b"",
    status: int | None = 200,
    answer: bytes = b"ok",
    answer_kind: bytes = b"text/plain",
    ago: float = 0.0,
    **more,
) -> Captured:
    """Return an exchange whose id and place in time the *number* gives."""
    head = RequestHead(method, target, ((b"Content-Type", kind), *headers))
    at = time.time() - ago
    answered = ResponseHead(status or 0, b"", ((b"Content-Type", answer_kind),))
    facts = {
        "id": capture_id(at, number),
        "tunnel": "web",
        "remote": "203.0.113.9:4711",
        "started_at": at,
        "connected_seconds": 0.002,
        "responded_seconds": 0.03,
        "duration_seconds": 0.034,
        "request": head,
        "request_body": body_of(body),
        "response": None if status is None else answered,
        "response_body": body_of(answer if status is not None else b""),
        "webhook": webhook_facts(head, body),
        "is_exact": True,
    }
    return Captured(**{**facts, **more})


def event(number: int, type_: str = "invoice.paid", **more) -> bytes:
    about = {"id": f"in_{number}", "object": "invoice", "amount_due": 4200, **more}
    content = {"id": f"evt_{number}", "object": "event", "type": type_, "data": {"object": about}}
    return json.dumps(content, indent=2).encode()


def picture() -> bytes:
    """Return a PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 24, 24, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + b"\x4f\x5b\xd5" * 24 for _ in range(24))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


XSS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'><svg onload=alert(3)>",
    "</textarea></pre></code></title><script>alert(4)</script>",
    "{{ 7*7 }}{% raw %}<script>alert(5)</script>",
    "javascript:alert(6)",
    "<iframe srcdoc='<script>alert(7)</script>'></iframe>",
    "\u2028<a href='data:text/html,<script>alert(8)</script>'>x</a>",
)
"""What people send who want a page that shows it to run it."""
