"""What a shop does, through the official `stripe` package and a socket."""

import asyncio
from collections.abc import Callable

import pytest
import stripe
from receiver import ManualClock, Receiver

from hookloop.sandbox import SandboxConfig, running_sandbox

pytestmark = pytest.mark.anyio

ANY_PORT = SandboxConfig(port=0)


@pytest.fixture
def journey(client_of) -> Callable:
    """Return what runs a function with an official client of a new sandbox."""

    async def run(function: Callable[[stripe.StripeClient], None]) -> None:
        async with running_sandbox(ANY_PORT) as sandbox:
            await asyncio.to_thread(function, client_of(sandbox.url))

    return run


def types(client: stripe.StripeClient) -> list[str]:
    return [event.type for event in client.v1.events.list({"limit": 50})][::-1]


async def test_a_catalogue_is_built_and_searched(journey):
    """Products, prices, a coupon and the code for it."""

    def build(client: stripe.StripeClient) -> None:
        product = client.v1.products.create(
            {"name": "Book", "default_price_data": {"currency": "eur", "unit_amount": 1500}}
        )
        monthly = client.v1.prices.create(
            {
                "product": product.id,
                "currency": "eur",
                "unit_amount": 900,
                "recurring": {"interval": "month"},
            }
        )
        assert isinstance(monthly, stripe.Price)
        assert client.v1.plans.retrieve(monthly.id).interval == "month"
        prices = client.v1.prices.list({"product": product.id})
        assert {price.id for price in prices} == {monthly.id, product.default_price}
        coupon = client.v1.coupons.create({"percent_off": 25.5})
        code = client.v1.promotion_codes.create(
            {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "SPRING"}
        )
        shown = client.v1.promotion_codes.retrieve(code.id, {"expand": ["promotion.coupon"]})
        assert shown.promotion.coupon.percent_off == 25.5
        found = client.v1.products.search({"query": 'name~"boo"'})
        assert [one.id for one in found.auto_paging_iter()] == [product.id]

    await journey(build)


async def test_a_card_is_kept_and_charged_later(journey):
    """Set up first, charged without its holder, partly refunded."""

    def shop(client: stripe.StripeClient) -> None:
        customer = client.v1.customers.create({"email": "ada@example.com"})
        setup = client.v1.setup_intents.create(
            {
                "customer": customer.id,
                "payment_method": "pm_card_mastercard",
                "confirm": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            }
        )
        assert setup.status == "succeeded"
        (kept,) = client.v1.customers.payment_methods.list(customer.id)
        intent = client.v1.payment_intents.create(
            {
                "amount": 2000,
                "currency": "usd",
                "customer": customer.id,
                "payment_method": kept.id,
                "off_session": True,
                "confirm": True,
                "expand": ["latest_charge", "customer"],
            }
        )
        assert isinstance(intent.latest_charge, stripe.Charge)
        assert intent.customer.email == "ada@example.com"
        assert intent.latest_charge.payment_method_details.card.brand == "mastercard"
        refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 500})
        assert isinstance(refund, stripe.Refund)
        charge = client.v1.charges.retrieve(intent.latest_charge.id, {"expand": ["refunds"]})
        assert (charge.amount_refunded, charge.refunds.data[0].id) == (500, refund.id)
        assert types(client) == [
            "customer.created",
            "setup_intent.created",
            "payment_method.attached",
            "setup_intent.succeeded",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "refund.created",
            "charge.refunded",
        ]

    await journey(shop)


async def test_a_decline_is_the_clients_card_error(journey):
    """With the code, the charge and the intent it is about; another card mends it."""

    def shop(client: stripe.StripeClient) -> None:
        with pytest.raises(stripe.CardError) as caught:
            client.v1.payment_intents.create(
                {
                    "amount": 2000,
                    "currency": "usd",
                    "payment_method": "pm_card_chargeDeclinedInsufficientFunds",
                    "confirm": True,
                    "return_url": "https://example.com",
                }
            )
        error = caught.value.error
        assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
        assert client.v1.charges.retrieve(error.charge).failure_code == "card_declined"
        paid = client.v1.payment_intents.confirm(
            error.payment_intent.id,
            {"payment_method": "pm_card_visa", "return_url": "https://example.com"},
        )
        assert paid.status == "succeeded"

    await journey(shop)


async def test_money_is_held_captured_and_paid_out(journey):
    """Manual capture, and a payout of what is available."""

    def shop(client: stripe.StripeClient) -> None:
        held = client.v1.payment_intents.create(
            {
                "amount": 5000,
                "currency": "usd",
                "payment_method": "pm_card_bypassPending",
                "capture_method": "manual",
                "confirm": True,
                "return_url": "https://example.com",
            }
        )
        assert held.status == "requires_capture"
        taken = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 4000})
        assert taken.amount_received == 4000
        # A refund makes the charge reach the balance at once.
        client.v1.refunds.create({"payment_intent": held.id, "amount": 1})
        available = client.v1.balance.retrieve().available[0].amount
        assert available == 4000 - 146
        payout = client.v1.payouts.create({"amount": available, "currency": "usd"})
        assert payout.status == "pending"
        with pytest.raises(stripe.InvalidRequestError, match="insufficient"):
            client.v1.payouts.create({"amount": 1, "currency": "usd"})

    await journey(shop)


async def test_what_is_due_happens_by_itself_and_is_delivered(client_of, clock: ManualClock):
    """``charge.updated``, two seconds after the charge, without a request."""
    async with running_sandbox(ANY_PORT, clock=clock) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        endpoint = {"url": receiver.url(), "enabled_events": ["charge.updated"]}
        await asyncio.to_thread(client.v1.webhook_endpoints.create, endpoint)
        charge = {"amount": 500, "currency": "usd", "source": "tok_visa"}
        made = await asyncio.to_thread(client.v1.charges.create, charge)
        assert made.balance_transaction is None
        clock.now += 2
        sandbox.wake()
        await receiver.wait_received(1)

        settled = await asyncio.to_thread(client.v1.charges.retrieve, made.id)

    assert settled.balance_transaction.startswith("txn_")
