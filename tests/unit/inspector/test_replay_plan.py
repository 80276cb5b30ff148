"""What an order of replays sends, and when."""

import json
import random

import pytest
import stripe

from hookloop.errors import ConfigError
from hookloop.exchange import RequestHead
from hookloop.inspector.captured import Captured, CapturedBody
from hookloop.inspector.replay_plan import SHOTS_MAX, Edits, Faults, ReplayOrder, plan
from hookloop.inspector.webhook_facts import webhook_facts
from hookloop.inspector.webhook_signature import KnownSecret
from hookloop.testing import sign

NOW = 2_000_000_000.0
SECRET = KnownSecret("stripe", "whsec_a")


def captured(number=1, type_="invoice.paid", *, kept=None, body=None):
    if body is None:
        body = json.dumps({"id": f"evt_{number}", "object": "event", "type": type_}).encode()
    signed = sign(body, "whsec_a", signed_at=NOW - 7 * 86400)
    headers = ((b"Host", b"app"), *((k.encode(), v.encode()) for k, v in signed.headers))
    head = RequestHead(b"POST", b"/hooks?x=1", headers)
    whole = CapturedBody(body, len(body), _digest(body))
    return Captured(
        id=f"cap_{number}",
        tunnel="shop",
        started_at=NOW - 7 * 86400,
        request=head,
        request_body=kept or whole,
        webhook=webhook_facts(head, body),
    )


def _digest(data):
    from hashlib import sha256

    return sha256(data).digest()


def planned(kept, order=None, secrets=(SECRET,)):
    return plan(kept, order or ReplayOrder(), secrets, now=NOW, random=random.Random(1).random)


def test_as_captured_is_bit_for_bit():
    """Head and body as they came, in the order given, at a rate."""
    kept = [captured(1), captured(2), captured(3)]

    shots = planned(kept, ReplayOrder(rate=2.0))

    assert [(shot.origin, shot.after) for shot in shots] == [
        ("cap_1", 0.0),
        ("cap_2", 0.5),
        ("cap_3", 1.0),
    ]
    assert shots[0].head == kept[0].request
    assert shots[0].body == kept[0].request_body.data
    assert shots[0].note == ""


def test_signed_again_is_accepted_when_it_is_sent():
    """Each for its own moment, and after its edits."""
    order = ReplayOrder(resign=True, edits=Edits(body=b'{"id": "evt_9"}'), rate=0.001)

    shots = planned([captured(1), captured(2)], order)

    for shot in shots:
        header = shot.head.get(b"stripe-signature").decode()
        assert header.startswith(f"t={int(NOW + shot.after)},")
        stripe.WebhookSignature.verify_header(shot.body.decode(), header, "whsec_a", None)
    assert shots[1].after == 1000.0
    assert shots[0].note == "edited, signed again"


def test_edits_change_what_they_name():
    """And the length that the body now has."""
    edits = Edits(
        method=b"PUT",
        target=b"/other",
        set_headers=((b"user-agent", b"me"), (b"X-New", b"1")),
        remove_headers=(b"accept",),
        body=b"{}",
    )

    (shot,) = planned([captured()], ReplayOrder(edits=edits))

    assert (shot.head.method, shot.head.target, shot.body) == (b"PUT", b"/other", b"{}")
    fields = dict(shot.head.headers)
    assert fields[b"User-Agent"] == b"me"
    assert fields[b"X-New"] == b"1"
    assert fields[b"Content-Length"] == b"2"
    assert b"Accept" not in fields


@pytest.mark.parametrize(
    "edits",
    [
        {"method": b"PO ST"},
        {"method": b""},
        {"target": b"other"},
        {"target": b"/a b"},
        {"target": b"/\r\nX: 1"},
        {"set_headers": ((b"X\r\nY", b"1"),)},
        {"set_headers": ((b"X", b"1\r\nY: 2"),)},
        {"all_headers": ((b"", b"1"),)},
    ],
)
def test_what_is_no_http_is_refused(edits):
    """A form is filled in by hand, and must not split a request."""
    with pytest.raises(ConfigError):
        Edits(**edits)


def test_faults_are_by_event():
    """Those of the type named; the others go as they came."""
    kept = [captured(1, "customer.created"), captured(2, "invoice.paid")]
    faults = Faults(copies=2, delay_seconds=5.0, corrupt=True, event_types=("invoice.*",))

    shots = planned(kept, ReplayOrder(faults=faults, rate=10.0))

    assert [shot.origin for shot in shots] == ["cap_1", "cap_2", "cap_2"]
    assert [round(shot.after, 1) for shot in shots] == [0.0, 5.1, 5.2]
    assert shots[0].head == kept[0].request
    for shot in shots[1:]:
        header = shot.head.get(b"stripe-signature").decode()
        assert header != kept[1].request.get(b"stripe-signature").decode()
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(shot.body.decode(), header, "whsec_a", None)
    assert shots[1].note == "one of 2, 5 s late, bad signature"


@pytest.mark.parametrize("seed", range(20))
def test_reordered_is_never_the_same_order(seed):
    """Two of them always change places, and nothing else does."""
    kept = [captured(1), captured(2, "a.b"), captured(3)]
    order = ReplayOrder(faults=Faults(reorder=True, event_types=("invoice.paid",)))

    shots = plan(kept, order, (), now=NOW, random=random.Random(seed).random)

    assert [shot.origin for shot in shots] == ["cap_3", "cap_2", "cap_1"]


def test_a_body_that_is_not_what_came_is_not_sent():
    """Cut off, or with a secret taken out; with another body in its place it is."""
    cut = captured(kept=CapturedBody(b"{", 100, b"\0" * 32))

    with pytest.raises(ConfigError, match="too long"):
        planned([cut])
    assert planned([cut], ReplayOrder(edits=Edits(body=b"{}")))[0].body == b"{}"


def test_one_order_has_a_bound():
    """A query can find a hundred thousand."""
    kept = [captured()] * (SHOTS_MAX // 10 + 1)

    with pytest.raises(ConfigError, match="Narrow it"):
        planned(kept, ReplayOrder(faults=Faults(copies=10)))


@pytest.mark.parametrize("order", [{"rate": 0}, {"rate": 1e9}, {"rate": float("nan")}])
def test_a_rate_has_bounds(order):
    """No load test by a slip of the finger."""
    with pytest.raises(ConfigError):
        ReplayOrder(**order)
