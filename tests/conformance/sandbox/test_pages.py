"""The pages a customer sees, over a socket: to pay on, and to prove who they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from hookloop.sandbox import SandboxConfig, running_sandbox

pytestmark = pytest.mark.anyio

CARD = {"email": "ada@example.com", "number": "4242 4242 4242 4242", "name": "Ada"}


@asynccontextmanager
async def shop(client_of) -> AsyncIterator[Any]:
    """Run a sandbox; yield a client, an open session, and a customer's browser."""
    config = SandboxConfig(port=0)
    async with running_sandbox(config) as sandbox, aiohttp.ClientSession() as browser:
        client = client_of(sandbox.url)
        session = await asyncio.to_thread(
            client.v1.checkout.sessions.create,
            {
                "mode": "payment",
                "success_url": "https://shop.test/done?session={CHECKOUT_SESSION_ID}",
                "line_items": [
                    {
                        "price_data": {
                            "currency": "usd",
                            "unit_amount": 1500,
                            "product_data": {"name": "<Shirt> & tie"},
                        },
                        "quantity": 2,
                    }
                ],
            },
        )
        yield client, session, browser


async def test_a_customer_pays_on_the_page(client_of):
    """What is bought is shown, paying leads back to the shop, and the session is complete."""
    async with shop(client_of) as (client, session, browser):
        async with browser.get(session.url) as response:
            page = await response.text()
        assert "&lt;Shirt&gt; &amp; tie" in page
        assert "Pay 30.00 USD" in page
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")

        async with browser.post(session.url, data=CARD, allow_redirects=False) as response:
            assert response.status == 303
        assert response.headers["Location"] == f"https://shop.test/done?session={session.id}"

        paid = await asyncio.to_thread(
            client.v1.checkout.sessions.retrieve,
            session.id,
            {"expand": ["line_items", "payment_intent.latest_charge"]},
        )
        assert (paid.status, paid.payment_status) == ("complete", "paid")
        assert paid.line_items.data[0].quantity == 2
        assert paid.payment_intent.latest_charge.billing_details.email == "ada@example.com"
        async with browser.get(session.url) as response:
            assert response.status == 410


async def test_a_declined_card_is_told_on_the_page(client_of):
    """In the bank's words, and another one can be tried."""
    async with shop(client_of) as (_, session, browser):
        declined = {**CARD, "number": "4000000000009995"}
        async with browser.post(session.url, data=declined) as response:
            assert response.status == 402
            assert "Your card has insufficient funds." in await response.text()
        async with browser.post(session.url, data=CARD, allow_redirects=False) as response:
            assert response.status == 303


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
async def test_a_customer_proves_who_they_are(client_of, outcome):
    """On the bank's page, which leads back to the shop with what came of it."""
    async with shop(client_of) as (client, session, browser):
        card = {**CARD, "number": "4000002760003184"}
        async with browser.post(session.url, data=card) as response:
            assert response.status == 200
            assert "3-D Secure test page" in await response.text()
            page = response.url
        back = {"outcome": outcome}
        async with browser.post(page, data=back, allow_redirects=False) as response:
            location = response.headers["Location"]
        assert location.startswith(
            f"https://shop.test/done?session={session.id}&payment_intent=pi_"
        )
        assert f"redirect_status={outcome}" in location
        seen = await asyncio.to_thread(client.v1.checkout.sessions.retrieve, session.id)
        assert seen.status == ("complete" if outcome == "succeeded" else "open")


async def test_a_page_is_found_by_who_was_given_it(client_of):
    """An account, a session or a secret that is wrong finds nothing."""
    async with shop(client_of) as (_, session, browser):
        base, account, id_ = session.url.partition("#")[0].rsplit("/", 2)
        for url in (
            f"{base}/acct_1/{id_}",
            f"{base}/{account}/cs_test_x",
            f"{base.replace('c/pay', 'authenticate')}/{account}/pi_1?client_secret=x",
        ):
            async with browser.get(url) as response:
                assert response.status == 404
