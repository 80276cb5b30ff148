"""`hookloop endpoints` and `hookloop sandbox clock`, as a user runs them beside a sandbox."""

import asyncio
import json

import pytest
import stripe
from test_trigger_command import KEY, hookloop, receiving

from hookloop.sandbox import SandboxConfig, running_sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_an_endpoint_is_created_tried_rolled_and_deleted():
    """What Stripe's dashboard does, by the command line alone."""
    async with running_sandbox(SandboxConfig(port=0)) as sandbox, receiving() as (url, received):
        _, nothing, _ = await hookloop(sandbox, "endpoints", "ls")
        _, out, _ = await hookloop(sandbox, "endpoints", "create", url, "--json")
        endpoint = json.loads(out)
        _, listed, _ = await hookloop(sandbox, "endpoints", "ls")
        _, tried, _ = await hookloop(sandbox, "endpoints", "test", endpoint["id"])
        signature, body = await asyncio.wait_for(received.get(), 30)
        _, rolled, _ = await hookloop(
            sandbox, "endpoints", "roll", endpoint["id"], "--expires-in", "1h"
        )
        await hookloop(sandbox, "endpoints", "disable", endpoint["id"])
        _, enabled, _ = await hookloop(sandbox, "endpoints", "enable", endpoint["id"])
        _, deliveries, _ = await hookloop(sandbox, "endpoints", "deliveries", endpoint["id"])
        code, deleted, _ = await hookloop(sandbox, "endpoints", "delete", endpoint["id"])

    assert "hookloop endpoints create" in nothing
    assert f"{endpoint['id']}  enabled" in listed
    assert "evt_00000000000000 (payment_intent.succeeded) is on its way" in tried
    event = stripe.Webhook.construct_event(body, signature, endpoint["secret"])
    assert event.data.object["id"] == "pi_00000000000000"
    assert "secret    whsec_" in rolled
    assert endpoint["secret"] not in rolled
    assert "enabled" in enabled
    assert "delivered" in deliveries
    assert "thanks" in deliveries
    assert (code, deleted.split()) == (0, [endpoint["id"], "deleted"])


async def test_time_is_put_forward():
    """A payment that settles in days has settled in a moment."""
    async with running_sandbox(SandboxConfig(port=0)) as sandbox:
        _, before, _ = await hookloop(sandbox, "sandbox", "clock", "show", "--json")
        code, after, _ = await hookloop(sandbox, "sandbox", "clock", "advance", "14d", "--json")
        _, shown, _ = await hookloop(sandbox, "sandbox", "clock", "show")
        client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url})
        customer = await asyncio.to_thread(client.v1.customers.create)

    then, now = json.loads(before), json.loads(after)
    assert code == 0
    assert now["now"] - then["now"] >= 14 * 86_400
    assert now["status"] == "ready"
    assert shown.strip()
    assert customer.created >= int(now["now"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("endpoints", "test", "we_1"), "No such webhook endpoint: 'we_1'"),
        (("endpoints", "create", "localhost:3000"), "Invalid URL"),
        (("endpoints", "roll", "we_1", "--expires-in", "soon"), "is no span of time"),
        (("sandbox", "clock", "advance", "tomorrow"), "is no span of time"),
        (("sandbox", "clock", "advance", "900w"), "it goes forward only"),
    ],
)
async def test_what_cannot_be_done_is_told_in_a_sentence(arguments, told):
    async with running_sandbox(SandboxConfig(port=0)) as sandbox:
        code, _, error = await hookloop(sandbox, *arguments)

    assert code in (1, 2)
    assert told in error
    assert "Traceback" not in error
