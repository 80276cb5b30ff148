"""`hookloop endpoints`: the webhook endpoints of a running sandbox, as its dashboard has them."""

import json as jsonlib
from typing import Annotated, Any

import typer

from hookloop.errors import ConfigError

from .runner import reporting_errors, run
from .span import SPAN_HINT, span_seconds
from .trigger import EXAMPLE_KEY, EXAMPLE_URL, ApiKeyOption, UrlOption

__all__ = ["endpoints"]

endpoints = typer.Typer(
    help="The webhook endpoints of a running sandbox: create, try, roll, disable.",
    no_args_is_help=True,
)

EndpointArgument = Annotated[str, typer.Argument(help="The endpoint, we_...")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON.")]

ENDPOINTS_PATH = "/v1/webhook_endpoints"


@endpoints.command()
def ls(
    url: UrlOption = EXAMPLE_URL, api_key: ApiKeyOption = EXAMPLE_KEY, json: JsonOption = False
) -> None:
    """List the endpoints, newest first."""
    run(_ls(url, api_key, as_json=json))


@endpoints.command()
def create(
    address: Annotated[str, typer.Argument(help="Where events are POSTed, http:// or https://.")],
    event: Annotated[
        list[str] | None, typer.Option(help="Only this type; several times for several.")
    ] = None,
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
    json: JsonOption = False,
) -> None:
    """Create an endpoint, and print its secret: it is shown this once."""
    params = {"url": address}
    params |= {f"enabled_events[{at}]": one for at, one in enumerate(event or ["*"])}
    run(_secret(ENDPOINTS_PATH, params, url, api_key, as_json=json))


@endpoints.command("test")
def send_sample(
    endpoint: EndpointArgument,
    type_: Annotated[
        str, typer.Option("--type", help="The event's type.")
    ] = "payment_intent.succeeded",
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
) -> None:
    """Send an endpoint a sample event, whose ids are all zeros, as Stripe's dashboard does."""
    run(_send_sample(endpoint, type_, url, api_key))


@endpoints.command()
def roll(
    endpoint: EndpointArgument,
    expires_in: Annotated[
        str, typer.Option(help=f"How long the old secret signs too: {SPAN_HINT}, a day at most.")
    ] = "24h",
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
    json: JsonOption = False,
) -> None:
    """Give an endpoint a new secret, and print it; for a while both sign."""
    with reporting_errors():
        seconds = span_seconds(expires_in)
        if seconds is None:
            raise ConfigError(f"{expires_in!r} is no span of time: give {SPAN_HINT}")
    path = f"{ENDPOINTS_PATH}/{endpoint}/roll_secret"
    run(_secret(path, {"expires_in": str(seconds)}, url, api_key, as_json=json))


@endpoints.command()
def enable(
    endpoint: EndpointArgument, url: UrlOption = EXAMPLE_URL, api_key: ApiKeyOption = EXAMPLE_KEY
) -> None:
    """Let an endpoint get events again; what happened meanwhile is not sent."""
    run(_change(endpoint, {"disabled": "false"}, url, api_key))


@endpoints.command()
def disable(
    endpoint: EndpointArgument, url: UrlOption = EXAMPLE_URL, api_key: ApiKeyOption = EXAMPLE_KEY
) -> None:
    """Let an endpoint get nothing; what is pending for it is given up."""
    run(_change(endpoint, {"disabled": "true"}, url, api_key))


@endpoints.command()
def delete(
    endpoint: EndpointArgument, url: UrlOption = EXAMPLE_URL, api_key: ApiKeyOption = EXAMPLE_KEY
) -> None:
    """Forget an endpoint; what is pending for it is given up."""
    run(_delete(endpoint, url, api_key))


@endpoints.command()
def deliveries(
    endpoint: EndpointArgument,
    state: Annotated[
        str | None, typer.Option(help="Only these: pending, delivered, failed or abandoned.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="The newest so many.")] = 10,
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
    json: JsonOption = False,
) -> None:
    """List what an endpoint was sent, newest first, and what came of it."""
    run(_deliveries(endpoint, state, limit, url, api_key, as_json=json))


async def _ls(url: str, key: str, *, as_json: bool) -> None:
    from .sandbox_caller import SandboxCaller

    async with SandboxCaller(url, key) as caller:
        found = (await caller.result("GET", ENDPOINTS_PATH, {"limit": "100"}))["data"]
    if as_json:
        typer.echo(jsonlib.dumps(found, indent=2))
        return
    for endpoint in found:
        types = ", ".join(endpoint["enabled_events"][:3])
        more = len(endpoint["enabled_events"]) - 3
        types += f" and {more} more" if more > 0 else ""
        typer.echo(f"{endpoint['id']}  {endpoint['status']:<8}  {endpoint['url']}  {types}")
    if not found:
        typer.echo(
            "No endpoints yet. Create one: hookloop endpoints create "
            "http://localhost:3000/webhooks/stripe"
        )


async def _secret(path: str, params: dict[str, str], url: str, key: str, *, as_json: bool) -> None:
    from .sandbox_caller import SandboxCaller

    async with SandboxCaller(url, key) as caller:
        endpoint = await caller.result("POST", path, params)
    if as_json:
        typer.echo(jsonlib.dumps(endpoint, indent=2))
        return
    typer.echo(f"endpoint  {endpoint['id']}  {endpoint['url']}")
    typer.echo(f"secret    {endpoint['secret']}")


async def _send_sample(endpoint: str, event_type: str, url: str, key: str) -> None:
    from .sandbox_caller import SandboxCaller

    path = f"{ENDPOINTS_PATH}/{endpoint}/send_sample"
    async with SandboxCaller(url, key) as caller:
        event = await caller.result("POST", path, {"type": event_type})
    typer.echo(f"{event['id']} ({event['type']}) is on its way.")
    typer.echo(f"Next: hookloop endpoints deliveries {endpoint}")


async def _change(endpoint: str, params: dict[str, str], url: str, key: str) -> None:
    from .sandbox_caller import SandboxCaller

    async with SandboxCaller(url, key) as caller:
        changed = await caller.result("POST", f"{ENDPOINTS_PATH}/{endpoint}", params)
    typer.echo(f"{changed['id']}  {changed['status']}  {changed['url']}")


async def _delete(endpoint: str, url: str, key: str) -> None:
    from .sandbox_caller import SandboxCaller

    async with SandboxCaller(url, key) as caller:
        await caller.result("DELETE", f"{ENDPOINTS_PATH}/{endpoint}")
    typer.echo(f"{endpoint}  deleted")


async def _deliveries(
    endpoint: str, state: str | None, limit: int, url: str, key: str, *, as_json: bool
) -> None:
    from .delivery_lines import delivery_lines
    from .sandbox_caller import SandboxCaller

    query = {"limit": str(limit), **({"state": state} if state else {})}
    async with SandboxCaller(url, key) as caller:
        page: Any = await caller.result("GET", f"{ENDPOINTS_PATH}/{endpoint}/deliveries", query)
    if as_json:
        typer.echo(jsonlib.dumps(page["data"], indent=2))
        return
    for delivery in page["data"]:
        typer.echo(delivery["event"])
        for line in delivery_lines(delivery):
            typer.echo(f"  {line}")
    if not page["data"]:
        typer.echo("Nothing was owed to it.")
