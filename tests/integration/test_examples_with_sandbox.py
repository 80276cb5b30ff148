"""Each example at the end of the loop: the official client edits, the sandbox delivers."""

import asyncio
import re

import pytest
import stripe
from example_process import running_example, served

from hookloop.sandbox import Sandbox, SandboxConfig, running_sandbox

NOBODY = "http://127.0.0.1:9/"  # until the example runs, and has a port


async def edit(client: stripe.StripeClient, sandbox: Sandbox) -> str:
    """Make a customer, rename her once that is told, and return her id."""
    customers = client.v1.customers
    customer = await asyncio.to_thread(customers.create, {"name": "Jenny Rosen"})
    await sandbox.wait_idle()
    await asyncio.to_thread(customers.update, customer.id, {"name": "Jenny Rosen-Ng"})
    await sandbox.wait_idle()
    return customer.id


@pytest.mark.parametrize(("name", "command"), [pytest.param(*one, id=one[0]) for one in served()])
def test_an_edit_made_with_the_official_client_reaches_the_handler(name: str, command: list[str]):
    """Signed by the sandbox with the endpoint's own secret, and taken at the first attempt."""

    async def loop() -> None:
        async with running_sandbox(SandboxConfig(port=0)) as sandbox:
            client = stripe.StripeClient("sk_test_examples", base_addresses={"api": sandbox.url})
            endpoints = client.v1.webhook_endpoints
            endpoint = await asyncio.to_thread(
                endpoints.create,
                {"url": NOBODY, "enabled_events": ["customer.created", "customer.updated"]},
            )
            with running_example(command, endpoint.secret) as example:
                await asyncio.to_thread(endpoints.update, endpoint.id, {"url": example.url})
                customer_id = await edit(client, sandbox)
                deliveries = sandbox.statistics().deliveries

                assert (deliveries.delivered, deliveries.failed) == (2, 0)
                if name == "customers.py":
                    assert example.wait_for(
                        re.compile("name was 'Jenny Rosen', is 'Jenny Rosen-Ng'")
                    )
                else:
                    assert example.customer_name(customer_id) == "Jenny Rosen-Ng"

    asyncio.run(loop())
