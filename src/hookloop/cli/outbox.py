"""`hookloop outbox`: deliver your product's own webhooks, and see what came of them."""

import json as jsonlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .runner import reporting_errors, run

if TYPE_CHECKING:
    from hookloop.outbox.outbox import Outbox

__all__ = ["outbox"]

outbox = typer.Typer(
    help="Webhooks your own product sends: deliver them, and see what came of them.",
    no_args_is_help=True,
)

UrlOption = Annotated[
    str,
    typer.Option(
        envvar="HOOKLOOP_OUTBOX", help="Your database: sqlite:///app.db or postgresql://..."
    ),
]
LedgerOption = Annotated[
    str | None, typer.Option(help="Where deliveries are recorded, if not beside your database.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON.")]
EndpointArgument = Annotated[str, typer.Argument(help="The endpoint, ep_...")]
AllowHttpOption = Annotated[bool, typer.Option("--allow-http", help="URLs without TLS as well.")]
AllowNetworkOption = Annotated[
    list[str] | None,
    typer.Option("--allow-network", help="A private network that may be posted to: 10.1.0.0/16."),
]


@outbox.command()
def worker(
    db: UrlOption,
    ledger: LedgerOption = None,
    timeout_seconds: Annotated[float, typer.Option(help="For one attempt.")] = 15.0,
    lease_seconds: Annotated[
        float, typer.Option(min=2, help="How soon another worker takes over after a crash.")
    ] = 30.0,
    allow_http: AllowHttpOption = False,
    allow_network: AllowNetworkOption = None,
) -> None:
    """Deliver what your transactions have appended, until Ctrl+C."""

    async def work(box: "Outbox") -> None:
        await box.create_tables()
        typer.echo("Delivering. Ctrl+C ends it.")
        await box.run()

    _with(db, ledger, work, allow_http, allow_network, timeout_seconds, lease_seconds)


@outbox.command()
def add(
    url: Annotated[str, typer.Argument(help="Where to post: https://...")],
    db: UrlOption,
    account: Annotated[str, typer.Option(help="The customer it belongs to.")] = "",
    event: Annotated[
        list[str] | None, typer.Option(help="A type, or invoice.*; several times. Else all.")
    ] = None,
    allow_http: AllowHttpOption = False,
    allow_network: AllowNetworkOption = None,
) -> None:
    """Register an endpoint, and print its secret."""

    async def work(box: "Outbox") -> None:
        await box.create_tables()
        endpoint = await box.add_endpoint(url, account=account, enabled_events=event or ("*",))
        typer.echo(f"{endpoint.id}\n{endpoint.secrets[0].for_receiver}")

    _with(db, None, work, allow_http, allow_network)


@outbox.command()
def endpoints(db: UrlOption, json: JsonOption = False) -> None:
    """List the endpoints, and how they are."""

    async def work(box: "Outbox") -> None:
        await box.create_tables()
        found = await box.endpoints()
        if json:
            rows = [
                {
                    "id": one.id,
                    "url": one.url,
                    "account": one.account,
                    "enabled_events": one.enabled_events,
                    "disabled_at": one.disabled_at,
                    "disabled_reason": one.disabled_reason,
                    "failing_since": one.failing_since,
                }
                for one in found
            ]
            typer.echo(jsonlib.dumps(rows, indent=2))
            return
        for one in found:
            health = "well" if one.failing_since is None else "failing"
            state = health if one.is_enabled else f"disabled: {one.disabled_reason}"
            typer.echo(f"{one.id}  {one.url}  {one.account or '-'}  {state}")
        if not found:
            typer.echo("No endpoints yet. Next: hookloop outbox add https://...")

    _with(db, None, work)


@outbox.command()
def show(
    endpoint: EndpointArgument,
    db: UrlOption,
    ledger: LedgerOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    json: JsonOption = False,
) -> None:
    """List what an endpoint is owed, and was, with each attempt."""

    async def work(box: "Outbox") -> None:
        await box.endpoint(endpoint)
        rows = [_row(one) for one in await box.history(endpoint, limit=limit)]
        if json:
            typer.echo(jsonlib.dumps(rows, indent=2))
            return
        for row in rows:
            typer.echo(f"{row['message']}  {row['type']}  {row['state']}")
            for attempt in row["attempts"]:
                typer.echo(f"  {attempt['number']}  {attempt['result']}  {attempt['detail'][:80]}")

    _with(db, ledger, work)


@outbox.command()
def resend(
    db: UrlOption,
    ledger: LedgerOption = None,
    message: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only to this one, ep_...")] = None,
    per_second: Annotated[float | None, typer.Option(help="Not all at once.")] = None,
) -> None:
    """Send again what was delivered or given up, under the same webhook-id."""

    async def work(box: "Outbox") -> None:
        if endpoint is not None:
            await box.endpoint(endpoint)
        count = await box.resend(message=message, endpoint=endpoint, per_second=per_second)
        typer.echo(f"{count} to be sent again by `hookloop outbox worker`.")

    _with(db, ledger, work)


@outbox.command()
def rotate(
    endpoint: EndpointArgument,
    db: UrlOption,
    overlap_hours: Annotated[
        float, typer.Option(min=0, help="For how long the old secret signs along.")
    ] = 24.0,
) -> None:
    """Give an endpoint a new secret, and print what its receiver verifies by."""

    async def work(box: "Outbox") -> None:
        changed = await box.rotate_secret(endpoint, overlap_seconds=overlap_hours * 3600)
        typer.echo(changed.secrets[0].for_receiver)

    _with(db, None, work)


@outbox.command()
def enable(endpoint: EndpointArgument, db: UrlOption) -> None:
    """Send to a disabled endpoint again, from now on."""

    async def work(box: "Outbox") -> None:
        await box.enable_endpoint(endpoint)
        typer.echo(f"Next, for what it missed: hookloop outbox resend --endpoint {endpoint}")

    _with(db, None, work)


def _row(sent: Any) -> dict[str, Any]:
    return {
        "message": sent.message,
        "type": sent.type,
        "state": sent.delivery.state.value,
        "due_at": sent.delivery.due_at,
        "attempts": [
            {
                "number": attempt.number,
                "started_at": attempt.started_at,
                "ended_at": attempt.ended_at,
                "result": attempt.result.value,
                "detail": attempt.detail,
            }
            for attempt in sent.attempts
        ],
    }


def _with(
    db: str,
    ledger: str | None,
    work: "Callable[[Outbox], Awaitable[None]]",
    allow_http: bool = False,
    allow_network: list[str] | None = None,
    timeout_seconds: float = 15.0,
    lease_seconds: float = 30.0,
) -> None:
    from hookloop.outbox.outbox import Outbox
    from hookloop.outbox.settings import OutboxSettings

    async def main() -> None:
        box = Outbox(
            db,
            ledger=ledger,
            settings=OutboxSettings(
                allow_http=allow_http,
                allow_networks=tuple(allow_network or ()),
                timeout_seconds=timeout_seconds,
                lease_seconds=lease_seconds,
            ),
        )
        try:
            await work(box)
        finally:
            await box.close()

    with reporting_errors():
        run(main())
