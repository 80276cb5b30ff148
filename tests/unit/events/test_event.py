"""What a handler is given."""

import copy
import json
import pickle

import pytest
import stripe

from hookloop import ConfigError, Event, Hooks
from hookloop.events.event import PLACEHOLDER_ID, PayloadError, read_payload, read_stripe_event
from hookloop.testing import make, make_thin, send

PAYLOAD = {
    **make("customer.updated", id="evt_1", created=1_750_000_000, previous={"name": "Old"}),
    "account": "acct_1",
    "request": {"id": "req_1", "idempotency_key": "key_1"},
}


def read(payload: dict) -> Event:
    return read_stripe_event(json.dumps(payload).encode(), payload, secret_label="live")


EVENT = read(PAYLOAD)


def test_its_fields_are_those_of_the_payload():
    """Under the names of Stripe's API."""
    assert (EVENT.id, EVENT.type, EVENT.created) == ("evt_1", "customer.updated", 1_750_000_000)
    assert (EVENT.account, EVENT.livemode, EVENT.api_version) == (
        "acct_1", False, stripe.api_version,
    )  # fmt: skip
    assert (EVENT.request_id, EVENT.request_idempotency_key) == ("req_1", "key_1")
    assert EVENT.previous == {"name": "Old"}
    assert EVENT.data["object"]["object"] == "customer"
    assert EVENT.secret_label == "live"
    assert (EVENT.is_thin, EVENT.context, EVENT.related, EVENT.twin_id) == (False, None, None, None)


def test_fields_that_are_missing_or_odd_are_empty():
    """Nothing a payload holds makes an attribute raise."""
    event = read({"id": "e", "type": "t", "created": True, "data": [], "request": 5, "account": 7})

    assert (event.created, event.data, event.previous, event.account) == (0, {}, {}, None)
    assert (event.request_id, event.request_idempotency_key, event.api_version) == (
        None,
        None,
        None,
    )


def test_an_old_event_s_request_is_an_id_alone():
    """API versions before 2017-05-25."""
    assert read({**PAYLOAD, "request": "req_9"}).request_id == "req_9"


def test_a_thin_event_names_its_object():
    """And its time is told in Unix seconds, as everyone's."""
    payload = make_thin("v1.invoice.paid", created=1_750_000_000, context="acct_2")
    event = read(payload)

    assert event.is_thin
    assert (event.created, event.context) == (1_750_000_000, "acct_2")
    assert event.related.type == "invoice"
    assert event.related.url == f"/v1/invoices/{event.related.id}"
    assert event.request_id.startswith("req_")


@pytest.mark.parametrize("created", ["yesterday", "", None, [], "2026-13-01T00:00:00Z"])
def test_a_time_that_cannot_be_read_is_zero(created):
    """It is signed, and still no reason to fail."""
    assert read({"id": "e", "type": "t", "created": created}).created == 0


def test_the_object_is_the_package_s_own_class():
    """Built once, when it is asked for."""
    assert isinstance(EVENT.object, stripe.Customer)
    assert EVENT.object is EVENT.object
    assert isinstance(EVENT.sdk, stripe.Event)


def test_a_thin_event_has_no_object_and_says_what_to_do():
    """fetch() gets it."""
    with pytest.raises(ConfigError, match="fetch"):
        _ = read(make_thin("v1.invoice.paid")).object


def test_an_event_cannot_be_changed():
    """Handlers share it."""
    with pytest.raises(AttributeError, match="fact"):
        EVENT.id = "evt_2"


def test_an_event_can_be_pickled_and_copied_without_its_client():
    """For task queues; a client holds an API key."""
    event = read_stripe_event(b"{}", PAYLOAD, client=object())
    _ = event.object

    for again in (pickle.loads(pickle.dumps(event)), copy.copy(event), copy.deepcopy(event)):
        assert again == event
        assert again.data == event.data
        assert hash(again) == hash(event)


def test_an_event_is_a_plain_value():
    """JSON, get and [] work, unlike on the package's own since version 15."""
    assert json.loads(json.dumps(EVENT.to_dict())) == PAYLOAD
    assert EVENT.get("id") == EVENT["id"] == "evt_1"
    assert EVENT.get("absent", 1) == 1
    assert EVENT != "evt_1"


def test_the_repr_shows_no_payload():
    """It is safe to log."""
    assert repr(EVENT) == "<Event evt_1 customer.updated>"
    related = read(make_thin("v1.invoice.paid")).related
    assert repr(related).startswith("<Related invoice in_")


def test_twins_have_one_key_and_accounts_have_their_own():
    """What tells a duplicate."""
    snapshot = make("invoice.paid")
    twin = make_thin("v1.invoice.paid", twin=snapshot)

    assert read(snapshot).key == read(twin).key
    assert read({**snapshot, "account": "acct_1"}).key != read(snapshot).key
    assert read({**snapshot, "livemode": True}).key != read(snapshot).key


def test_the_dashboard_s_test_events_share_an_id_and_each_runs():
    """Its button would otherwise work once."""
    hooks, seen = Hooks("whsec_x"), []
    hooks.on_any(lambda event: seen.append(event.is_placeholder))
    event = make("customer.updated", id=PLACEHOLDER_ID)

    for _ in range(2):
        assert send(hooks, event, secret="whsec_x").outcome == "handled"

    assert seen == [True, True]


class Api:
    """The little of `stripe.StripeClient` that fetching needs."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    def raw_request(self, method, url, **how):
        self.asked.append((method, url, how))
        return url

    async def raw_request_async(self, method, url, **how):
        return self.raw_request(method, url, **how)

    def deserialize(self, response, *, api_mode):
        return (response, api_mode)


def test_fetch_gets_the_object_as_it_is_now():
    """On behalf of the account it belongs to."""
    api = Api()
    customer = EVENT.data["object"]["id"]

    assert EVENT.fetch(client=api) == (f"/v1/customers/{customer}", "V1")
    assert api.asked == [("get", f"/v1/customers/{customer}", {"stripe_account": "acct_1"})]


async def fetched(event: Event, api: Api):
    return await event.afetch(client=api)


def test_fetch_of_a_thin_event_follows_its_url():
    """In the context it comes from; V2 has an encoding of its own."""
    import asyncio

    api = Api()
    event = read(make_thin("v1.invoice.paid", context="acct_2"))

    assert asyncio.run(fetched(event, api)) == (event.related.url, "V1")
    assert api.asked == [("get", event.related.url, {"stripe_context": "acct_2"})]


def test_the_client_of_the_hooks_is_the_one_that_fetches():
    """Configured once."""
    api, found = Api(), []
    hooks = Hooks("whsec_x", client=api)
    hooks.on("v1.invoice.paid")(lambda event: found.append(event.fetch()))

    send(hooks, make_thin("v1.invoice.paid"), secret="whsec_x")

    assert found[0][1] == "V1"


def test_fetch_without_any_key_says_what_to_set(monkeypatch):
    """Not an authentication error of the API's."""
    monkeypatch.setattr(stripe, "api_key", None)

    with pytest.raises(ConfigError, match="client"):
        EVENT.fetch()


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"1", b"NaN", b'{"a": Infinity}', b"\xff", b"[" * 99_999]
)
def test_what_is_no_json_object_is_a_payload_error(raw: bytes):
    """And nothing else, whatever the bytes."""
    with pytest.raises(PayloadError):
        read_payload(raw)
