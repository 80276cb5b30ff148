"""`hookloop sandbox`: a Stripe-compatible API on this machine."""

import asyncio
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .announcer import Announcer
from .runner import reporting_errors, run
from .sandbox_clock import clock

if TYPE_CHECKING:
    from hookloop.sandbox import (
        AttemptEnded,
        AttemptStarted,
        RequestAnswered,
        SandboxConfig,
    )
    from hookloop.sandbox.coverage import Coverage

__all__ = ["sandbox"]

sandbox = typer.Typer(
    help="Run a stateful Stripe-compatible API whose events are really delivered, and signed.",
    invoke_without_command=True,
)

sandbox.add_typer(clock, name="clock")

DEFAULT_PORT = 12111  # stripe-mock's: suites that can be pointed at a mock look there already

EXAMPLE_KEY = "sk_test_hookloop"


@sandbox.callback()
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Where it listens; 0 for any free port.")] = (
        DEFAULT_PORT
    ),
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 lets the network in.")
    ] = "127.0.0.1",
    unix_socket: Annotated[
        Path | None,
        typer.Option(help="Listen there too: for Stripe's CLI, by STRIPE_CLI_UNIX_SOCKET."),
    ] = None,
    live_retries: Annotated[
        bool,
        typer.Option(
            "--live-retries", help="Retry for three days as live mode does, not three times."
        ),
    ] = False,
    stub: Annotated[
        bool,
        typer.Option(
            "--stub", help="Make up answers by their shape where nothing is simulated, not 501."
        ),
    ] = False,
    rate_limit: Annotated[
        int | None,
        typer.Option(min=1, help="Requests a second for each account; more are answered 429."),
    ] = None,
    endpoint_rate: Annotated[
        float | None, typer.Option(help="Attempts a second to each endpoint.")
    ] = None,
    disable_after_days: Annotated[
        float, typer.Option(help="An endpoint that has taken nothing for so long is disabled.")
    ] = 5.0,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Send the events of one request in any order.")
    ] = False,
    chaos: Annotated[
        str | None,
        typer.Option(
            help="How likely deliveries are to go wrong: duplicate=0.2,delay=0.1,reorder=0.1,drop=0"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Run a stateful Stripe-compatible API whose events are really delivered, and signed."""
    if context.invoked_subcommand is not None:
        return
    from hookloop.sandbox import Chaos, SandboxConfig
    from hookloop.schedule import STRIPE_LIVE, STRIPE_TEST

    with reporting_errors():
        schedule = STRIPE_LIVE if live_retries else STRIPE_TEST
        config = SandboxConfig(
            host=host,
            port=port,
            unix_socket=unix_socket,
            retry_schedule=schedule,
            stub=stub,
            rate_limit=rate_limit,
            endpoint_rate=endpoint_rate,
            disable_after_seconds=disable_after_days * 24 * 3600,
            shuffle=shuffle,
            chaos=None if chaos is None else Chaos.parse(chaos),
        )
    run(_serve(config, Announcer(as_json=json)))


@sandbox.command()
def coverage(
    json: Annotated[bool, typer.Option("--json", help="A JSON object for each endpoint.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The page of the documentation.")
    ] = False,
) -> None:
    """Tell, for each of Stripe's endpoints, how faithfully the sandbox answers it."""
    from hookloop.sandbox.coverage import Fidelity, as_page, coverage

    ledger = coverage()
    if markdown:
        typer.echo(as_page(ledger), nl=False)
        return
    for entry in ledger:
        typer.echo(_as_json(entry) if json else _as_line(entry))
    if not json:
        stateful = sum(entry.fidelity is Fidelity.STATEFUL for entry in ledger)
        typer.echo(f"\n{stateful} of {len(ledger)} stateful; the others with --stub, or 501.")


def _as_line(entry: "Coverage") -> str:
    refused = f"   refuses {', '.join(entry.refused)}" if entry.refused else ""
    place = f"{entry.endpoint.method:<6} {entry.endpoint.path}"
    return f"{entry.fidelity.value:<8} {place}{refused}"


def _as_json(entry: "Coverage") -> str:
    return dumps(
        {
            "method": entry.endpoint.method,
            "path": entry.endpoint.path,
            "fidelity": entry.fidelity.value,
            "refused": list(entry.refused),
        }
    )


async def _serve(config: "SandboxConfig", announcer: Announcer) -> None:
    from hookloop.sandbox import running_sandbox

    log = _Log(announcer)
    async with running_sandbox(config, observer=log, requests=log) as running:
        announcer.fact("sandbox", running.url, "a Stripe-compatible API; its state is in memory")
        announcer.fact("api key", EXAMPLE_KEY, "or any sk_test_...: each has its own account")
        announcer.note(_invitation(running.url))
        await asyncio.Event().wait()


def _invitation(url: str) -> str:
    return f"""
import stripe
client = stripe.StripeClient("{EXAMPLE_KEY}", base_addresses={{"api": "{url}"}})
client.v1.webhook_endpoints.create(
    {{"url": "http://localhost:3000/webhooks/stripe", "enabled_events": ["*"]}})
client.v1.customers.create({{"email": "jenny@example.com"}})

Older code:  stripe.api_key, stripe.api_base = "{EXAMPLE_KEY}", "{url}"
Ctrl+C ends it.
"""


class _Log:
    """A line for each request and each attempt; ids only, nothing of what is in them."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer

    def request_answered(self, request: "RequestAnswered") -> None:
        milliseconds = request.duration_seconds * 1000
        self._announcer.happened(
            "request",
            f"{request.status} {request.method} {request.path} "
            f"{request.request_id} {milliseconds:.1f} ms",
            status=request.status,
            method=request.method,
            path=request.path,
            request_id=request.request_id,
            milliseconds=round(milliseconds, 3),
        )

    def attempt_started(self, attempt: "AttemptStarted") -> None:
        """Say nothing: the line comes with the outcome."""

    def attempt_ended(self, attempt: "AttemptEnded") -> None:
        milliseconds = (attempt.ended - attempt.started) * 1000
        outcome = attempt.error if attempt.status is None else str(attempt.status)
        self._announcer.happened(
            "attempt",
            f"{outcome} {attempt.event_type} -> {attempt.url} {attempt.event_id} "
            f"attempt {attempt.number} {milliseconds:.1f} ms{_next(attempt)}",
            status=attempt.status,
            error=attempt.error,
            event_id=attempt.event_id,
            event_type=attempt.event_type,
            url=attempt.url,
            attempt=attempt.number,
            milliseconds=round(milliseconds, 3),
            retry_seconds=attempt.retry_seconds,
            endpoint_disabled=attempt.endpoint_disabled,
        )


def _next(attempt: "AttemptEnded") -> str:
    """Return what follows a failed attempt, in words; nothing where it did not fail."""
    if attempt.delivered:
        return ""
    if attempt.endpoint_disabled:
        return "; the endpoint has failed for days and is disabled"
    if attempt.retry_seconds is None:
        return "; that was the last one"
    return f"; next in {attempt.retry_seconds / 60:.0f} min"
