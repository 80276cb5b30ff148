"""`hookloop trigger`: make an event happen in a running sandbox."""

import asyncio
import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookloop.errors import ConfigError, RemoteError

from .runner import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookloop.sandbox.triggers import Step

    from .sandbox_caller import SandboxCaller

__all__ = ["ApiKeyOption", "UrlOption", "trigger"]

EXAMPLE_KEY = "sk_test_hookloop"
EXAMPLE_URL = "http://127.0.0.1:12111"

WAIT_SECONDS = 10.0  # A bank debit settles two seconds after its charge, and a refund fails then.
LOOK_SECONDS = 0.1

UrlOption = Annotated[
    str, typer.Option("--url", envvar="HOOKLOOP_SANDBOX_URL", help="Where the sandbox listens.")
]
ApiKeyOption = Annotated[
    str,
    typer.Option("--api-key", envvar="STRIPE_API_KEY", help="The key whose account it happens in."),
]


def trigger(
    event: Annotated[
        str | None, typer.Argument(help="The type, such as payment_intent.succeeded.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(help="step:parameter=value, as customer:metadata.plan=pro; several times."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="The types there are.")] = False,
    url: UrlOption = EXAMPLE_URL,
    api_key: ApiKeyOption = EXAMPLE_KEY,
    json: Annotated[bool, typer.Option("--json", help="The event, as JSON.")] = False,
) -> None:
    """Make an event of a type happen in a running sandbox, by the requests that lead to it."""
    run(_trigger(event, override or [], url, api_key, lists=list_, as_json=json))


async def _trigger(
    event_type: str | None,
    overrides: list[str],
    url: str,
    key: str,
    *,
    lists: bool,
    as_json: bool,
) -> None:
    from hookloop.sandbox.triggers import TRIGGERS, overridden
    from hookloop.shapes.package import closest

    from .sandbox_caller import SandboxCaller

    if lists or event_type is None:
        typer.echo("\n".join(sorted(TRIGGERS)))
        return
    if event_type not in TRIGGERS:
        raise ConfigError(
            f"nothing here triggers {event_type!r}{closest(event_type, TRIGGERS)} "
            "(`hookloop trigger --list` names what can be)"
        )
    steps = overridden(TRIGGERS[event_type], overrides)
    async with SandboxCaller(url, key) as caller:
        latest = await caller.result("GET", "/v1/events", {"limit": "1"})
        await _take(caller, steps, quiet=as_json)
        found = await _happened(caller, event_type, latest["data"])
    if as_json:
        typer.echo(jsonlib.dumps(found, indent=2))
        return
    typer.echo(f"\n{found['type']} {found['id']} happened.")
    typer.echo(f"Next: hookloop events show {found['id']}")


async def _take(caller: "SandboxCaller", steps: "Sequence[Step]", *, quiet: bool) -> None:
    """Take each of *steps*; an answer may be used by those after it."""
    from hookloop.sandbox.triggers import resolved

    answers: dict[str, Any] = {}
    for planned in steps:
        step = resolved(planned, answers)
        status, answer = await caller.call(step.method, step.path, dict(step.params))
        if status != 200 and not (step.fails and status == 402):
            message = answer["error"]["message"]
            raise RemoteError(f"the step {step.name} was answered {status}: {message}")
        answers[step.name] = answer
        if not quiet:
            typer.echo(f"{step.name:<16} {step.method} {step.path} -> {status} {_id(answer)}")


async def _happened(caller: "SandboxCaller", event_type: str, latest: list[Any]) -> Any:
    """Return the newest event of the type after *latest*. Raises `RemoteError` if none comes."""
    query = {"type": event_type, "limit": "100"}
    if latest:
        query["ending_before"] = latest[0]["id"]
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                page = await caller.result("GET", "/v1/events", query)
                if page["data"]:
                    return page["data"][0]
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise RemoteError(
            f"{event_type} did not happen within {WAIT_SECONDS:g} s of the last step"
        ) from None


def _id(answer: Any) -> str:
    if "error" in answer:
        return str(answer["error"].get("decline_code") or answer["error"].get("code"))
    return str(answer.get("id") or f"{len(answer.get('data', []))} found")
