"""The options of every command that opens a session: whose certificate it believes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hookloop.tunnel.agent.trust import Trust

__all__ = ["CaFile", "SkipVerify", "trust_of"]

CaFile = Annotated[
    Path | None,
    typer.Option(
        envvar="HOOKLOOP_CA_FILE",
        help="Certificates, in PEM, of the relay's private authority.",
    ),
]
SkipVerify = Annotated[
    bool,
    typer.Option(
        "--insecure-skip-verify",
        help="Believe any certificate: whoever is in between can then read all, the token too.",
    ),
]


def trust_of(ca_file: Path | None, *, is_skipped: bool) -> "Trust":
    """Return what the options say, with a warning where they leave the agent unprotected."""
    from hookloop.tunnel.agent.trust import Trust

    if is_skipped:
        typer.echo(
            "hookloop: warning: the relay's certificate is not verified: anybody on the way can "
            "read the token and every request",
            err=True,
        )
    return Trust(ca_file=ca_file, is_skipped=is_skipped)
