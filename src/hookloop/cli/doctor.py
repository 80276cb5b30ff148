"""`hookloop doctor`: why a webhook fails, and what to do next."""

import os
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError

from .diagnosis_printer import print_findings
from .runner import run

if TYPE_CHECKING:
    from hookloop.doctor import Case, RawRequest

__all__ = ["doctor"]

TIMEOUT_SECONDS = 10.0  # Stripe's own is not published; reports put it between 10 and 30 s.

doctor = typer.Typer(
    help="Find out why a webhook fails: a saved request, a URL, or an app's handlers.",
    no_args_is_help=True,
)

SecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        help="A signing secret the app verifies with, whsec_... or label=whsec_...; may be given "
        "several times. Without it: STRIPE_WEBHOOK_SECRET.",
    ),
]
KnownOption = Annotated[
    list[str] | None,
    typer.Option(
        "--known",
        help="Another secret that may have signed, label=whsec_...; may be given several times. "
        "HOOKLOOP_SECRETS, separated by commas, adds to these.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@doctor.command()
def request(
    file: Annotated[
        typer.FileBinaryRead | None,
        typer.Argument(help="A saved HTTP request: request line, headers, body; - for stdin."),
    ] = None,
    body: Annotated[
        typer.FileBinaryRead | None,
        typer.Option(help="The body alone, with --header for what else is known; - for stdin."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="'Stripe-Signature: t=...'; may be given several times."),
    ] = None,
    secret: SecretOption = None,
    known: KnownOption = None,
    at: Annotated[
        str | None,
        typer.Option(help="When it arrived: Unix seconds or ISO 8601. Makes its age certain."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where it was sent.")] = None,
    status: Annotated[int | None, typer.Option(help="The status the app answered with.")] = None,
    answer: Annotated[
        typer.FileBinaryRead | None, typer.Option(help="The app's saved HTTP response.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """
    Explain why a saved request was refused.

    Nothing is sent anywhere: the request is read and its signature recomputed.
    """
    run(_request(file, body, header or [], secret, known, at, url, status, answer, as_json=json))


async def _request(
    file: typer.FileBinaryRead | None,
    body: typer.FileBinaryRead | None,
    headers: list[str],
    secret: list[str] | None,
    known: list[str] | None,
    at: str | None,
    url: str | None,
    status: int | None,
    answer: typer.FileBinaryRead | None,
    *,
    as_json: bool,
) -> int:
    from hookloop.doctor import Answer, Case, diagnose, read_response

    saved = _saved(file, body, headers)
    secrets, used = _secrets(secret, known, os.environ)
    given = Answer(status) if status is not None else None
    case = Case(
        body=saved.body,
        headers=saved.headers,
        secrets=secrets,
        now=SystemClock().wall() if at is None else _moment(at),
        method=saved.method,
        url=url or saved.url,
        used=used,
        is_now_known=at is not None,
        answer=given if answer is None else read_response(answer.read()),
    )
    return print_findings(diagnose(case), healthy=_good(case), as_json=as_json)


def _good(case: "Case") -> str:
    told = "" if case.answer is None else " and the answer shows no fault"
    return f"the request is rightly signed, in time{told}"


def _saved(
    file: typer.FileBinaryRead | None, body: typer.FileBinaryRead | None, headers: list[str]
) -> "RawRequest":
    from hookloop.doctor import RawRequest, read_request

    if (file is None) == (body is None):
        raise ConfigError("give a saved request, or --body FILE with --header, and not both")
    if body is not None:
        return RawRequest("POST", "/", _headers(headers), body.read())
    assert file is not None  # noqa: S101  # for type checkers: one of the two is given
    saved = read_request(file.read())
    return RawRequest(saved.method, saved.url, saved.headers + _headers(headers), saved.body)


def _headers(texts: list[str]) -> tuple[tuple[str, str], ...]:
    headers = []
    for text in texts:
        name, found, value = text.partition(":")
        if not found:
            raise ConfigError("a --header is a name, a colon and a value, and one has no colon")
        headers.append((name.strip(), value.strip()))
    return tuple(headers)


def _secrets(
    given: list[str] | None, known: list[str] | None, environment: Mapping[str, str]
) -> tuple[dict[str, str], frozenset[str] | None]:
    """
    Return all secrets by label, those of the app first, and the app's labels if known.

    The environment is read here and not by typer, which would take newlines off:
    they may be the fault.
    """
    from hookloop.doctor import parse_secrets

    name = "STRIPE_WEBHOOK_SECRET"
    found = environment.get(name, "")
    mine = given or ([f"{name}={found}"] if found.strip() else [])
    listed = environment.get("HOOKLOOP_SECRETS", "")
    others = [*(known or []), *(text for text in listed.split(",") if text.strip())]
    used = parse_secrets(mine)
    secrets = parse_secrets([*mine, *others])
    return secrets, frozenset(used) if used else None


def _moment(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text, re.ASCII):
        return float(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ConfigError(
            "--at is neither Unix seconds nor a time such as 2026-01-31T12:00:00Z"
        ) from None


@doctor.command()
def url(
    url: Annotated[str, typer.Argument(help="The webhook's address, local or public.")],
    secret: SecretOption = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for each answer.", min=0.1)
    ] = TIMEOUT_SECONDS,
    json: JsonOption = False,
) -> None:
    """
    Send harmless events to your own URL, and explain its answers.

    One is unsigned and one forged, and both must be refused. With a secret one is
    signed as Stripe does and must be accepted. Their type is hookloop.probe; no
    redirect is followed.
    """
    run(_url(url, secret, timeout, as_json=json))


async def _url(url: str, secret: list[str] | None, timeout: float, *, as_json: bool) -> int:  # noqa: ASYNC109  # handed on, not waited for here
    from hookloop.doctor import check_answers

    from .prober import sent_probes

    secrets, _ = _secrets(secret, None, os.environ)
    chosen = next(iter(secrets.values())).strip() if secrets else None
    answers = await sent_probes(url, chosen, timeout_seconds=timeout)
    healthy = (
        "a signed event is accepted; an unsigned, a forged and an old one are refused"
        if chosen
        else "unsigned and forged events are refused; with --secret a signed one is tried as well"
    )
    return print_findings(check_answers(answers, url, chosen), healthy=healthy, as_json=as_json)


@doctor.command()
def app(
    target: Annotated[
        str, typer.Argument(help="Where your Hooks are: module:name.", metavar="MODULE:HOOKS")
    ],
    endpoint: Annotated[
        str | None, typer.Option(help="The endpoint at Stripe to compare with: we_...")
    ] = None,
    api_key: Annotated[
        str,
        typer.Option(
            envvar=["STRIPE_API_KEY", "STRIPE_SECRET_KEY"],
            show_default=False,
            help="To ask for the endpoint; a restricted key that reads webhook endpoints will do.",
        ),
    ] = "",
    api_base: Annotated[
        str | None, typer.Option(help="Another API, such as http://127.0.0.1:12111.")
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="The path your app answers at, to compare the URL with.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """
    Compare the handlers in your code with the endpoint at Stripe.

    The module is imported from this folder; with DJANGO_SETTINGS_MODULE set, Django
    is set up before.
    """
    run(_app(target, endpoint, api_key, api_base, path, as_json=json))


async def _app(
    target: str,
    endpoint_id: str | None,
    api_key: str,
    api_base: str | None,
    path: str | None,
    *,
    as_json: bool,
) -> int:
    from hookloop.doctor import Finding, check_endpoint, check_handlers, listening

    from .app_loader import loaded_hooks
    from .endpoint_reader import known_event_types, read_endpoint, sdk_api_version

    hooks = loaded_hooks(target)
    if isinstance(hooks, Finding):
        return print_findings((hooks,), healthy="", as_json=as_json)
    heard = listening(hooks, known_event_types())
    findings = tuple(check_handlers(heard))
    if endpoint_id is not None:
        endpoint = read_endpoint(endpoint_id, api_key, api_base)
        findings = check_endpoint(
            endpoint, heard, hooks=hooks, sdk_version=sdk_api_version(), served_path=path
        )
    compared = "" if endpoint_id is None else f", and {endpoint_id} sends what they are for"
    healthy = f"handlers are registered for {heard.in_words()}{compared}"
    return print_findings(findings, healthy=healthy, as_json=as_json)
