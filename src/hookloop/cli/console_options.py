"""How a person chooses what the agent's commands show: one set of options for all of them."""

from dataclasses import dataclass
from typing import Annotated

import typer

from .console_log import LogFormat, LogLevel

__all__ = [
    "ConsoleOptions",
    "JsonOption",
    "LogFormatOption",
    "LogLevelOption",
    "LogOption",
    "QrOption",
]

LogOption = Annotated[
    str | None,
    typer.Option(
        "--log", metavar="FILE", help="Log to a file, or to stdout or stderr; false for no log."
    ),
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option("--log-format", help="Lines instead of the status screen, and how they look."),
]
LogLevelOption = Annotated[
    LogLevel, typer.Option("--log-level", help="What is worth a line of the log.")
]
QrOption = Annotated[bool, typer.Option("--qr", help="Show the URL as a QR code, for a phone.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="A JSON object a line; the same as --log-format json.")
]


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """What was chosen."""

    log: str | None = None
    """A path, ``stdout``, ``stderr`` or ``false``; None leaves it to what stdout is."""
    log_format: LogFormat | None = None
    log_level: LogLevel = LogLevel.INFO
    qr: bool = False
