"""`Event.fetch` through the `stripe` package's own client, with an API of our own in its place."""

import asyncio
import json

import pytest
import stripe

from hookloop import Event
from hookloop.events.event import read_stripe_event
from hookloop.testing import make, make_thin


class FakeApi(stripe.HTTPClient):
    """Answers every request with one object; keeps what it was asked, and for whom."""

    name = "fake"

    def __init__(self, body: dict) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, str | None]] = []
        self._answer = (json.dumps(body).encode(), 200, {})

    def request(self, method, url, headers, post_data=None, **_):
        whom = headers.get("Stripe-Account") or headers.get("Stripe-Context")
        self.asked.append((method, url, whom))
        return self._answer

    async def request_async(self, method, url, headers, post_data=None, **_):
        return self.request(method, url, headers)

    def close(self) -> None: ...

    async def close_async(self) -> None: ...


def event_of(payload: dict) -> Event:
    return read_stripe_event(json.dumps(payload).encode(), payload)


def fetched(event: Event, client: stripe.StripeClient, kind: str):
    if kind == "sync":
        return event.fetch(client=client)
    return asyncio.run(event.afetch(client=client))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_snapshot_event_s_object_as_it_is_now(kind: str):
    """Its class, its account, and the name it has by now."""
    payload = make("customer.updated", name="Then", account="acct_1")
    now = {**payload["data"]["object"], "name": "Now"}
    api = FakeApi(now)
    client = stripe.StripeClient("sk_test_1", http_client=api)

    found = fetched(event_of(payload), client, kind)

    assert isinstance(found, stripe.Customer)
    assert found.name == "Now"
    url = f"https://api.stripe.com/v1/customers/{now['id']}"
    assert api.asked == [("get", url, "acct_1")]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_thin_event_s_object(kind: str):
    """What it only names."""
    snapshot = make("invoice.paid")
    invoice = snapshot["data"]["object"]
    event = event_of(make_thin("v1.invoice.paid", twin=snapshot, context="acct_2"))
    api = FakeApi(invoice)
    client = stripe.StripeClient("sk_test_1", http_client=api)

    found = fetched(event, client, kind)

    assert isinstance(found, stripe.Invoice)
    assert found.id == invoice["id"]
    assert api.asked == [("get", f"https://api.stripe.com/v1/invoices/{invoice['id']}", "acct_2")]
