"""
`hookloop ngrok`: ngrok's command line on our agent, for programs that start ngrok.

pyngrok and its like want the path of one file: that of the script `hookloop-ngrok`.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from hookloop.errors import ConfigError

from .ngrok_agent import NGROK_VERSION
from .ngrok_file import read_definition
from .ngrok_settings import default_config_path, read_settings, save_authtoken
from .runner import reporting_errors, run

__all__ = ["ngrok"]

ngrok = typer.Typer(
    help="ngrok's command line and local API, for programs that start ngrok.",
    no_args_is_help=True,
)
_config = typer.Typer(help="The file ngrok.yml.", no_args_is_help=True)
ngrok.add_typer(_config, name="config")

ConfigOption = Annotated[
    list[Path] | None, typer.Option("--config", help="The ngrok.yml to read; the last one counts.")
]
LogOption = Annotated[str | None, typer.Option("--log", help="stdout, stderr, false or a file.")]
FormatOption = Annotated[str | None, typer.Option("--log-format", help="logfmt, json or term.")]
LevelOption = Annotated[
    str | None, typer.Option("--log-level", help="debug, info, warn, error or crit.")
]
TokenOption = Annotated[
    str | None, typer.Option("--authtoken", help="The relay's token, unless HOOKLOOP_TOKEN is set.")
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="Read and not used: the relay is where it is.")
]
Texts = list[str] | None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(_version())
        raise typer.Exit


def _version() -> str:
    from hookloop.version import __version__

    return f"ngrok version {NGROK_VERSION} (hookloop {__version__})"


@ngrok.callback()
def main(
    ctx: typer.Context,
    config: ConfigOption = None,
    _shown: Annotated[
        bool,
        typer.Option("--version", "-v", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """Do what ngrok's agent does, with a hookloop relay."""
    ctx.obj = config


@ngrok.command()
def version() -> None:
    """Print the version whose command line this is."""
    typer.echo(_version())


@ngrok.command()
def update() -> None:
    """Say that pip updates it."""
    typer.echo("No update available: hookloop is updated by pip")


@ngrok.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def api() -> None:
    """Say that there is no such service."""
    typer.echo("ERROR: there is no hosted API here: this agent's own is at /api", err=True)
    raise typer.Exit(1)


# --- its file --------------------------------------------------------------------------------


@_config.command("add-authtoken")
def add_authtoken(
    ctx: typer.Context,
    token: str,
    config: ConfigOption = None,
    log: LogOption = None,  # noqa: ARG001  # pyngrok passes it
) -> None:
    """Keep the relay's token in ngrok.yml."""
    _save(ctx, config, token)


@ngrok.command("authtoken")
def authtoken(ctx: typer.Context, token: str, config: ConfigOption = None) -> None:
    """Keep the relay's token in ngrok.yml, as version 2 said it."""
    _save(ctx, config, token)


@_config.command("add-api-key")
def add_api_key(
    key: str,  # noqa: ARG001  # there is nothing it opens
    config: ConfigOption = None,  # noqa: ARG001  # pyngrok passes it
    log: LogOption = None,  # noqa: ARG001  # the same
) -> None:
    """Refuse: a key opens ngrok's hosted API, and there is none here."""
    typer.echo("ERROR: there is no hosted API here, so the key was not kept", err=True)
    raise typer.Exit(1)


@_config.command("check")
def check(ctx: typer.Context, config: ConfigOption = None) -> None:
    """Read the file and say what is wrong with it."""
    from .project_file import read_project

    with reporting_errors():
        path = _path(ctx, config)
        project = read_project(path)
    for warning in project.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"Valid configuration file at {path}")


def _save(ctx: typer.Context, config: list[Path] | None, token: str) -> None:
    with reporting_errors():
        path = _path(ctx, config)
        save_authtoken(path, token)
    typer.echo(f"Authtoken saved to configuration file: {path}")


# --- tunnels ---------------------------------------------------------------------------------


@ngrok.command()
def start(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Tunnels of the file.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that the file has.")] = False,
    none: Annotated[bool, typer.Option("--none", help="Wait for the API to say which.")] = False,
    config: ConfigOption = None,
    log: LogOption = None,
    log_format: FormatOption = None,
    log_level: LevelOption = None,
    authtoken: TokenOption = None,
    region: RegionOption = None,
) -> None:
    """Start tunnels of ngrok.yml, or none until the API says so."""
    from .project_file import read_project
    from .start import chosen_tunnels

    with reporting_errors():
        tunnels: Any = ()
        if none and (names or every):
            raise ConfigError("--none starts no tunnels: leave it out, or the names")
        if not none:
            tunnels = chosen_tunnels(read_project(_path(ctx, config)), names or [], every=every)
    _serve(ctx, tunnels, config, authtoken, region, (log, log_format, log_level))


@ngrok.command()
def http(  # ngrok's own options
    ctx: typer.Context,
    addr: str,
    name: Annotated[str, typer.Option(help="What the API calls the tunnel.")] = "command_line",
    domain: Annotated[
        str | None, typer.Option("--domain", "--hostname", "--url", help="The public name.")
    ] = None,
    subdomain: Annotated[str | None, typer.Option(help="Its first label.")] = None,
    host_header: Annotated[
        str | None, typer.Option(help="rewrite, preserve or the Host to send.")
    ] = None,
    basic_auth: Annotated[Texts, typer.Option(help="user:password.")] = None,
    cidr_allow: Annotated[Texts, typer.Option(help="Addresses that may call.")] = None,
    cidr_deny: Annotated[Texts, typer.Option(help="Addresses that may not.")] = None,
    request_header_add: Annotated[Texts, typer.Option(help="'Name: value'.")] = None,
    request_header_remove: Annotated[Texts, typer.Option(help="A field's name.")] = None,
    response_header_add: Annotated[Texts, typer.Option(help="'Name: value'.")] = None,
    response_header_remove: Annotated[Texts, typer.Option(help="A field's name.")] = None,
    verify_webhook: Annotated[str | None, typer.Option(help="Whose signature is needed.")] = None,
    verify_webhook_secret: Annotated[str | None, typer.Option(help="It is signed with.")] = None,
    inspect: Annotated[bool, typer.Option("--inspect/--no-inspect", help="Keep it.")] = True,
    scheme: Annotated[Texts, typer.Option(help="Read and not used: the relay decides.")] = None,  # noqa: ARG001  # as it says
    config: ConfigOption = None,
    log: LogOption = None,
    log_format: FormatOption = None,
    log_level: LevelOption = None,
    authtoken: TokenOption = None,
    region: RegionOption = None,
) -> None:
    """Give a local web service a public URL."""
    verified = {"provider": verify_webhook, "secret": verify_webhook_secret}
    definition = {
        "name": name,
        "addr": addr,
        "proto": "http",
        "domain": re.sub(r"^https?://", "", domain) if domain else None,
        "subdomain": subdomain,
        "host_header": host_header,
        "basic_auth": basic_auth,
        "ip_restriction": _filled({"allow_cidrs": cidr_allow, "deny_cidrs": cidr_deny}),
        "request_header": _filled({"add": request_header_add, "remove": request_header_remove}),
        "response_header": _filled({"add": response_header_add, "remove": response_header_remove}),
        "verify_webhook": _filled(verified),
        "inspect": inspect,
    }
    lines = (log, log_format, log_level)
    _serve_one(ctx, definition, config, authtoken, region, lines)


@ngrok.command()
def tcp(
    ctx: typer.Context,
    addr: str,
    name: Annotated[str, typer.Option(help="What the API calls the tunnel.")] = "command_line",
    remote_addr: Annotated[str | None, typer.Option(help="The public port, as host:port.")] = None,
    proxy_proto: Annotated[str | None, typer.Option(help="1 or 2.")] = None,
    config: ConfigOption = None,
    log: LogOption = None,
    log_format: FormatOption = None,
    log_level: LevelOption = None,
    authtoken: TokenOption = None,
    region: RegionOption = None,
) -> None:
    """Give a local TCP service a public port."""
    definition = {
        "name": name,
        "addr": addr,
        "proto": "tcp",
        "remote_addr": remote_addr,
        "proxy_proto": proxy_proto,
    }
    lines = (log, log_format, log_level)
    _serve_one(ctx, definition, config, authtoken, region, lines)


@ngrok.command()
def tls(
    ctx: typer.Context,
    addr: str,
    name: Annotated[str, typer.Option(help="What the API calls the tunnel.")] = "command_line",
    domain: Annotated[
        str | None, typer.Option("--domain", "--hostname", help="The public name.")
    ] = None,
    subdomain: Annotated[str | None, typer.Option(help="Its first label.")] = None,
    config: ConfigOption = None,
    log: LogOption = None,
    log_format: FormatOption = None,
    log_level: LevelOption = None,
    authtoken: TokenOption = None,
    region: RegionOption = None,
) -> None:
    """Give a local TLS service a public name."""
    definition = {
        "name": name,
        "addr": addr,
        "proto": "tls",
        "domain": domain,
        "subdomain": subdomain,
    }
    lines = (log, log_format, log_level)
    _serve_one(ctx, definition, config, authtoken, region, lines)


# --- inside ----------------------------------------------------------------------------------

_Lines = tuple[str | None, str | None, str | None]


def _filled(table: dict[str, Any]) -> dict[str, Any] | None:
    return {key: value for key, value in table.items() if value} or None


def _path(ctx: typer.Context, config: list[Path] | None) -> Path:
    """Return the file that was named, before the command's word or after it, or ngrok's own."""
    named = config or ctx.find_object(list)
    return named[-1] if named else default_config_path(os.environ, Path.home())


def _serve_one(
    ctx: typer.Context,
    definition: dict[str, Any],
    config: list[Path] | None,
    authtoken: str | None,
    region: str | None,
    lines: _Lines,
) -> None:
    told = {key: value for key, value in definition.items() if value is not None}
    with reporting_errors():
        tunnel = read_definition(
            told, is_endpoint=False, warn=lambda text: typer.echo(text, err=True)
        )
    _serve(ctx, (tunnel,), config, authtoken, region, lines)


def _serve(
    ctx: typer.Context,
    tunnels: Any,
    config: list[Path] | None,
    authtoken: str | None,
    region: str | None,
    lines: _Lines,
) -> None:
    """Run the agent until it is told to end."""
    from .ngrok_serving import ServingOptions, serve

    with reporting_errors():
        path = _path(ctx, config)
        settings = read_settings(_document(path, is_named=bool(config or ctx.find_object(list))))
        options = ServingOptions.of(settings, authtoken, region, lines, os.environ)
    run(serve(options, tunnels))


def _document(path: Path, *, is_named: bool) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if is_named:
            raise ConfigError(f"there is no file {path}") from None
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {' '.join(str(error).split())}") from None
