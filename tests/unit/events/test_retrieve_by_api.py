"""Retrieve mode through the `stripe` package, with an API of our own in its place."""

import json

import pytest
import stripe

from hookloop import Hooks
from hookloop.testing import SignedRequest, make, send

EVENT = make("customer.updated", id="evt_1")


class FakeApi(stripe.HTTPClient):
    """Answers as api.stripe.com does; what it was asked is kept."""

    name = "fake"

    def __init__(self, status: int, body: dict) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._answer = (json.dumps(body).encode(), status, {})

    def request(self, method, url, headers, post_data=None, **_):
        self.asked.append(f"{method} {url}")
        return self._answer

    def close(self) -> None: ...


def client(status: int, body: dict) -> tuple[stripe.StripeClient, FakeApi]:
    api = FakeApi(status, body)
    return stripe.StripeClient("sk_test_1", http_client=api, max_network_retries=0), api


def unsigned(payload: dict) -> SignedRequest:
    return SignedRequest(json.dumps(payload).encode(), [])


def test_the_event_is_fetched_by_its_id():
    """One request, and what it gives is the event."""
    through, api = client(200, EVENT)
    hooks, seen = Hooks(verify="retrieve", client=through), []
    hooks.on("customer.updated")(lambda event: seen.append(event.id))

    assert send(hooks, unsigned({"id": "evt_1"})).outcome == "handled"
    assert seen == ["evt_1"]
    assert api.asked == ["get https://api.stripe.com/v1/events/evt_1"]


def test_an_event_the_api_does_not_know_is_401():
    """As the dashboard's test event is."""
    error = {"error": {"type": "invalid_request_error", "message": "No such event"}}
    through, _ = client(404, error)

    answer = send(Hooks(verify="retrieve", client=through), unsigned({"id": "evt_00000000000000"}))

    assert (answer.status, answer.outcome) == (401, "unknown_event")


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_any_other_trouble_of_the_api_is_503(status: int):
    """Ours to mend, and the event comes again."""
    error = {"error": {"type": "api_error", "message": "no"}}
    through, _ = client(status, error)

    answer = send(Hooks(verify="retrieve", client=through), unsigned({"id": "evt_1"}))

    assert (answer.status, answer.outcome) == (503, "unavailable")


@pytest.mark.parametrize(
    "id_", ["", 1, None, "evt_../charges", "evt_1?x", "cus_1", "evt_" + "a" * 300]
)
def test_an_id_that_could_lead_elsewhere_is_never_asked_for(id_):
    """The sender would choose the path of our request."""
    through, api = client(200, EVENT)

    answer = send(Hooks(verify="retrieve", client=through), unsigned({"id": id_}))

    assert (answer.status, api.asked) == (400, [])


def test_a_retrieve_of_ours_that_returns_something_else_is_500():
    """A stripe.Event is no dict since version 15."""
    hooks = Hooks(verify="retrieve", retrieve=lambda id_: "evt_1")

    assert send(hooks, unsigned({"id": "evt_1"})).outcome == "failed"


def test_an_async_retrieve_works_on_every_face():
    """As any callable of the user's."""

    async def retrieve(id_: str) -> dict:
        return {**EVENT, "id": id_}

    hooks = Hooks(verify="retrieve", retrieve=retrieve)
    hooks.on_any(lambda event: None)

    assert send(hooks, unsigned({"id": "evt_1"})).outcome == "handled"
    assert send(hooks.asgi, unsigned({"id": "evt_2"})).outcome == "handled"
