"""Webhook endpoints: the secret once, the URL checked, the events known, sixteen at most."""

import re
from typing import Any

import pytest
import stripe

from hookloop.sandbox.store import Changes

ENDPOINTS = "/v1/webhook_endpoints"
FORM = "url=http://localhost:3000/hook&enabled_events[]=*"


@pytest.fixture
def endpoint(call) -> dict[str, Any]:
    return call("POST", ENDPOINTS, FORM).body


def test_an_endpoint_has_the_official_shape(call):
    """Every field of the installed package's class but what only a deleted one has."""
    made = call("POST", ENDPOINTS, f"{FORM}&description=d&metadata[k]=v").body

    assert set(made) == set(stripe.WebhookEndpoint.__annotations__) - {"OBJECT_NAME", "deleted"}
    assert made["id"].startswith("we_1")
    assert (made["status"], made["description"], made["metadata"]) == ("enabled", "d", {"k": "v"})


def test_the_secret_is_told_once(call, endpoint):
    """In the answer to the creation and nowhere else."""
    path = f"{ENDPOINTS}/{endpoint['id']}"

    assert re.fullmatch(r"whsec_[0-9A-Za-z]{32}", endpoint["secret"])
    for answer in (
        call("GET", path).body,
        call("POST", path, "description=x").body,
        call("GET", ENDPOINTS).body["data"][0],
    ):
        assert answer["id"] == endpoint["id"]
        assert "secret" not in answer
        assert "connect" not in answer


@pytest.mark.parametrize(
    "url",
    ["http://localhost:3000/x", "https://example.com", "http://shop.tun.localhost:4400/hooks/1?a=b",
     "http://[::1]:80/", "http://10.0.0.1/"],
)  # fmt: skip
def test_any_http_url_is_welcome(call, url):
    """A sandbox exists to deliver to this machine."""
    assert call("POST", ENDPOINTS, f"url={url}&enabled_events[]=*").body["url"] == url


@pytest.mark.parametrize(
    "url", ["localhost:3000", "/hook", "ftp://example.com", "http://", "http://a:99999", "http://[x",
            "http://a%20b/", "http://a/%0Ab", "http://a:0/"],
)  # fmt: skip
def test_what_cannot_be_posted_to_is_refused(call, url):
    """When it is registered, rather than at every attempt."""
    answer = call("POST", ENDPOINTS, f"url={url}&enabled_events[]=*")

    assert (answer.status, answer.error["code"]) == (400, "url_invalid")


def test_an_unknown_event_type_is_refused(call):
    """A spelling mistake would be an endpoint that hears nothing."""
    answer = call("POST", ENDPOINTS, "url=http://a/&enabled_events[]=*&enabled_events[]=customer.x")

    assert answer.status == 400
    assert answer.error["param"] == "enabled_events[1]"
    assert "'customer.x' is not an event type" in answer.error["message"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("enabled_events[]=*", "parameter_missing"),
        ("url=http://a/", "parameter_missing"),
        ("url=http://a/&enabled_events=", "parameter_invalid_empty"),
        ("url=http://a/&enabled_events[]=*&api_version=2031-01-01", None),
    ],
)
def test_a_registration_that_lacks_something_is_refused(call, form, code):
    """What is required, and a version that exists."""
    answer = call("POST", ENDPOINTS, form)

    assert (answer.status, answer.error.get("code")) == (400, code)


def test_an_endpoint_can_be_changed(call, endpoint):
    """Each part of it, and no event tells of it."""
    path = f"{ENDPOINTS}/{endpoint['id']}"
    form = (
        "url=http://b/&enabled_events[]=customer.created&enabled_events[]=customer.created"
        "&disabled=true&description=d&metadata[k]=v"
    )

    changed = call("POST", path, form).body

    assert changed["url"] == "http://b/"
    assert changed["enabled_events"] == ["customer.created"]
    assert (changed["status"], changed["description"]) == ("disabled", "d")
    assert call("POST", path, "disabled=false").body["status"] == "enabled"
    assert call.events() == []


def test_a_deleted_endpoint_is_gone(call, endpoint):
    """Unlike a customer: 404 from then on."""
    path = f"{ENDPOINTS}/{endpoint['id']}"
    gone = {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}

    assert call("DELETE", path).body == gone
    assert call("GET", path).error["message"] == f"No such webhook endpoint: '{endpoint['id']}'"
    assert call("GET", ENDPOINTS).body["data"] == []


def test_sixteen_are_the_most(call):
    """Stripe's bound; one may be put in a deleted one's place."""
    made = [call("POST", ENDPOINTS, FORM).body["id"] for _ in range(16)]

    assert "maximum of 16" in call("POST", ENDPOINTS, FORM).error["message"]
    call("DELETE", f"{ENDPOINTS}/{made[0]}")
    assert call("POST", ENDPOINTS, FORM).status == 200


def owed(call, form: str) -> int:
    call("POST", ENDPOINTS, form)
    return len(call("POST", "/v1/customers").owed)


@pytest.mark.parametrize(
    ("form", "count"),
    [
        ("url=http://a/&enabled_events[]=*", 1),
        ("url=http://a/&enabled_events[]=customer.created", 1),
        ("url=http://a/&enabled_events[]=customer.updated", 0),
        ("url=http://a/&enabled_events[]=*&connect=true", 0),
    ],
)
def test_an_event_is_owed_to_those_who_asked_for_it(call, form, count):
    """By type; endpoints of connected accounts hear nothing of one's own."""
    assert owed(call, form) == count


@pytest.mark.parametrize("end", ["disable", "delete"])
def test_what_is_pending_for_an_endpoint_ends_with_it(call, endpoint, end):
    """It is given up, and counts as pending no more."""
    call("POST", "/v1/customers")
    assert call.events()[0]["pending_webhooks"] == 1
    path = f"{ENDPOINTS}/{endpoint['id']}"

    answer = call("DELETE", path) if end == "delete" else call("POST", path, "disabled=true")

    assert answer.owed in ((), [])
    assert call.events()[0]["pending_webhooks"] == 0
    assert call("POST", "/v1/customers").owed == ()


def test_a_rolled_secret_is_told_once(call, endpoint):
    """In the answer to the roll; the old one is told to nobody."""
    path = f"{ENDPOINTS}/{endpoint['id']}"
    rolled = call("POST", f"{path}/roll_secret", "expires_in=3600")

    assert rolled.status == 200
    assert rolled.body["secret"] != endpoint["secret"]
    assert "secret" not in call("GET", path).body
    kept = rolled.store.find("webhook_endpoint", endpoint["id"])
    assert (kept["old_secret"], kept["old_secret_until"]) == (endpoint["secret"], call.now + 3600)
    assert not {"old_secret", "old_secret_until", "failing_since"} & set(rolled.body)


@pytest.mark.parametrize("span", ["-1", "86401", "soon"])
def test_both_secrets_sign_for_a_day_at_most(call, endpoint, span):
    answer = call("POST", f"{ENDPOINTS}/{endpoint['id']}/roll_secret", f"expires_in={span}")

    assert (answer.status, answer.error["param"]) == (400, "expires_in")


def test_a_sample_is_owed_and_is_no_event(call, endpoint):
    """The API knows nothing of it, as Stripe's does not: handlers that fetch it get a 404."""
    path = f"{ENDPOINTS}/{endpoint['id']}/send_sample"
    answer = call("POST", path, "type=customer.created")

    assert answer.status == 200
    assert [one.event_id for one in answer.owed] == ["evt_00000000000000"]
    assert answer.body["data"]["object"]["id"] == "cus_00000000000000"
    assert call("GET", "/v1/events/evt_00000000000000").status == 404
    assert call("GET", "/v1/events").body["data"] == []


def test_a_sample_of_a_type_nobody_has_is_refused(call, endpoint):
    path = f"{ENDPOINTS}/{endpoint['id']}/send_sample"

    assert call("POST", path, "type=customer.exploded").status == 400
    assert call("POST", path).error["param"] == "type"
    assert call("POST", f"{ENDPOINTS}/we_1/send_sample", "type=customer.created").status == 404


def test_what_an_endpoint_was_owed_is_listed_newest_first(call, endpoint):
    """By state, and no more than asked for."""
    path = f"{ENDPOINTS}/{endpoint['id']}/deliveries"
    for name in "abc":
        call("POST", "/v1/customers", f"name={name}")
    newest = call.events()[-1]["id"]

    page = call("GET", path, "limit=2").body
    assert [one["state"] for one in page["data"]] == ["pending", "pending"]
    assert page["has_more"]
    assert page["data"][0]["event"] == newest
    assert len(call("GET", path, "state=pending").body["data"]) == 3
    assert call("GET", path, "state=delivered").body["data"] == []
    assert call("GET", path, "state=lost").status == 400


def test_a_disabled_endpoint_begins_anew_when_it_is_enabled(call, endpoint):
    """Its old failures do not disable it again at once."""
    path = f"{ENDPOINTS}/{endpoint['id']}"
    store = call("GET", path).store
    failing = {**store.find("webhook_endpoint", endpoint["id"]), "failing_since": 1.0}
    store.commit(Changes([("webhook_endpoint", failing)]), now=call.now)

    call("POST", path, "disabled=true")
    call("POST", path, "disabled=false")

    assert store.find("webhook_endpoint", endpoint["id"])["failing_since"] is None
