"""`hookloop trigger` and `hookloop events`, as a user runs them beside a sandbox."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import stripe
from aiohttp import web
from patience import PATIENCE

from hookloop.sandbox import Sandbox, SandboxConfig, running_sandbox

pytestmark = pytest.mark.anyio

KEY = "sk_test_hookloop"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def hookloop(sandbox: Sandbox, *arguments: str) -> tuple[int, str, str]:
    """Run the command against *sandbox*, and return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "hookloop", *arguments, "--url", sandbox.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[str, asyncio.Queue[tuple[str, bytes]]]]:
    """Run an endpoint, and yield its URL and what it is sent."""
    received: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        received.put_nowait((request.headers["Stripe-Signature"], await request.read()))
        return web.Response(text="thanks")

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", received
    finally:
        await runner.cleanup()


async def test_an_event_is_triggered_shown_and_sent_again():
    """Signed each time, and each attempt is on record."""
    async with running_sandbox(SandboxConfig(port=0)) as sandbox, receiving() as (url, received):
        client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url})
        endpoint = await asyncio.to_thread(
            client.v1.webhook_endpoints.create,
            {"url": url, "enabled_events": ["payment_intent.payment_failed"]},
        )

        code, out, _ = await hookloop(sandbox, "trigger", "payment_intent.payment_failed", "--json")
        event = json.loads(out)
        assert (code, event["type"]) == (0, "payment_intent.payment_failed")
        signature, body = await asyncio.wait_for(received.get(), PATIENCE)
        assert stripe.Webhook.construct_event(body, signature, endpoint.secret).id == event["id"]

        code, out, _ = await hookloop(sandbox, "events", "resend", event["id"])
        assert (code, "1 endpoint again" in out) == (0, True)
        signature, again = await asyncio.wait_for(received.get(), PATIENCE)
        assert stripe.Webhook.construct_event(again, signature, endpoint.secret).id == event["id"]

        await sandbox.wait_idle()
        code, out, _ = await hookloop(sandbox, "events", "show", event["id"], "--json")
        (delivery,) = json.loads(out)["deliveries"]
        assert delivery["state"] == "delivered"
        assert [attempt["excerpt"] for attempt in delivery["attempts"]] == ["thanks", "thanks"]

        code, out, _ = await hookloop(sandbox, "events", "ls", "--type", "payment_intent.*")
        assert [line.split()[3] for line in out.splitlines()] == [
            "payment_intent.payment_failed",
            "payment_intent.created",
        ]


async def test_what_cannot_be_done_is_said_in_a_sentence():
    """An unknown type with the nearest one, an unknown event, and nobody listening."""
    async with running_sandbox(SandboxConfig(port=0)) as sandbox:
        unknown, missing = await asyncio.gather(
            hookloop(sandbox, "trigger", "customer.creatd"),
            hookloop(sandbox, "events", "show", "evt_1"),
        )
    nobody = await hookloop(sandbox, "events", "ls")

    assert (unknown[0], "did you mean 'customer.created'?" in unknown[2]) == (2, True)
    assert (missing[0], "No such event: 'evt_1'" in missing[2]) == (1, True)
    assert (nobody[0], "no sandbox answers" in nobody[2]) == (2, True)
    assert "Traceback" not in unknown[2] + missing[2] + nobody[2]
