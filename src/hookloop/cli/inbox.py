"""`hookloop inbox`: what was received, what became of it, and having it run again."""

import json as jsonlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .runner import run

if TYPE_CHECKING:
    from hookloop.ledger.store import Selection, Store

__all__ = ["inbox"]

inbox = typer.Typer(
    help="Received events, what became of them, and having them run again.", no_args_is_help=True
)

DbOption = Annotated[
    str, typer.Option(envvar="HOOKLOOP_INBOX", help="The inbox: sqlite:///hooks.db")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="Only events of this type.")]
HandlerOption = Annotated[str | None, typer.Option(help="Only this handler, as `ls` names it.")]
SinceOption = Annotated[
    datetime | None, typer.Option(help="Received from this time on, UTC: 2026-11-25T12:00:00")
]
LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")]
AfterOption = Annotated[int, typer.Option(help="Go on after this id.")]


@inbox.command()
def ls(
    db: DbOption,
    type_: TypeOption = None,
    handler: HandlerOption = None,
    state: Annotated[str | None, typer.Option(help="waiting, ready, leased, done or dead.")] = None,
    since: SinceOption = None,
    limit: LimitOption = 100,
    after: AfterOption = 0,
    json: JsonOption = False,
) -> None:
    """List what each handler is owed, and was, oldest first."""
    _with(db, lambda store: _list(store, _where(type_, handler, state, since), limit, after, json))


@inbox.command()
def dead(
    db: DbOption,
    type_: TypeOption = None,
    handler: HandlerOption = None,
    since: SinceOption = None,
    limit: LimitOption = 100,
    after: AfterOption = 0,
    json: JsonOption = False,
) -> None:
    """List what was given up."""
    where = _where(type_, handler, "dead", since)
    _with(db, lambda store: _list(store, where, limit, after, json))


@inbox.command()
def show(
    entry: Annotated[int, typer.Argument(help="The entry's number, as `ls` prints it.")],
    db: DbOption,
    body: Annotated[bool, typer.Option("--body", help="The event too: private.")] = False,
) -> None:
    """Print an entry as JSON, with every attempt of every handler."""

    async def work(store: "Store") -> int:
        from hookloop.inbox import admin

        view = await admin.show(store, entry)
        if view is None:
            typer.echo(f"hookloop: there is no entry {entry}, or none any more", err=True)
            return 1
        also = {"body": view.message.body.decode(errors="replace")} if body else {}
        typer.echo(jsonlib.dumps(view.to_dict() | also, indent=2))
        return 0

    _with(db, work)


@inbox.command()
def replay(
    db: DbOption,
    entry: Annotated[int | None, typer.Option(help="Only this entry.")] = None,
    type_: TypeOption = None,
    handler: HandlerOption = None,
    state: Annotated[str | None, typer.Option(help="done or dead; else both.")] = None,
    since: SinceOption = None,
    per_second: Annotated[float | None, typer.Option(help="Not all at once.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Of all there is, too.")] = False,
) -> None:
    """Have handlers run again on what is settled and fits."""
    where = _where(type_, handler, state, since, entry)
    if per_second is not None and per_second <= 0:
        raise typer.BadParameter("--per-second must be over 0")
    if all(given is None for given in (entry, type_, handler, state, since)) and not yes:
        raise typer.BadParameter("that is everything: name what is meant, or say --yes")

    async def work(store: "Store") -> int:
        from hookloop.inbox import admin

        count = await admin.replay(store, where, per_second=per_second)
        typer.echo(f"{count} to be run again by the inbox's workers.")
        return 0

    _with(db, work)


@inbox.command()
def prune(
    db: DbOption,
    done_days: Annotated[float, typer.Option(min=0, help="Keep done ones so long.")] = 7.0,
    dead_days: Annotated[float, typer.Option(min=0, help="Keep dead ones so long.")] = 35.0,
) -> None:
    """Forget what is settled for longer than that; its ids are known for 35 days all the same."""

    async def work(store: "Store") -> int:
        from hookloop.inbox import admin
        from hookloop.ledger.store import Retention

        day = 24 * 3600.0
        count = await admin.forget(store, Retention(done_days * day, dead_days * day))
        typer.echo(f"{count} forgotten.")
        return 0

    _with(db, work)


@inbox.command()
def stats(db: DbOption, json: JsonOption = False) -> None:
    """Count what each handler is owed, and was."""
    _with(db, lambda store: _stats(store, json))


async def _list(store: "Store", where: "Selection", limit: int, after: int, as_json: bool) -> int:
    from hookloop.inbox import admin

    rows: list[dict[str, Any]] = [
        {
            "id": one.delivery.id,
            "entry": one.delivery.message,
            "key": None if one.message is None else one.message.key,
            "type": None if one.message is None else one.message.type,
            "received_at": None if one.message is None else one.message.received_at,
            "handler": one.handler,
            "state": one.delivery.state.value,
            "attempts": one.delivery.attempts,
            "detail": one.delivery.detail,
        }
        for one in await admin.runs(store, where, limit=limit, after=after)
    ]
    if as_json:
        typer.echo(jsonlib.dumps(rows, indent=2))
        return 0
    for row in rows:
        at = "" if row["received_at"] is None else _time(row["received_at"])
        typer.echo(
            f"{row['entry']}  {at}  {row['type']}  {row['key']}  {row['handler']}  {row['state']}"
            f"  {row['attempts']}x  {row['detail'][:80]}".rstrip()
        )
    if not rows:
        typer.echo("Nothing fits.")
    elif len(rows) == limit:
        typer.echo(f"Next: --after {rows[-1]['id']}")
    return 0


async def _stats(store: "Store", as_json: bool) -> int:
    from hookloop.inbox import admin
    from hookloop.ledger.store import FIND_MAX, Selection

    targets, after = set(), 0
    while page := await store.find(Selection(), limit=FIND_MAX, after=after):
        targets |= {one.target for one in page}
        after = page[-1].id
    tallies = await admin.count(store, sorted(targets))
    rows = [
        {
            "handler": target.removeprefix("handler:"),
            "owed": tally.owed,
            "done": tally.done,
            "dead": tally.dead,
            "oldest_received_at": tally.oldest_received_at,
        }
        for target, tally in tallies.items()
    ]
    if as_json:
        typer.echo(jsonlib.dumps(rows, indent=2))
        return 0
    for row in rows:
        typer.echo(f"{row['handler']}  owed {row['owed']}  done {row['done']}  dead {row['dead']}")
    if not rows:
        typer.echo("Nothing was received yet.")
    return 0


def _where(
    type_: str | None,
    handler: str | None,
    state: str | None,
    since: datetime | None,
    entry: int | None = None,
) -> "Selection":
    from hookloop.ledger.delivery import State
    from hookloop.ledger.store import Selection

    if state is not None and state not in {one.value for one in State}:
        raise typer.BadParameter(f"{state!r} is no state: waiting, ready, leased, done or dead")
    return Selection(
        target=None if handler is None else f"handler:{handler}",
        type=type_,
        state=None if state is None else State(state),
        message=entry,
        received_from=None if since is None else since.replace(tzinfo=UTC).timestamp(),
    )


def _with(db: str, work: "Callable[[Store], Awaitable[int]]") -> None:
    from pathlib import Path

    from hookloop.errors import ConfigError
    from hookloop.inbox.backend import backend_for

    path = Path(db.removeprefix("sqlite:///"))
    is_missing = db.startswith("sqlite:///") and not path.exists()

    async def main() -> int:
        if is_missing:
            raise ConfigError(f"there is no inbox at {path}: give the one Hooks(inbox=...) has")
        store = await backend_for(db).open()
        try:
            return await work(store)
        finally:
            await store.close()

    run(main())


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"
