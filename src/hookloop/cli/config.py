"""`hookloop config`: what a hookloop.toml, or an ngrok.yml, says."""

from typing import TYPE_CHECKING, Annotated

import typer

from .announcer import Announcer
from .runner import reporting_errors
from .start import ConfigFile, project_of

if TYPE_CHECKING:
    from hookloop.tunnel.agent.options import TunnelOptions

    from .project_file import Project

__all__ = ["config"]

config = typer.Typer(help="Look at the tunnels of a project's file.", no_args_is_help=True)


@config.command()
def check(
    config: ConfigFile = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Read the file, and say what is wrong with it or what it starts."""
    with reporting_errors():
        project = project_of(config)
    _tell(project, Announcer(as_json=json))


def _tell(project: "Project", announcer: Announcer) -> None:
    announcer.fact("file", str(project.path))
    announcer.fact("relay", project.relay or "HOOKLOOP_RELAY, or one on this machine")
    for tunnel in project.tunnels:
        announcer.fact("tunnel", f"{tunnel.label}: {_summary(tunnel)}")
    for warning in project.warnings:
        announcer.fact("warning", warning)
    announcer.note(f"\nhookloop start {' '.join(t.label for t in project.tunnels)}".rstrip())


def _summary(tunnel: "TunnelOptions") -> str:
    """Say where it leads and who may pass; without a secret."""
    name = f"{tunnel.name}.*" if tunnel.name else "any name"
    locks = [
        *(["a password"] if tunnel.basic_auth else []),
        *(["addresses"] if tunnel.allow_cidr or tunnel.deny_cidr else []),
        *(["signatures"] if tunnel.guard is not None else []),
    ]
    checked = f", checks {' and '.join(locks)}" if locks else ""
    return f"{tunnel.protocol}, {name} -> {tunnel.upstream}{checked}"
