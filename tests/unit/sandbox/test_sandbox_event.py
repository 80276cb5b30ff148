"""Events: listed, filtered, kept for thirty days, counted until they are taken."""

import pytest
import stripe

from hookloop.sandbox.delivery import attempted
from hookloop.sandbox.memory import EVENTS_MAX
from hookloop.sandbox.store import Changes
from hookloop.schedule import STRIPE_TEST

EVENTS = "/v1/events"
DAY = 24 * 3600


@pytest.fixture
def three(call) -> list[str]:
    """A customer's life, oldest event first."""
    for method, path in (
        ("POST", "/v1/customers"),
        ("POST", "/v1/customers/cus_1"),
        ("DELETE", "/v1/customers/cus_1"),
    ):
        call.now += 1
        call(
            method, path, "id=cus_1" if path == "/v1/customers" else "name=Ada" * (method == "POST")
        )
    return [event["id"] for event in call.events()]


def test_an_event_has_the_official_shape(call, three):
    """What the installed package's class has; an account and a context are for Connect."""
    event = call("GET", f"{EVENTS}/{three[1]}").body

    annotations = set(stripe.Event.__annotations__) - {"OBJECT_NAME", "account", "context"}
    assert set(event) == annotations
    assert event["api_version"] == "2026-10-28.endive"
    assert event["created"] == 1_800_000_002
    assert event["livemode"] is False
    assert event["id"].startswith("evt_1")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", [2, 1, 0]),
        ("type=customer.updated", [1]),
        ("type=customer.*", [2, 1, 0]),
        ("type=*.deleted", [2]),
        ("type=customer.?pdated", []),
        ("type=customer", []),
        ("types[]=customer.created&types[]=customer.deleted", [2, 0]),
        ("created[gte]=1800000002", [2, 1]),
        ("limit=1", [2]),
        ("delivery_success=true", [2, 1, 0]),
        ("delivery_success=false", []),
    ],
)
def test_a_list_is_filtered(call, three, query, wanted):
    """By type with a star, by several types, by time and by delivery."""
    found = [event["id"] for event in call("GET", EVENTS, query).body["data"]]

    assert found == [three[number] for number in wanted]


def test_one_type_or_several(call):
    """Not both, as at Stripe."""
    answer = call("GET", EVENTS, "type=a&types[]=b")

    assert answer.error["code"] == "parameters_exclusive"


def test_pending_webhooks_counts_who_has_yet_to_take_it(call):
    """And delivery_success follows."""
    for path in "ab":
        form = f"url=http://{path}/&enabled_events[]=*"
        call("POST", "/v1/webhook_endpoints", form)
    answer = call("POST", "/v1/customers")
    assert call.events()[0]["pending_webhooks"] == 2
    assert call("GET", EVENTS, "delivery_success=false").body["data"]

    for delivery in answer.owed:
        done = attempted(
            delivery,
            STRIPE_TEST,
            started=call.now,
            duration_seconds=0.1,
            status=200,
            error=None,
            excerpt="",
        )
        answer.store.commit(Changes(deliveries=[done]), now=call.now)

    assert call.events()[0]["pending_webhooks"] == 0
    assert call("GET", EVENTS, "delivery_success=true").body["data"]


def test_events_are_forgotten_after_thirty_days(call, three):
    """Neither listed nor found, though nothing was written since."""
    call.now += 30 * DAY + 1

    assert call.events() == []
    assert call("GET", f"{EVENTS}/{three[0]}").error["message"] == f"No such event: '{three[0]}'"


def test_the_number_of_events_is_bounded(call, monkeypatch):
    """The oldest go first, and their deliveries with them."""
    assert EVENTS_MAX >= 100_000
    monkeypatch.setattr("hookloop.sandbox.memory.EVENTS_MAX", 2)
    call("POST", "/v1/webhook_endpoints", "url=http://a/&enabled_events[]=*")
    first = call("POST", "/v1/customers")

    call("POST", "/v1/customers")
    call("POST", "/v1/customers")

    assert len(call.events()) == 2
    assert first.store.deliveries_of(first.owed[0].event_id) == []
    assert len(first.store.pending_for(first.owed[0].endpoint_id)) == 2
