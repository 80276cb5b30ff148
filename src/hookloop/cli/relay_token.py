"""`hookloop relay token`: who may use a relay."""

import json
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError

from .runner import reporting_errors
from .span import span_seconds

if TYPE_CHECKING:
    from hookloop.tunnel.relay.tokens import Token

__all__ = ["token"]

token = typer.Typer(
    help="Create, list and revoke the tokens of a relay; a running relay notices by itself.",
    no_args_is_help=True,
)

FileOption = Annotated[
    Path,
    typer.Option(
        "--tokens",
        envvar="HOOKLOOP_TOKENS_FILE",
        help="The file that the relay was given as --tokens.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="A JSON object a line.")]


@token.command()
def create(
    label: Annotated[str, typer.Argument(help="Whose it is: a person, a team, a CI job.")],
    tokens: FileOption,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="A name nobody else may bind: shop, ci-*, or a whole host such as "
            "hooks.customer.com; may be given several times."
        ),
    ] = None,
    own_names_only: Annotated[
        bool, typer.Option("--own-names-only", help="It may bind no other names than those.")
    ] = False,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: in 12h, 90d or 4w, or at 2030-12-31.")
    ] = None,
    sessions_max: Annotated[
        int | None, typer.Option(help="How many agents may use it at once.")
    ] = None,
    tunnels_max: Annotated[
        int | None, typer.Option(help="How many names it may have at once.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token and show it, this once: the file holds its hash."""
    from dataclasses import replace

    from hookloop.tunnel.relay.token_file import editing
    from hookloop.tunnel.relay.tokens import given_token, new_token

    with reporting_errors():
        now = int(SystemClock().wall())
        secret = new_token(SystemRandom())
        made = replace(
            given_token(secret),
            label=label,
            created=now,
            expires=_time(expires, now) if expires else None,
            names=tuple(name or ()),
            own_names_only=own_names_only,
            sessions_max=sessions_max,
            tunnels_max=tunnels_max,
        )
        with editing(tokens) as known:
            known.append(made)
    if as_json:
        typer.echo(json.dumps({"token": secret, **_members(made)}))
        return
    typer.echo(f"token  {secret}\nid     {made.id}   ({label})")
    typer.echo("\nThis is the only time it is shown. Next, beside an app:")
    first = next((own for own in made.names if "*" not in own), None)
    named = f" --name {first}" if first else ""
    typer.echo(f"  HOOKLOOP_TOKEN={secret} hookloop http 3000 --relay URL{named}")


@token.command("list")
def list_(tokens: FileOption, as_json: JsonOption = False) -> None:
    """Show the tokens of a file; none of their secrets is in it."""
    from hookloop.tunnel.relay.token_file import read_tokens

    with reporting_errors():
        known = read_tokens(tokens)
    if as_json:
        for each in known:
            typer.echo(json.dumps(_members(each)))
        return
    if not known:
        typer.echo(f"There are none. Make one: hookloop relay token create LABEL --tokens {tokens}")
        return
    now = SystemClock().wall()
    rows = [("ID", "LABEL", "CREATED", "EXPIRES", "NAMES"), *(_row(each, now) for each in known)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


@token.command()
def revoke(
    which: Annotated[str, typer.Argument(help="Its id, or its label if only one has it.")],
    tokens: FileOption,
    as_json: JsonOption = False,
) -> None:
    """End a token: its sessions end within seconds, and no other is opened with it."""
    from hookloop.tunnel.relay.token_file import editing

    with reporting_errors(), editing(tokens) as known:
        found = [each for each in known if each.id == which]
        found = found or [each for each in known if each.label == which]
        if not found:
            raise ConfigError(f"{tokens} has no token {which!r}: see `hookloop relay token list`")
        if len(found) > 1:
            ids = ", ".join(each.id for each in found)
            raise ConfigError(f"several tokens have the label {which!r}: give an id, {ids}")
        known.remove(found[0])
    if as_json:
        typer.echo(json.dumps({"revoked": found[0].id, "label": found[0].label}))
    else:
        typer.echo(f"revoked  {found[0].id}   ({found[0].label})")


def _time(text: str, now: int) -> int:
    if (span := span_seconds(text)) is not None:
        return now + span
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time for --expires: give 12h, 90d, 4w, or a date such as 2030-12-31"
        ) from None
    ends = int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
    if ends <= now:
        raise ConfigError(f"--expires {text} has passed")
    return ends


def _row(known: "Token", now: float) -> tuple[str, ...]:
    created = _date(known.created) if known.created else "-"
    expires = "never" if known.expires is None else _date(known.expires)
    if known.is_expired(now):
        expires += " (over)"
    names = " ".join(known.names) or "-"
    if known.own_names_only:
        names += " (no others)"
    return known.id, known.label or "-", created, expires, names


def _date(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _members(known: "Token") -> dict[str, Any]:
    """Return all but the hash: it is of no use to anybody but the relay."""
    from dataclasses import asdict

    members = asdict(known)
    del members["sha256"]
    return members
