"""`hookloop start`: the tunnels of a hookloop.toml, or of an ngrok.yml."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.errors import ConfigError

from .console_log import LogFormat, LogLevel
from .console_options import (
    ConsoleOptions,
    JsonOption,
    LogFormatOption,
    LogLevelOption,
    LogOption,
    QrOption,
)
from .forwarding import forward
from .inspect_options import (
    MAX_AGE_SECONDS,
    MAX_BYTES,
    CaptureMaxAge,
    CaptureMaxBytes,
    CaptureOption,
    InspectOption,
    InspectOptions,
    RedactOption,
)
from .project_file import FILE_NAME, Project, find_project_file, read_project
from .runner import reporting_errors, run
from .session_options import RelayOption, SessionOptions, TokenOption, ViaOption
from .trust_options import CaFile, SkipVerify, trust_of

if TYPE_CHECKING:
    from hookloop.tunnel.agent.options import TunnelOptions

__all__ = ["ConfigFile", "chosen_tunnels", "project_of", "start"]

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        dir_okay=False,
        help=f"The file to read, {FILE_NAME} or ngrok.yml; without it, the nearest one from this "
        "folder upwards.",
    ),
]


def start(
    names: Annotated[
        list[str] | None, typer.Argument(help="The tunnels to start, as the file names them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Start all that the file has.")] = False,
    config: ConfigFile = None,
    relay: RelayOption = None,
    token: TokenOption = "",
    via: ViaOption = None,
    ca_file: CaFile = None,
    insecure_skip_verify: SkipVerify = False,
    inspect: InspectOption = None,
    capture: CaptureOption = None,
    capture_max_bytes: CaptureMaxBytes = MAX_BYTES,
    capture_max_age: CaptureMaxAge = MAX_AGE_SECONDS,
    redact: RedactOption = None,
    qr: QrOption = False,
    log: LogOption = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = LogLevel.INFO,
    json: JsonOption = False,
) -> None:
    """Open tunnels of a hookloop.toml, or an ngrok.yml, in one session."""
    with reporting_errors():
        project = project_of(config)
        tunnels = chosen_tunnels(project, names or [], every=every)
        trust = trust_of(ca_file, is_skipped=insecure_skip_verify)
    session = SessionOptions(relay or project.relay, token or project.token or "", via, trust)
    shown = ConsoleOptions(log, LogFormat.JSON if json else log_format, log_level, qr)
    inspected = InspectOptions(
        inspect, capture, capture_max_bytes, capture_max_age, redact, _secrets(tunnels)
    )
    run(forward(tunnels, session, shown, warnings=project.warnings, inspected=inspected))


def _secrets(tunnels: "Sequence[TunnelOptions]") -> list[str]:
    """Return the signing secrets the file has, for the inspector's doctor."""
    return [secret for tunnel in tunnels for secret in getattr(tunnel.guard, "secrets", ())]


def project_of(config: Path | None) -> Project:
    """Read *config*, or the nearest file. Raises `ConfigError` where there is none."""
    path = config or find_project_file(Path.cwd())
    if path is None:
        raise ConfigError(
            f"there is no {FILE_NAME} here or in a folder above: write one, with a table "
            "[tunnels.web] and its `upstream = 3000`, or name one, ngrok's too, with --config"
        )
    return read_project(path)


def chosen_tunnels(
    project: Project, names: list[str], *, every: bool
) -> "tuple[TunnelOptions, ...]":
    """Return the tunnels of *names*, or all. Raises `ConfigError` for one that is not there."""
    by_name = {tunnel.label: tunnel for tunnel in project.tunnels}
    if not by_name:
        raise ConfigError(f"{project.path} has no tunnels: add a table [tunnels.web]")
    if every:
        return project.tunnels
    known = ", ".join(by_name)
    if not names:
        raise ConfigError(f"say which to start, or --all: {project.path} has {known}")
    for name in names:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {known}"
            raise ConfigError(f"{project.path} has no tunnel {name!r}; {hint}")
    return tuple(by_name[name] for name in dict.fromkeys(names))
