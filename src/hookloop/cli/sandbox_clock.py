"""`hookloop sandbox clock`: what time it is in a running sandbox, and to make it later."""

import asyncio
import json as jsonlib
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hookloop.errors import ConfigError

from .runner import run
from .span import SPAN_HINT, span_seconds
from .trigger import EXAMPLE_KEY, EXAMPLE_URL, ApiKeyOption, UrlOption

__all__ = ["clock"]

LOOK_SECONDS = 0.1

clock = typer.Typer(
    help="What time it is in a running sandbox; put it forward, and what is due happens.",
    no_args_is_help=True,
)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON.")]


@clock.command()
def show(
    url: UrlOption = EXAMPLE_URL, api_key: ApiKeyOption = EXAMPLE_KEY, json: JsonOption = False
) -> None:
    """Print the time in the sandbox."""
    run(_show(url, api_key, as_json=json))


@clock.command()
def advance(
    span: Annotated[str, typer.Argument(help=f"How far: {SPAN_HINT}.")],
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
    json: JsonOption = False,
) -> None:
    """Put the sandbox's clock forward; settlements, expiries and retries on the way happen now."""
    run(_advance(span, url, api_key, as_json=json))


async def _show(url: str, key: str, *, as_json: bool) -> None:
    from hookloop.sandbox.clock_routes import CLOCK_PATH

    from .sandbox_caller import SandboxCaller

    async with SandboxCaller(url, key) as caller:
        _print(await caller.result("GET", CLOCK_PATH), as_json=as_json)


async def _advance(span: str, url: str, key: str, *, as_json: bool) -> None:
    from hookloop.sandbox.clock_routes import CLOCK_PATH

    from .sandbox_caller import SandboxCaller

    seconds = span_seconds(span)
    if seconds is None:
        raise ConfigError(f"{span!r} is no span of time: give {SPAN_HINT}")
    async with SandboxCaller(url, key) as caller:
        time = await caller.result("POST", CLOCK_PATH, {"advance": str(seconds)})
        while time["status"] != "ready":
            await asyncio.sleep(LOOK_SECONDS)
            time = await caller.result("GET", CLOCK_PATH)
    _print(time, as_json=as_json)


def _print(time: Any, *, as_json: bool) -> None:
    if as_json:
        typer.echo(jsonlib.dumps(time))
        return
    now = datetime.fromtimestamp(time["now"], UTC).astimezone()
    on_the_way = f"  ({time['status']})" if time["status"] != "ready" else ""
    typer.echo(f"{now:%Y-%m-%d %H:%M:%S %Z}{on_the_way}")
