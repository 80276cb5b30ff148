"""Runs a command's coroutine until it ends, Ctrl+C, or SIGTERM."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

from hookloop.errors import ConfigError, HookloopError

from .long_running import settle_in

__all__ = ["loop_factory", "reporting_errors", "run"]

LINGER_SECONDS = 0.5  # a loop closes in milliseconds; of Ctrl+C one expects an end within a second
INTERRUPTED = 130  # what shells give a program that a second, impatient Ctrl+C ended


def run(main: Coroutine[Any, Any, int | None]) -> None:
    """
    Run *main* and exit with what it returns.

    Ctrl+C and SIGTERM are how a long-running command is meant to end, so they exit 0.

    A hookloop error ends the command with one sentence instead of a traceback:
    code 2 where the user's settings are at fault, 1 otherwise.
    """
    settle_in()
    with reporting_errors(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            code = runner.run(_until_told(main)) or 0
        except KeyboardInterrupt:
            code = INTERRUPTED
            _do_not_linger(code)
    raise typer.Exit(code)


def _do_not_linger(code: int) -> None:
    """
    End the process with *code* soon, though a thread of it may not have ended: it was told to end.

    The command itself is over, its with-blocks are closed. What may be left is the lookup of
    a name while the network is away: no one can cancel it, it takes ten seconds and more, and
    both the loop and the interpreter wait for it. Never for a command that ends by itself: it
    may be called by a program that goes on, and its output may still be on its way.
    """
    timer = threading.Timer(LINGER_SECONDS, os._exit, (code,))
    timer.daemon = True
    timer.start()
    with suppress(OSError):
        sys.stdout.flush()


@contextmanager
def reporting_errors() -> Iterator[None]:
    """End the command with a sentence where the block raises an error of ours."""
    try:
        yield
    except HookloopError as error:
        typer.echo(f"hookloop: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


async def _until_told(main: Coroutine[Any, Any, int | None]) -> int | None:
    """SIGTERM, or a terminal that is closed, cancels as Ctrl+C does: with-blocks close."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine that runs has one
    if sys.platform != "win32":
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, _end, task)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
            loop.add_signal_handler(signal.SIGHUP, task.cancel)
    try:
        return await main
    except asyncio.CancelledError:
        if task.cancelling() and sys.platform != "win32":
            task.uncancel()
            _do_not_linger(0)
            return 0
        raise


def _end(task: "asyncio.Task[Any]") -> None:
    """End the command; the second time at once, whatever it is waiting for."""
    if task.cancelling():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    task.cancel()


def loop_factory() -> Any:
    """Return uvloop's loop where it is installed: it is not on Windows."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
