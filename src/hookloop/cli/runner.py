"""Runs a command's coroutine until it ends, Ctrl+C, or SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import typer

from hookloop.errors import ConfigError, HookloopError

__all__ = ["run"]

INTERRUPTED = 130  # what shells give a program that a second, impatient Ctrl+C ended


def run(main: Coroutine[Any, Any, int | None]) -> None:
    """
    Run *main* and exit with what it returns.

    Ctrl+C and SIGTERM are how a long-running command is meant to end, so they exit 0.

    A hookloop error ends the command with one sentence instead of a traceback:
    code 2 where the user's settings are at fault, 1 otherwise.
    """
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(_until_told(main))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except HookloopError as error:
        typer.echo(f"hookloop: {error}", err=True)
        code = 2 if isinstance(error, ConfigError) else 1
    raise typer.Exit(code or 0)


async def _until_told(main: Coroutine[Any, Any, int | None]) -> int | None:
    """SIGTERM, or a terminal that is closed, cancels as Ctrl+C does: with-blocks close."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine that runs has one
    if sys.platform != "win32":
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
            loop.add_signal_handler(signal.SIGHUP, task.cancel)
    try:
        return await main
    except asyncio.CancelledError:
        if task.cancelling() and sys.platform != "win32":
            task.uncancel()
            return 0
        raise


def _loop_factory() -> Any:
    """Return uvloop's loop where it is installed: it is not on Windows."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
