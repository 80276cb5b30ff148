"""`hookloop events`: what happened in a running sandbox, and whether it was delivered."""

import json as jsonlib
from typing import Annotated

import typer

from .delivery_lines import delivery_lines, local_time
from .runner import run
from .trigger import EXAMPLE_KEY, EXAMPLE_URL, ApiKeyOption, UrlOption

__all__ = ["events"]

events = typer.Typer(
    help="The events of a running sandbox, and their deliveries.", no_args_is_help=True
)

IdArgument = Annotated[str, typer.Argument(help="The event, evt_...")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON.")]


@events.command()
def ls(
    type_: Annotated[
        str | None, typer.Option("--type", help="Only this type; charge.* for several.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="The newest so many.")] = 10,
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
    json: JsonOption = False,
) -> None:
    """List events, newest first."""
    run(_ls(type_, limit, url, api_key, as_json=json))


@events.command()
def show(
    event: IdArgument,
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
    json: JsonOption = False,
) -> None:
    """Print an event, and every attempt to deliver it."""
    run(_show(event, url, api_key, as_json=json))


@events.command()
def resend(
    event: IdArgument,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Only to this one, we_...; else to all that want its type."),
    ] = None,
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
) -> None:
    """Deliver an event again, with a fresh signature."""
    run(_resend(event, endpoint, url, api_key))


async def _ls(type_: str | None, limit: int, url: str, key: str, *, as_json: bool) -> None:
    from .sandbox_caller import SandboxCaller

    query = {"limit": str(limit), **({"type": type_} if type_ else {})}
    async with SandboxCaller(url, key) as caller:
        page = await caller.result("GET", "/v1/events", query)
    if as_json:
        typer.echo(jsonlib.dumps(page["data"], indent=2))
    for event in page["data"] if not as_json else ():
        subject = event["data"]["object"].get("id", "")
        pending = f"  pending at {event['pending_webhooks']}" if event["pending_webhooks"] else ""
        typer.echo(
            f"{local_time(event['created'])}  {event['id']}  {event['type']}  {subject}{pending}"
        )
    if not page["data"] and not as_json:
        typer.echo("No events yet. Make one: hookloop trigger customer.created")


async def _show(event_id: str, url: str, key: str, *, as_json: bool) -> None:
    from .sandbox_caller import SandboxCaller

    async with SandboxCaller(url, key) as caller:
        event = await caller.result("GET", f"/v1/events/{event_id}")
        deliveries = (await caller.result("GET", f"/v1/events/{event_id}/deliveries"))["data"]
    if as_json:
        typer.echo(jsonlib.dumps({"event": event, "deliveries": deliveries}, indent=2))
        return
    typer.echo(jsonlib.dumps(event, indent=2))
    for delivery in deliveries:
        typer.echo(f"\n{delivery['webhook_endpoint']} {delivery['url'] or '(deleted)'}")
        for line in delivery_lines(delivery):
            typer.echo(f"  {line}")
    if not deliveries:
        typer.echo("\nNo endpoint wanted it when it happened.")


async def _resend(event_id: str, endpoint: str | None, url: str, key: str) -> None:
    from .sandbox_caller import SandboxCaller

    params = {"webhook_endpoint": endpoint} if endpoint else {}
    async with SandboxCaller(url, key) as caller:
        event = await caller.result("POST", f"/v1/events/{event_id}/retry", params)
    count = event["pending_webhooks"]
    if not count:
        typer.echo(f"No enabled endpoint wants {event['type']}: nothing was sent.")
        return
    typer.echo(f"{event_id} is on its way to {count} endpoint{'' if count == 1 else 's'} again.")
    typer.echo(f"Next: hookloop events show {event_id}")
