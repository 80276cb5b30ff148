"""Joins the commands; each stands in a file of its own name and does its heavy imports itself."""

from typing import Annotated

import typer

from hookloop.version import __version__

from .config import config
from .demo import demo
from .doctor import doctor
from .endpoints import endpoints
from .events import events
from .http import http
from .inbox import inbox
from .ngrok import ngrok
from .outbox import outbox
from .relay import relay
from .requests import requests
from .sandbox import sandbox
from .start import start
from .tcp import tcp
from .tls import tls
from .trigger import trigger
from .worker import worker

__all__ = ["app"]

app = typer.Typer(
    name="hookloop",
    help="Stripe -> public URL -> localhost -> your handler.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hookloop {__version__}")
        raise typer.Exit


@app.callback()
def hookloop(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Stripe -> public URL -> localhost -> your handler."""


app.add_typer(config, name="config")
app.command()(demo)
app.add_typer(doctor, name="doctor")
app.add_typer(endpoints, name="endpoints")
app.add_typer(events, name="events")
app.command()(http)
app.add_typer(inbox, name="inbox")
app.add_typer(ngrok, name="ngrok")
app.add_typer(outbox, name="outbox")
app.add_typer(relay, name="relay")
app.add_typer(requests, name="requests")
app.add_typer(sandbox, name="sandbox")
app.command()(start)
app.command()(tcp)
app.command()(tls)
app.command()(trigger)
app.command()(worker)
