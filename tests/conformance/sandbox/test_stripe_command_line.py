"""Stripe's own command line, the real one, against the sandbox: listen, trigger, logs, resend."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import stripe
from patience import PATIENCE
from receiver import Receiver

from hookloop.sandbox import Sandbox, SandboxConfig, running_sandbox

STRIPE = Path(sys.executable).parent / "stripe"

if not STRIPE.exists() and not os.environ.get("CI"):
    pytest.skip("no Stripe CLI: python scripts/install_stripe_cli.py", allow_module_level=True)

pytestmark = pytest.mark.anyio

KEY = "sk_test_command_line"
ANY_PORT = SandboxConfig(port=0)
AT_ONCE = 4
"""Triggers beside each other: each is a process of fifty megabytes."""

TRIGGERS = """
    balance.available charge.captured charge.dispute.closed charge.dispute.created
    charge.dispute.updated charge.failed charge.refund.updated charge.refunded
    charge.succeeded checkout.session.async_payment_failed
    checkout.session.async_payment_succeeded checkout.session.completed
    checkout.session.expired coupon.created coupon.deleted coupon.updated customer.created
    customer.deleted customer.source.created customer.source.updated customer.updated
    payment_intent.amount_capturable_updated payment_intent.canceled payment_intent.created
    payment_intent.payment_failed payment_intent.processing payment_intent.requires_action
    payment_intent.succeeded payment_method.attached payment_method.detached
    payment_method.updated plan.created plan.deleted plan.updated price.created
    price.updated product.created product.deleted product.updated promotion_code.created
    promotion_code.updated setup_intent.canceled setup_intent.created
    setup_intent.requires_action setup_intent.setup_failed setup_intent.succeeded
    tax_rate.created tax_rate.updated
""".split()  # noqa: SIM905  # as a list it would be forty-five lines
"""Of the 123 that it has: the others need what the sandbox does not simulate yet."""


def command(url: str, *arguments: str, key: str = KEY, home: Path, **environment: str):
    """Start the command line, which finds nothing of the developer's own settings."""
    return asyncio.create_subprocess_exec(
        STRIPE,
        *arguments,
        *(("--api-base", url) if url else ()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "STRIPE_API_KEY": key,
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            **environment,
        },
    )


async def output(url: str, *arguments: str, key: str = KEY, home: Path, **environment: str) -> str:
    """Run the command line to its end, which must be a good one, and return what it printed."""
    process = await command(url, *arguments, key=key, home=home, **environment)
    try:
        async with asyncio.timeout(PATIENCE):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()
    return out.decode()


@contextlib.asynccontextmanager
async def running(url: str, *arguments: str, home: Path) -> AsyncIterator["Lines"]:
    """Run it until the block ends, and yield what it prints."""
    process = await command(url, *arguments, home=home)
    lines = Lines(process.stdout)
    try:
        yield lines
    finally:
        process.kill()
        await process.wait()


class Lines:
    """What a command prints, awaited line by line."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self.seen: list[str] = []
        self._stream = stream

    async def until(self, pattern: str) -> re.Match[str]:
        """Return the first line from here on that *pattern* is found in."""
        async with asyncio.timeout(PATIENCE):
            while line := (await self._stream.readline()).decode():
                self.seen.append(line)
                if found := re.search(pattern, line):
                    return found
        raise AssertionError("".join(self.seen))


def client(sandbox: Sandbox, key: str = KEY) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": sandbox.url})


async def test_it_listens_and_forwards_signed_events(tmp_path):
    """With the secret it prints; what the application answered is on record in the sandbox."""
    async with (
        running_sandbox(ANY_PORT) as sandbox,
        Receiver() as receiver,
        running(
            sandbox.url,
            *("listen", "--all-snapshot", "--skip-update", "--forward-to", receiver.url()),
            home=tmp_path,
        ) as listen,
    ):
        secret = (await listen.until(r"signing secret is (whsec_\w+)"))[1]
        printed = await output(sandbox.url, "listen", "--print-secret", home=tmp_path)
        customer = await asyncio.to_thread(client(sandbox).v1.customers.create)
        await listen.until(r"--> customer\.created \[evt_\w+\]")
        event = (await listen.until(r"<--  \[200\] POST .* \[(evt_\w+)\]"))[1]
        await output(sandbox.url, "events", "resend", event, home=tmp_path)
        await listen.until(r"--> customer\.created")
        await receiver.wait_received(2)
        await listen.until(r"<--  \[200\] POST")

    assert printed.strip() == secret
    for headers, body in receiver.received:
        told = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)
        assert (told.id, told.data.object.id) == (event, customer.id)
        assert headers["User-Agent"].startswith("Stripe/1.0")


async def test_it_tails_the_log(tmp_path):
    """The requests that were asked for, and no others."""
    async with (
        running_sandbox(ANY_PORT) as sandbox,
        running(
            sandbox.url, "logs", "tail", "--filter-status-code-type", "4XX", home=tmp_path
        ) as tail,
    ):
        await tail.until("waiting to receive API request logs")
        await asyncio.to_thread(client(sandbox).v1.customers.list)
        with pytest.raises(stripe.InvalidRequestError):
            await asyncio.to_thread(client(sandbox).v1.customers.retrieve, "cus_none")
        await tail.until(r"\[404\] GET /v1/customers/cus_none \[req_\w+\]")

    assert not any("[200]" in line for line in tail.seen)


async def test_its_unix_socket(tmp_path):
    """It sends everything there, whatever host it means."""
    path = tmp_path / "stripe.sock"
    async with running_sandbox(replace(ANY_PORT, unix_socket=path)) as sandbox:
        environment = {"STRIPE_CLI_UNIX_SOCKET": str(path)}
        await output("", "trigger", "customer.created", home=tmp_path, **environment)
        customers = await asyncio.to_thread(client(sandbox).v1.customers.list)

    assert len(customers.data) == 1
    assert not path.exists()


async def test_its_triggers_make_their_events(tmp_path):
    """Each event arrives, signed, and tells of an object of its type that the API has too."""
    async with running_sandbox(ANY_PORT) as sandbox, Receiver() as receiver:
        free = asyncio.Semaphore(AT_ONCE)

        async def trigger(number: int, event_type: str) -> None:
            key = f"sk_test_trigger{number}"
            known = client(sandbox, key)
            endpoint = await asyncio.to_thread(
                known.v1.webhook_endpoints.create,
                {"url": receiver.url(f"/{number}"), "enabled_events": [event_type]},
            )
            async with free:
                await output(sandbox.url, "trigger", event_type, key=key, home=tmp_path)
            headers, body = await receiver.first_at(f"/{number}")
            event = stripe.Webhook.construct_event(
                body, headers["Stripe-Signature"], endpoint.secret, api_key=key
            )
            subject = event.data.object
            assert type(subject) is not stripe.StripeObject
            if not event_type.endswith(".deleted"):
                answer = await asyncio.to_thread(known.raw_request, "get", subject.instance_url())
                # A balance has no id: an account has one.
                assert answer.data["object"] == subject.object
                assert answer.data.get("id") == getattr(subject, "id", None)
            triggered.append(event.type)

        triggered: list[str] = []
        async with asyncio.TaskGroup() as group:
            for number, event_type in enumerate(TRIGGERS):
                group.create_task(trigger(number, event_type))

    assert sorted(triggered) == TRIGGERS
