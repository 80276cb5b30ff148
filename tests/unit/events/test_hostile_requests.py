"""
Whatever bytes a stranger sends, the answer is one of a few, and no exception.

50,000 requests here; a million where the slow tests run. Half of them start from a good
request and change a little: random bytes alone never come past the first check.
"""

import logging
from random import Random

import pytest

from hookloop import Hooks
from hookloop.signing import stripe_signature_header
from hookloop.testing import ManualClock, make, sign

SECRET = "whsec_x"
NOW = 1_750_000_000
GOOD = sign(make("customer.updated", id="evt_1"), SECRET, signed_at=NOW)
HEADER = GOOD.header("stripe-signature") or ""

PIECES = [
    "t=", "v1=", "v0=", ",", "=", " ", "\t", "t", "v1", "é", "\x00", "²", "٣", "-1", "+1", "1e9",
    "0x10", "9" * 13, "9" * 5000, str(NOW), "f" * 64, "F" * 64, "f" * 63, "whsec_", "\udcff",
    HEADER,
]  # fmt: skip
BODIES = [
    b"", b"{", b"[]", b"null", b"NaN", b"\xff", b"\x00", b'{"id":1}', b"[" * 5000,
    b'{"id":"e","type":"t"}', b"x" * 9000,
    b'{"id":"e","type":"t","request":[],"data":5,"created":{},"account":[],"livemode":2}',
    b'{"id":"e","type":"t","object":"v2.core.event","related_object":7,"created":"x"}',
    b'{"id":"' + b"a" * 5000 + b'","type":"customer.updated"}', b'{"id":"e","type":"\\ud800"}',
    b'{"id":"e","type":"t","n":' + b"9" * 5000 + b"}", GOOD.body,
]  # fmt: skip
EXPECTED = {
    (200, "handled"), (200, "ignored"), (200, "duplicate"), (400, "invalid_signature"),
    (400, "invalid_payload"), (405, "method_not_allowed"), (413, "body_too_large"),
    (500, "raw_body_unavailable"),
}  # fmt: skip


@pytest.fixture(scope="module")
def hooks() -> Hooks:
    hooks = Hooks([SECRET, "whsec_old"], clock=ManualClock(NOW), body_bytes_max=8000)
    hooks.on("customer.updated")(read_everything)
    hooks.on_prefix("t")(read_everything)
    return hooks


@pytest.fixture(autouse=True)
def _quiet(caplog) -> None:
    caplog.set_level(logging.CRITICAL, logger="hookloop")


def read_everything(event) -> None:
    """A handler that looks at every field: none may raise."""
    _ = (
        event.created, event.livemode, event.account, event.context, event.api_version,
        event.request_id, event.idempotency_key, event.data, event.previous, event.related,
        event.twin_id, event.key, repr(event), hash(event),
    )  # fmt: skip


def mutated(text: str, random: Random) -> str:
    for _ in range(random.randrange(3)):
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(PIECES) + text[at + random.randrange(4) :]
    return text


def made(random: Random) -> tuple[bytes, object]:
    """Return a body and headers, in any of the forms a face may hand them over in."""
    body = random.choice(BODIES)
    if random.random() < 0.3:
        body = random.randbytes(random.randrange(60))
    kind = random.random()
    if kind < 0.4:  # signed well, so that the body is looked into
        header = stripe_signature_header(body, [SECRET], signed_at=NOW)
    elif kind < 0.8:
        header = mutated(HEADER, random)
    else:
        header = "".join(random.choices(PIECES, k=random.randrange(6)))
    name = random.choice(["Stripe-Signature", "stripe-signature", "STRIPE-SIGNATURE"])
    length = random.choice(["", "0", str(len(body)), "-1", "²", "9" * 5000, "1, 2"])
    pairs = [(name, header), ("Content-Length", length)]
    form = random.randrange(4)
    if form == 0:
        return body, dict(pairs)
    if form == 1:
        return body, iter(pairs)
    encoded = [
        (key.lower().encode(), value.encode("utf-8", "surrogateescape")) for key, value in pairs
    ]
    return body, encoded * (form - 1)


def bombard(hooks: Hooks, count: int, seed: int) -> set[tuple[int, str]]:
    random = Random(seed)
    answers = set()
    for _ in range(count):
        body, headers = made(random)
        method = "POST" if random.random() < 0.98 else random.choice(["GET", "", "post", "é" * 99])
        result = hooks.receive(body, headers, method=method)
        answers.add((result.status, result.outcome))
    return answers


def test_50_000_hostile_requests_raise_nothing(hooks: Hooks):
    """And every kind of answer is among theirs: the fuzz reaches all of it."""
    assert bombard(hooks, 50_000, seed=1) == EXPECTED


@pytest.mark.slow
def test_a_million_hostile_requests_raise_nothing(hooks: Hooks):
    """Another seed for each hundred thousand."""
    for seed in range(10):
        assert bombard(hooks, 100_000, seed=100 + seed) <= EXPECTED
