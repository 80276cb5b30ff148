"""`hookloop requests`: what was captured, listed, shown, compared, replayed and handed out."""

import difflib
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError

from .requests_store import StoreOption, opened
from .runner import reporting_errors, run

if TYPE_CHECKING:
    from hookloop.inspector import Captured, CaptureStore
    from hookloop.inspector.replay_plan import ReplayOrder

__all__ = ["requests"]

requests = typer.Typer(
    help="Look at what was captured, replay it, and hand it out.", no_args_is_help=True
)

LIMIT = 50
EXPORT_MAX = 100_000  # as many as the store is meant for
BODY_CHARS_SHOWN = 20_000

JsonOption = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
Texts = list[str] | None
_UNSET: Any = None


@requests.command("ls")
def ls(
    query: Annotated[str, typer.Argument(help="As in the inspector: 'status:5xx since:1h'.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = LIMIT,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List what was captured, newest first."""
    with reporting_errors(), opened(store) as kept:
        for each in _found(kept, query, limit):
            if json:
                _print_json(_summary(each))
                continue
            status = "---" if each.status is None else str(each.status)
            at = datetime.fromtimestamp(each.started_at, UTC).astimezone()
            facts = each.webhook
            kind = f"  {facts.event_type} {facts.event_id}".rstrip() if facts is not None else ""
            method, target = _text(each.request.method), _text(each.request.target)
            typer.echo(
                f"{each.id}  {at:%m-%d %H:%M:%S}  {status}  "
                f"{each.duration_seconds * 1000:7.1f} ms  {method} {target}{kind}"
            )


@requests.command()
def show(
    id: str,  # noqa: A002  # what it is called to the user
    form: Annotated[
        str, typer.Option("--as", help="text, raw, body, curl, httpx or pytest.")
    ] = "text",
    to: Annotated[str, typer.Option(help="Whom curl and httpx send it to.")] = "localhost:3000",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show one exchange, or make something to paste of it."""
    from hookloop.inspector import copied_as

    with reporting_errors(), opened(store) as kept:
        captured = _one(kept, id)
        base_url = to if "://" in to else f"http://{to}"
        if json:
            _print_json(_detail(captured))
        elif form == "body":
            typer.get_binary_stream("stdout").write(captured.request_body.data)
        elif form == "raw":
            typer.get_binary_stream("stdout").write(_raw(captured))
        elif form == "curl":
            typer.echo(copied_as.as_curl(captured, base_url))
        elif form == "httpx":
            typer.echo(copied_as.as_httpx(captured, base_url), nl=False)
        elif form == "pytest":
            typer.echo(copied_as.as_pytest(captured), nl=False)
        elif form == "text":
            typer.echo("\n".join(_lines(captured)))
        else:
            raise ConfigError(f"{form!r} is no form: use text, raw, body, curl, httpx or pytest")


@requests.command()
def diff(
    first: str,
    second: str,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Compare two exchanges; exit 1 where they differ, as diff does."""
    with reporting_errors(), opened(store) as kept:
        one, other = _one(kept, first), _one(kept, second)
        lines = list(
            difflib.unified_diff(_lines(one), _lines(other), one.id, other.id, lineterm="")
        )
        if json:
            _print_json({"first": one.id, "second": other.id, "diff": lines})
        else:
            typer.echo("\n".join(lines) if lines else "no difference")
    raise typer.Exit(1 if lines else 0)


@requests.command()
def replay(
    ids: Annotated[Texts, typer.Argument(help="Exchanges to send once more.")] = None,
    query: Annotated[str | None, typer.Option(help="All that this finds, oldest first.")] = None,
    to: Annotated[str, typer.Option(help="The local service to send it to.")] = "3000",
    resign: Annotated[bool, typer.Option("--resign", help="Sign afresh, for now.")] = False,
    secret: Annotated[
        Texts, typer.Option(help="What to sign with; also taken from the environment.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Whose, where it has no signature.")] = None,
    method: Annotated[str | None, typer.Option(help="Another method.")] = None,
    path: Annotated[str | None, typer.Option(help="Another path and query.")] = None,
    header: Annotated[Texts, typer.Option(help="'Name: value', in the place of its own.")] = None,
    remove_header: Annotated[Texts, typer.Option(help="A field to leave out.")] = None,
    body: Annotated[str | None, typer.Option(help="Another body; @FILE reads one.")] = None,
    copies: Annotated[int, typer.Option(help="Send each so often.")] = 1,
    delay: Annotated[float, typer.Option(help="Seconds later.")] = 0.0,
    reorder: Annotated[bool, typer.Option("--reorder", help="In another order.")] = False,
    corrupt: Annotated[bool, typer.Option("--corrupt", help="Break the signature.")] = False,
    only: Annotated[
        Texts, typer.Option(help="Copies, delay and so on for this type alone.")
    ] = None,
    rate: Annotated[float, typer.Option(help="A second, at most.")] = 10.0,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """
    Send captured requests to a local service once more.

    Exit 0 where each was answered 2xx, else 1.
    """
    from hookloop.inspector.replay_plan import Edits, Faults, ReplayOrder

    with reporting_errors():
        edits = Edits(
            method=None if method is None else method.encode("latin-1", "replace"),
            target=None if path is None else path.encode("utf-8"),
            set_headers=tuple(_field(text) for text in header or ()),
            remove_headers=tuple(name.encode("utf-8") for name in remove_header or ()),
            body=_body(body),
        )
        faults = Faults(
            copies=copies,
            delay_seconds=delay,
            reorder=reorder,
            corrupt=corrupt,
            event_types=tuple(only or ()),
        )
        order = ReplayOrder(edits=edits, resign=resign, provider=provider, faults=faults, rate=rate)
        if not ids and query is None:
            raise ConfigError("say which: give ids, or --query; hookloop requests ls has them")
    run(_replay(ids or [], query, to, order, secret or [], store, as_json=json))


@requests.command("export")
def export(
    query: Annotated[str, typer.Argument(help="Which; all without.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Else to stdout.")] = None,
    store: StoreOption = None,
) -> None:
    """Write a HAR 1.2 file, for browsers' tools and others."""
    from hookloop.inspector.har import to_har
    from hookloop.version import __version__

    with reporting_errors(), opened(store) as kept:
        found = _found(kept, query, EXPORT_MAX)
        text = json.dumps(to_har(reversed(found), __version__), indent=2)
        if output is None:
            typer.echo(text)
            return
        try:
            # Payloads are for the owner's eyes.
            output.touch(mode=0o600)
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {output}: {error.strerror}") from None
        typer.echo(f"{len(found)} exchanges are in {output}")


@requests.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A HAR file, whoever wrote it.")],
    store: StoreOption = None,
) -> None:
    """Read a HAR file into the captures."""
    from hookloop.inspector.captured import capture_id
    from hookloop.inspector.har import from_har

    clock = SystemClock()
    with reporting_errors(), opened(store, is_made=True) as kept:
        numbers = iter(range(1 << 20))
        try:
            read = from_har(file.read_bytes(), lambda at: capture_id(at, next(numbers)))
        except OSError as error:
            raise ConfigError(f"cannot read {file}: {error.strerror}") from None
        kept.add(read, now=clock.wall())
        typer.echo(f"{len(read)} exchanges were read from {file}")


# --- inside ----------------------------------------------------------------------------------


async def _replay(
    ids: list[str],
    query: str | None,
    to: str,
    order: "ReplayOrder",
    secrets: list[str],
    store: Path | None,
    *,
    as_json: bool,
) -> int:
    from random import SystemRandom

    from hookloop.inspector.replay_plan import SHOTS_MAX, plan
    from hookloop.tunnel.agent.options import TunnelOptions
    from hookloop.tunnel.embedded import served

    from .known_secrets import known_secrets
    from .replayer import Replayer

    clock = SystemClock()
    with opened(store) as kept:
        chosen = [_one(kept, id_) for id_ in ids]
        if query is not None:
            chosen += reversed(_found(kept, query, SHOTS_MAX + 1))
        shots = plan(
            chosen,
            order,
            known_secrets(secrets, os.environ),
            now=clock.wall(),
            random=SystemRandom().random,
        )
        async with served(TunnelOptions(upstream=to, host_header="rewrite")) as config:
            landed = await Replayer(lambda _: config, kept).run(shots)
    for each in landed:
        if as_json:
            _print_json(_summary(each))
        else:
            outcome = each.failure or (each.status if each.status is not None else "no answer")
            note = f"  ({each.note})" if each.note else ""
            typer.echo(f"{each.id}  replay of {each.origin}  {outcome}{note}")
    return 0 if all(200 <= (each.status or 0) < 300 for each in landed) else 1


def _found(kept: "CaptureStore", query: str, limit: int) -> "list[Captured]":
    from hookloop.inspector import parse_query

    asked = parse_query(query, now=SystemClock().wall())
    ids: list[str] = []
    before: int | None = None
    while len(ids) < limit:
        page = kept.find(asked, limit=min(limit - len(ids), 500), before=before)
        ids += [summary.id for summary in page.items]
        before = page.before
        if before is None:
            break
    return [captured for id_ in ids if (captured := kept.get(id_)) is not None]


def _one(kept: "CaptureStore", id_: str) -> "Captured":
    captured = kept.get(id_)
    if captured is None:
        raise ConfigError(f"no exchange {id_!r} was captured: hookloop requests ls has them")
    return captured


def _summary(captured: "Captured") -> dict[str, Any]:
    return captured.summary()._asdict()


def _detail(captured: "Captured") -> dict[str, Any]:
    from hookloop.inspector.har import to_har

    entry = to_har([captured], "")["log"]["entries"][0]
    return {**_summary(captured), "request": entry["request"], "response": entry["response"]}


def _lines(captured: "Captured") -> list[str]:
    """Return the exchange for eyes: nothing in it can steer a terminal."""
    from hookloop.inspector.body_text import text_of

    from .console_text import printable

    request, response = captured.request, captured.response
    lines = [f"{_text(request.method)} {_text(request.target)}"]
    lines += [f"{_text(name)}: {_text(value)}" for name, value in request.headers]
    lines += ["", *_pretty(text_of(request.headers, captured.request_body.data))]
    if response is not None:
        lines += ["", f"{response.status} {_text(response.reason)}".rstrip()]
        lines += [f"{_text(name)}: {_text(value)}" for name, value in response.headers]
        lines += ["", *_pretty(text_of(response.headers, captured.response_body.data))]
    if captured.failure:
        lines += ["", f"failed: {captured.failure}"]
    return [printable(line) for line in lines]


def _pretty(text: str | None) -> list[str]:
    if text is None:
        return ["(bytes that are no text: --as body writes them)"]
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text[:BODY_CHARS_SHOWN].splitlines()


def _raw(captured: "Captured") -> bytes:
    request = captured.request
    fields = b"".join(b"%b: %b\r\n" % each for each in request.headers)
    line = b"%b %b HTTP/1.1\r\n" % (request.method, request.target)
    return line + fields + b"\r\n" + captured.request_body.data


def _field(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ConfigError(f"{text!r} is no header: give it as 'Name: value'")
    return name.strip().encode(), value.strip().encode()


def _body(told: str | None) -> bytes | None:
    if told is None or not told.startswith("@"):
        return None if told is None else told.encode()
    try:
        return Path(told[1:]).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {told[1:]}: {error.strerror}") from None


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value))
