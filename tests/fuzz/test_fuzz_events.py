"""No request, however hostile, makes a face of the handler library raise or say too much."""

import asyncio
import json
from random import Random

import pytest
from fuzz_events import ANSWERS, Fuzz, run
from hostile import NOW, SECRETS, Hostile, hostile_request, sign
from hypothesis import given, settings
from hypothesis import strategies as st

# What is never said here: an event is not sent twice at once, and no handler fails.
REACHED = {*ANSWERS, "gone"}


def test_fifty_thousand_hostile_requests():
    """The law holds, and every answer the library has for them is among those given."""
    outcomes = run(50_000, seed=0)

    assert set(outcomes) == REACHED
    assert outcomes["handled"] > 3_000


@pytest.mark.slow
def test_a_million_hostile_requests():
    """The same law, for `make test-all`: other seeds, twenty times as many."""
    outcomes = run(1_000_000, seed=1_000_000)

    assert set(outcomes) == REACHED


# --- the same law, with Hypothesis to make a failure small ------------------------------

METHODS = st.sampled_from(["POST", "GET", "\u20ac"])
NAMES = st.sampled_from([b"stripe-signature", b"content-length", b"host"]) | st.binary(max_size=20)
PIECES = st.sampled_from(
    [b"t=", b"v1=", b",", b"=", b" ", b"0" * 64, b"%d" % NOW, b"\xff", b"\x00"]
)
VALUES = st.binary(max_size=80) | st.lists(PIECES, max_size=8).map(b"".join)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *("id", "type", "object", "created", "livemode", "account", "context", "api_version"),
        *("request", "reason", "data", "related_object", "snapshot_event"),
    ]
)
TYPES = st.sampled_from(["invoice.paid", "v1.invoice.paid", "issuing_authorization.request"])
EVENTS = st.fixed_dictionaries({"id": st.text(), "type": TYPES | st.text()}) | st.dictionaries(
    FIELDS, JSON
)
SEEDS = st.integers(0, 2**32)


def hold_the_law(request: Hostile, seed: int) -> None:
    asyncio.run(Fuzz().send(request, Random(seed)))


@given(method=METHODS, headers=HEADERS, body=st.binary(), seed=SEEDS)
@settings(max_examples=200)
def test_any_headers_and_bytes(method, headers, body, seed):
    """Whoever can reach the URL can send these."""
    hold_the_law(Hostile(method, "/", headers, body), seed)


@given(event=EVENTS, headers=HEADERS, seed=SEEDS)
@settings(max_examples=200)
def test_any_json_under_a_valid_signature(event, headers, seed):
    """A sender whose events we do not understand is refused or ignored like any other."""

    body = json.dumps(event).encode()
    proof = f"t={NOW},v1={sign(SECRETS[0], NOW, body)}".encode()

    hold_the_law(Hostile("POST", "/", [(b"stripe-signature", proof), *headers], body), seed)


@given(seed=SEEDS)
@settings(max_examples=20)
def test_a_seed_makes_the_same_request_again(seed):
    """So the seed that a failure names is all one needs."""

    assert repr(hostile_request(Random(seed))) == repr(hostile_request(Random(seed)))
