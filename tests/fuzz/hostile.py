"""
Hostile webhook requests, made from a seed: the same seed, the same request.

Half of them carry a true signature over whatever their body is, since most mistakes lie
behind the door. Speed is a feature: a million are made in a minute or two.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["MARK", "NOW", "SECRETS", "Hostile", "hostile_request"]

NOW = 1_800_000_000
SECRETS = ("whsec_new_k33p", "whsec_old_k33p")
MARK = "p4yl0ad"  # in every body; must never come back, nor go to a log
BODY_BYTES_MAX = 64 * 1024

Pairs = list[tuple[bytes, bytes]]


class Hostile:
    """One request, as bytes."""

    __slots__ = ("body", "headers", "method", "path")

    def __init__(self, method: str, path: str, headers: Pairs, body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"{self.method!r} {self.path!r} {self.headers!r}\n{self.body[:2000]!r}"


def hostile_request(random: Random) -> Hostile:
    """Return the request that *random* makes."""
    body = hostile_body(random)
    headers = hostile_headers(random, body)
    if random.random() < 0.03:  # it is another body that arrives
        body = random.choice((b"", body[:-1], body + b"\n", body * 2, b" " * (BODY_BYTES_MAX + 1)))
    method = "POST" if random.random() < 0.97 else random.choice(METHODS)
    path = "/webhooks/stripe" if random.random() < 0.9 else random.choice(PATHS)
    return Hostile(method, path, headers, body)


METHODS = (
    "GET",
    "HEAD",
    "PUT",
    "OPTIONS",
    "post",
    "",
    "POST ",
    "P" * 9000,
    "\u00e9",
    "\x00",
    "PRI",
)
PATHS = ("", "/", "//", "/../../etc", "/\u00e9\ud800", "/" + "a" * 9000, "/%00", "*")


# --- bodies -----------------------------------------------------------------------------


def _snapshot() -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": NOW,
        "data": {
            "object": {"id": "in_1", "object": "invoice", "note": MARK, "lines": {"data": [{}]}},
            "previous_attributes": {"status": "draft"},
        },
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": "key_1"},
        "type": "invoice.paid",
    }


def _thin() -> dict[str, Any]:
    return {
        "id": "evt_2",
        "object": "v2.core.event",
        "type": "v1.invoice.paid",
        "created": "2027-01-15T08:00:00.000Z",
        "livemode": True,
        "context": "acct_1",
        "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
        "reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": MARK}},
        "snapshot_event": "evt_1",
    }


FIELDS = (
    *("id", "type", "object", "created", "livemode", "account", "context", "api_version"),
    *("request", "reason", "data", "related_object", "snapshot_event", "pending_webhooks"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, -0.0, 1e308, 2**63, 10**400, -(10**4000)),
    *(
        "",
        " ",
        "x",
        "x" * 5000,
        "\x00",
        "\r\nX-Injected: 1",
        "\u20ac",
        "\ud800",
        "\U0001f600",
        "__proto__",
    ),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2027-02-30", "20270115T080000Z"),
    *("2027-01-15T08:00:00.123456789Z", "-1", "NaN", "v2.core.event", "evt_00000000000000"),
    *("issuing_authorization.request", "invoice.paid", "invoice.", "*", "evt_1/../customers"),
    *([], {}, [[]], [None], {"id": None}, {"id": 5, "idempotency_key": []}, {"": ""}),
    *({"object": None}, {"object": []}, {"previous_attributes": []}, {"request": "req_1"}),
    *({"id": "", "type": "", "url": ""}, {"id": "in_1", "type": [], "url": "https://evil.example"}),
)

# Bodies that are wrong as a text, whatever they would say.
TEXTS = (
    *(
        b"",
        b" ",
        b"null",
        b"true",
        b"0",
        b"[]",
        b"{}",
        b'""',
        b"nul",
        b"{",
        b"}",
        b'{"id":',
        b"\x00",
    ),
    *(b"NaN", b"-Infinity", b"[" * 60_000, b'{"a":' * 9_000, b"[" * 900 + b"]" * 900),
    *(
        b"9" * 5000,
        b"-" * 5000,
        b"1e999999",
        b'"\\ud800"',
        b'"\\u12"',
        b'"\\x41"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
    ),
    *(
        b'{"id":"evt_1","type":"invoice.paid","n":NaN}',
        b'{"id":"evt_1","type":"invoice.paid","n":-Infinity}',
    ),
    b'{"id":"evt_1","type":"invoice.paid","n":%b}' % (b"9" * 4000),
    b'{"id":"evt_1","type":"invoice.paid","n":%b}' % (b"9" * 5000),
    b'{"id":"evt_1","type":"invoice.paid","n":%b%b}' % (b"[" * 900, b"]" * 900),
    b'{"id":"evt_1","id":"evt_9","type":"customer.created","type":"invoice.paid"}',
    b'{"id":"evt_1","id":null,"type":"invoice.paid"}',
    b'{"id":"evt_1","type":"invoice.paid","\xff":"\xed\xa0\x80"}',
    *(
        '{"id":"evt_1","type":"invoice.paid"}'.encode(name)
        for name in ("utf-16", "utf-32", "utf-8-sig")
    ),
    b'{"id":"\\ud800","type":"\\udfff\\ud800","data":{"object":{"\\ud800":"\\ud800"}}}',
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    b"payload=%7B%7D&a[b]=c",
    b'{"type":"url_verification","challenge":"\\ud800\\r\\n"}',
    b'{"type":"url_verification","challenge":[NaN]}',
    b'{"event_id":"Ev1","event":{"type":"app_mention"}}',
)


def hostile_body(random: Random) -> bytes:
    """Return an event, spoilt in one of many ways or in none."""
    kind = random.random()
    if kind < 0.1:
        return random.choice(TEXTS)
    event = _snapshot() if kind < 0.7 else _thin()
    if random.random() < 0.5:
        event["id"] = f"evt_{random.getrandbits(40)}"
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        field = random.choice(FIELDS)
        if random.random() < 0.15:
            event.pop(field, None)
        else:
            event[field] = random.choice(VALUES)
    body = json.dumps(event).encode()
    if random.random() < 0.15:
        body = random.choice(SPOILERS)(random, body)
    return body


def _flip(random: Random, body: bytes) -> bytes:
    spoilt = bytearray(body)
    for _ in range(random.choice((1, 1, 3, 20))):
        if spoilt:
            spoilt[random.randrange(len(spoilt))] = random.getrandbits(8)
    return bytes(spoilt)


def _cut(random: Random, body: bytes) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _slip_in(random: Random, body: bytes) -> bytes:
    at = random.randrange(len(body) + 1)
    return body[:at] + random.choice(TEXTS[:20]) + body[at:]


def _double(random: Random, body: bytes) -> bytes:
    at, end = sorted((random.randrange(len(body) + 1), random.randrange(len(body) + 1)))
    return body[:end] + body[at:]


SPOILERS: tuple[Callable[[Random, bytes], bytes], ...] = (_flip, _cut, _slip_in, _double)


# --- headers ----------------------------------------------------------------------------


def sign(secret: str, time: str | int, body: bytes) -> str:
    """Sign as Stripe does; written anew, so that it shares no mistake with `hookloop.signing`."""
    return hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()


def hostile_headers(random: Random, body: bytes) -> Pairs:
    """Return headers, about half of which prove *body*."""
    headers: Pairs = [(b"host", b"example.com"), (b"content-type", b"application/json")]
    if random.random() < 0.9:
        length = b"%d" % len(body)
        headers.append(
            (b"content-length", length if random.random() < 0.93 else random.choice(LENGTHS))
        )
    proof = f"t={NOW},v1={sign(SECRETS[random.random() < 0.2], NOW, body)}".encode()
    if random.random() < 0.5:
        headers.append((b"stripe-signature", proof))
    else:
        headers += random.choice(PROOFS)(random, proof, body)
    if random.random() < 0.05:
        headers.append((random.choice(NAMES), random.choice(JUNK)))
    if random.random() < 0.05:
        random.shuffle(headers)
    return headers


LENGTHS = (
    *(
        b"",
        b"0",
        b"-1",
        b"+5",
        b"5_0",
        b"1e3",
        b" 7 ",
        b"9" * 5000,
        b"0x10",
        b"NaN",
        b"\xb2",
        b"\xd9\xa3",
    ),
    *(
        b"1,1",
        b"00000000000000000000000000000000001",
        b"18446744073709551616",
        b"\x00",
        b"64000, 1",
    ),
)
NAMES = (
    *(b"stripe-signature", b"Stripe-Signature", b"STRIPE-SIGNATURE", b"stripe_signature", b""),
    *(
        b"content-length",
        b"transfer-encoding",
        b"x" * 3000,
        b"\xff\xfe",
        b"\xc4\xb0tripe-signature",
    ),
)
JUNK = (
    *(
        b"",
        b",",
        b"=",
        b"t",
        b"t=",
        b"v1=",
        b",,,,",
        b"====",
        b"t=1",
        b"v1=" + b"0" * 64,
        b"\x00",
        b"\xff",
    ),
    *(
        b"\xe2\x82\xac",
        b"x" * 4096,
        b"x" * 70_000,
        b"t=1,v1=" * 500,
        b"v1=" + b"f" * 64 + b",t=" + b"9" * 400,
    ),
    *(
        b"t=1,t=2,v1=" + b"0" * 64,
        b"t=\xb2,v1=" + b"0" * 64,
        b"t=1,v1=" + b"\xe9" * 64,
        b"chunked",
        b"\r\nx: y",
    ),
    b"t=1800000000," + b",".join([b"v1=" + b"0" * 64] * 50),
)


def _absent(_random: Random, _proof: bytes, _body: bytes) -> Pairs:
    return []


def _junk(random: Random, _proof: bytes, _body: bytes) -> Pairs:
    return [(b"stripe-signature", random.choice(JUNK))]


def _random_bytes(random: Random, _proof: bytes, _body: bytes) -> Pairs:
    return [(b"stripe-signature", random.randbytes(random.choice((1, 8, 80, 300, 5000))))]


def _flipped(random: Random, proof: bytes, _body: bytes) -> Pairs:
    return [(b"stripe-signature", _flip(random, proof))]


def _doubled(random: Random, proof: bytes, _body: bytes) -> Pairs:
    return [(b"stripe-signature", proof), (random.choice(NAMES), random.choice((proof, *JUNK)))]


def _slipped(random: Random, proof: bytes, _body: bytes) -> Pairs:
    at = random.choice((0, proof.index(b","), len(proof), random.randrange(len(proof))))
    return [(b"stripe-signature", proof[:at] + random.choice(JUNK) + proof[at:])]


def _loose(random: Random, proof: bytes, _body: bytes) -> Pairs:
    spoil = random.choice((bytes.upper, bytes.swapcase, bytes.strip, bytes.title))
    loose = random.choice((b", ", b" ,", b",\t", b";", b",,", b",v0=1,", b",\xa0"))
    return [(b"stripe-signature", spoil(proof) if loose == b";" else proof.replace(b",", loose))]


def _other_time(random: Random, _proof: bytes, body: bytes) -> Pairs:
    """A true signature of another time, or of what only looks like one."""
    time = random.choice(TIMES)
    return [(b"stripe-signature", f"t={time},v1={sign(SECRETS[0], time, body)}".encode())]


TIMES = (
    *(
        NOW - 300,
        NOW - 301,
        NOW + 300,
        NOW + 301,
        0,
        -1,
        f"+{NOW}",
        f" {NOW}",
        f"{NOW}.0",
        f"0{NOW}",
    ),
    *(
        "",
        "9" * 12,
        "9" * 13,
        "9" * 4000,
        "1_800_000_000",
        "\u0661\u0668",
        "\u00b2",
        "NaN",
        "1e9",
        "0x6b49d200",
    ),
)


def _other_secret(random: Random, _proof: bytes, body: bytes) -> Pairs:
    secret = random.choice(("", "whsec_", "whsec_other", SECRETS[0][:-1], SECRETS[0].upper()))
    return [(b"stripe-signature", f"t={NOW},v1={sign(secret, NOW, body)}".encode())]


def _other_case(random: Random, proof: bytes, _body: bytes) -> Pairs:
    return [(random.choice(NAMES), proof)]


PROOFS: tuple[Callable[[Random, bytes, bytes], Pairs], ...] = (
    *(_absent, _junk, _random_bytes, _flipped, _doubled, _slipped, _loose),
    *(_other_time, _other_secret, _other_case),
)
