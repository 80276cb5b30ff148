"""The official `stripe` package, with nothing but its base address changed."""

import asyncio
import json
import urllib.request

import pytest
import stripe
from patience import PATIENCE

from hookloop.sandbox import SandboxConfig, running_sandbox

pytestmark = pytest.mark.anyio

ANY_PORT = SandboxConfig(port=0)


async def test_a_customers_whole_life(client_of):
    """Created, read, edited, listed, deleted, each as its class."""

    def live(client: stripe.StripeClient) -> None:
        made = client.v1.customers.create(
            {"name": "Ada", "address": {"city": "Rome"}, "metadata": {"plan": "pro"}}
        )
        assert isinstance(made, stripe.Customer)
        assert isinstance(made.address, stripe.Customer.Address)
        assert client.v1.customers.retrieve(made.id) == made
        changed = client.v1.customers.update(made.id, {"name": "", "metadata": {"plan": ""}})
        assert (changed.name, changed.metadata.to_dict()) == (None, {})
        assert [item.id for item in client.v1.customers.list({"limit": 5})] == [made.id]
        assert client.v1.customers.delete(made.id).deleted is True
        assert client.v1.customers.retrieve(made.id).deleted is True

    async with running_sandbox(ANY_PORT) as sandbox:
        await asyncio.to_thread(live, client_of(sandbox.url))


async def test_the_older_way_of_calling():
    """Module-level settings and classes."""

    def live(url: str) -> None:
        options = {"api_key": "sk_test_one"}
        made = stripe.Customer.create(email="a@example.com", **options)
        assert stripe.Customer.modify(made.id, name="Ada", **options).name == "Ada"
        assert stripe.Customer.retrieve(made.id, **options).name == "Ada"
        assert made.delete().deleted is True

    async with running_sandbox(ANY_PORT) as sandbox:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stripe, "api_base", sandbox.url)
            await asyncio.to_thread(live, sandbox.url)


@pytest.mark.parametrize("params", [{"limit": 3}, {"limit": 3, "ending_before": "cus_00"}])
async def test_auto_paging_goes_through_all(client_of, params):
    """Forwards by starting_after, backwards by ending_before."""

    def page(client: stripe.StripeClient) -> list[str]:
        for number in range(10):
            client.v1.customers.create({"id": f"cus_{number:02}"})  # type: ignore[typeddict-unknown-key]
        return [item.id for item in client.v1.customers.list(params).auto_paging_iter()]

    async with running_sandbox(ANY_PORT) as sandbox:
        ids = await asyncio.to_thread(page, client_of(sandbox.url))

    expected = [f"cus_{number:02}" for number in range(10)]
    assert ids == (expected[1:] if "ending_before" in params else expected[::-1])


async def test_errors_become_the_clients_exceptions(client_of):
    """Each kind as its class, with code, parameter and request id."""

    def fail(client: stripe.StripeClient, stranger: stripe.StripeClient) -> None:
        with pytest.raises(stripe.InvalidRequestError) as missing:
            client.v1.customers.retrieve("cus_x")
        assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
        assert missing.value.request_id.startswith("req_")
        with pytest.raises(stripe.InvalidRequestError) as unknown:
            client.v1.customers.create({"nmae": "x"})  # type: ignore[typeddict-unknown-key]
        assert (unknown.value.code, unknown.value.param) == ("parameter_unknown", "nmae")
        with pytest.raises(stripe.AuthenticationError):
            stranger.v1.customers.list()
        options = {"idempotency_key": "k"}
        client.v1.customers.create({"name": "a"}, options)
        with pytest.raises(stripe.IdempotencyError):
            client.v1.customers.create({"name": "b"}, options)

    async with running_sandbox(ANY_PORT) as sandbox:
        strange = client_of(sandbox.url, "sk_live_0123456789abcdef")
        await asyncio.to_thread(fail, client_of(sandbox.url), strange)


async def test_what_is_not_simulated_is_asked_for_once(client_of):
    """The client retries a 5xx by default, unless it is told that it is no use."""

    def ask(client: stripe.StripeClient) -> None:
        with pytest.raises(stripe.APIError, match=r"does not simulate POST /v1/topups"):
            client.v1.topups.create({"amount": 1, "currency": "eur"})

    async with running_sandbox(ANY_PORT) as sandbox:
        await asyncio.to_thread(ask, client_of(sandbox.url))

        assert sandbox.statistics().requests == 1


async def test_endpoints_and_events(client_of):
    """The resources of webhooks, through their classes."""

    def live(client: stripe.StripeClient) -> None:
        made = client.v1.webhook_endpoints.create(
            {"url": "http://127.0.0.1:9/x", "enabled_events": ["customer.deleted"]}
        )
        assert made.secret
        assert "secret" not in client.v1.webhook_endpoints.retrieve(made.id).to_dict()
        changed = client.v1.webhook_endpoints.update(made.id, {"disabled": True})
        assert changed.status == "disabled"
        assert client.v1.webhook_endpoints.delete(made.id).deleted is True
        client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k"})
        (event,) = client.v1.events.list({"types": ["customer.created"]})
        assert client.v1.events.retrieve(event.id) == event
        assert event.request is not None
        assert event.request.idempotency_key == "k"
        assert event.data.object["name"] == "Ada"

    async with running_sandbox(ANY_PORT) as sandbox:
        await asyncio.to_thread(live, client_of(sandbox.url))


async def test_a_body_too_large_is_refused(client_of):
    """413 and no second try; the connection's next request is answered as ever."""

    def post(client: stripe.StripeClient) -> None:
        with pytest.raises(stripe.APIError, match="larger than"):
            client.v1.customers.create({"description": "x" * 2_000_000})
        assert client.v1.customers.list().data == []

    async with running_sandbox(ANY_PORT) as sandbox:
        await asyncio.to_thread(post, client_of(sandbox.url))


async def test_the_root_says_what_listens_here():
    """For whoever finds the port open."""

    def get(url: str) -> dict[str, str]:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return json.load(response)

    async with running_sandbox(ANY_PORT) as sandbox:
        about = await asyncio.to_thread(get, sandbox.url)

    assert about["name"] == "hookloop sandbox"
