"""What `hookloop http` and its like show: a status screen on a terminal, else lines."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from random import SystemRandom
from typing import TYPE_CHECKING

from rich.console import Console

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.exchange import Exchange
from hookloop.version import __version__

from .console_log import LogFormat, LogLevel, LogWriter, Record
from .console_options import ConsoleOptions
from .console_painter import is_ours
from .console_qr import qr_lines
from .console_screen_shell import ScreenShell
from .console_state import AgentCounts, ConsoleState
from .console_view import NoteKind

if TYPE_CHECKING:
    from hookloop.tunnel.agent import Tunnel
    from hookloop.tunnel.agent.raw_forward import RawConnection

__all__ = ["AgentConsole", "running_console"]

_NOTE_LEVELS: dict[NoteKind, LogLevel] = {
    "hint": LogLevel.INFO,
    "news": LogLevel.INFO,
    "warning": LogLevel.WARN,
    "error": LogLevel.ERROR,
}


class AgentConsole:
    """
    An `AgentObserver` and a `CaptureSink` that shows what it is told; use `running_console`.

    Each call returns at once, whatever the terminal or the log's reader does.
    """

    def __init__(
        self, state: ConsoleState, log: LogWriter | None, clock: Clock, *, has_qr: bool = False
    ) -> None:
        """*has_qr* asks for a QR code among the lines of the log."""
        self._state = state
        self._has_qr = has_qr
        self._log = log
        self._clock = clock
        self._was_up = False

    # --- the agent tells --------------------------------------------------------------------

    def captured(self, exchange: Exchange) -> None:
        self._state.captured(exchange)
        if self._log is not None:
            self._log.exchange(self._clock.wall(), exchange)

    def connection_ended(self, connection: "RawConnection") -> None:
        """A caller of a tcp or tls tunnel has gone."""
        self._state.connection_ended(connection.seconds)
        how = f": {connection.failure}" if connection.failure else ""
        self._say(
            LogLevel.INFO,
            "connection ended",
            "conn",
            sentence=f"{connection.remote}   {connection.bytes_in} bytes in, "
            f"{connection.bytes_out} out, {connection.seconds:.1f} s{how}",
            name=connection.tunnel,
            remote=connection.remote,
            bytes_in=connection.bytes_in,
            bytes_out=connection.bytes_out,
            seconds=round(connection.seconds, 3),
            err=connection.failure or "",
        )

    def session_up(self) -> None:
        self._was_up = True
        self._state.session_up()
        self._say(LogLevel.INFO, "tunnel session started", "tunnels.session", sentence="online")
        # Programs that start ngrok wait for this line too; to people it says what they just read.
        is_for_people = self._log is not None and self._log.form is LogFormat.TERM
        level = LogLevel.DEBUG if is_for_people else LogLevel.INFO
        self._say(level, "client session established", "csess")

    def session_down(self, reason: str, retry_seconds: float) -> None:
        self._state.session_down(reason, retry_seconds)
        message = "failed to reconnect session"
        if self._was_up:
            message = "session closed, starting reconnect loop"
        self._was_up = False
        self._say(
            LogLevel.ERROR,
            message,
            "csess",
            sentence=f"offline: {reason}; trying again in {retry_seconds:.1f} s",
            err=reason,
            retry=f"{retry_seconds:.2f}s",
        )

    def tunnel_up(self, tunnel: "Tunnel") -> None:
        self._state.tunnel_up(tunnel)
        addr = str(tunnel.config.upstream)
        self._say(
            LogLevel.INFO,
            "started tunnel",
            "tunnels",
            sentence=f"forwarding {tunnel.url} -> {addr}",
            name=tunnel.label,
            addr=addr,
            url=tunnel.url,
        )
        if self._has_qr and tunnel.url is not None:
            self._show_qr(tunnel.url)

    def tunnel_refused(self, tunnel: "Tunnel", retry_seconds: float | None) -> None:
        self._state.tunnel_refused(tunnel, retry_seconds)
        again = "" if retry_seconds is None else f"; asking again in {retry_seconds:.1f} s"
        self._say(
            LogLevel.ERROR,
            "failed to start tunnel",
            "tunnels",
            sentence=f"{tunnel.label} is refused: {tunnel.refusal}{again}",
            name=tunnel.label,
            err=str(tunnel.refusal),
        )

    def tunnel_removed(self, tunnel: "Tunnel") -> None:
        self._state.tunnel_removed(tunnel)
        self._say(LogLevel.INFO, "stopped tunnel", "tunnels", name=tunnel.label)

    # --- the command tells ------------------------------------------------------------------

    def connecting(self, relay: str) -> None:
        """The relay at the address *relay* is being called."""
        self._state.connecting(relay)
        self._say(LogLevel.DEBUG, "connecting", "csess", relay=relay)

    def watch(self, counts: Callable[[], AgentCounts]) -> None:
        """Show what *counts* says of open exchanges and of the relay's distance."""
        self._state.watch(counts)

    def watch_dropped(self, dropped: Callable[[], int]) -> None:
        """Show how many captures were let go for want of room, as *dropped* says."""
        self._state.watch_dropped(dropped)

    def web_interface(self, url: str) -> None:
        """The inspector is served at *url*."""
        self._state.web_interface(url)
        addr = url.removeprefix("http://").rstrip("/")
        self._say(LogLevel.INFO, "starting web service", "web", addr=addr)

    def failed(self, why: str) -> None:
        """The command ends for the reason *why*: the log's last line."""
        self._say(LogLevel.CRIT, "command failed", "app", sentence=f"failed: {why}", err=why)

    def note(self, kind: NoteKind, text: str) -> None:
        """
        Tell what happened, in one sentence without a payload or a secret.

        The same one again is counted, not repeated.
        """
        self._state.note(kind, text)
        self._say(_NOTE_LEVELS[kind], text, "note", sentence=text)

    def _show_qr(self, url: str) -> None:
        """Among lines for people; a program has no camera."""
        self._has_qr = False
        if self._log is not None and self._log.form is LogFormat.TERM:
            lines = qr_lines(url, has_colours=False)
            self._log.verbatim("".join(f"{line.plain}\n" for line in lines))

    def _say(
        self, level: LogLevel, message: str, subject: str, *, sentence: str = "", **values: object
    ) -> None:
        if self._log is not None:
            record = Record(self._clock.wall(), level, message, subject, values, sentence)
            self._log.write(record)


@asynccontextmanager
async def running_console(
    options: ConsoleOptions, *, clock: Clock | None = None
) -> AsyncIterator[AgentConsole]:
    """
    Show what happens for the length of a with-block; the terminal is whole again after it.

    The block is cancelled when the user asks for the end by a key, or nobody reads the
    log any more. Raises `ConfigError` where the log cannot be written.
    """
    clock = clock or SystemClock()
    state = ConsoleState(clock, SystemRandom(), version=__version__)
    owner = asyncio.current_task()
    assert owner is not None  # noqa: S101  # for the type checker: we are in a coroutine
    terminal = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    has_screen = _has_screen(options, terminal)
    with _log_of(options, terminal, owner, has_screen=has_screen) as log:
        console = AgentConsole(state, log, clock, has_qr=options.qr and not has_screen)
        with _records_of_others(console, log, clock):
            if not has_screen:
                yield console
                return
            shell = ScreenShell(state, terminal, quit_=owner.cancel, has_qr=options.qr)
            async with shell.shown():
                yield console


# --- where it goes ---------------------------------------------------------------------------


def _has_screen(options: ConsoleOptions, terminal: Console) -> bool:
    """A screen needs a terminal that can move its cursor, and that is ours to draw on."""
    is_asked_for_lines = options.log_format is not None and options.log is None
    is_log_there = options.log == "stdout" or (options.log == "stderr" and sys.stderr.isatty())
    if is_asked_for_lines or is_log_there or not sys.stdout.isatty():
        return False
    is_able = not terminal.is_dumb_terminal and not terminal.legacy_windows
    return is_able and is_ours(sys.stdout.fileno())


@contextmanager
def _log_of(
    options: ConsoleOptions, terminal: Console, owner: "asyncio.Task[object]", *, has_screen: bool
) -> Iterator[LogWriter | None]:
    where = options.log or ("false" if has_screen else "stdout")
    if where == "false":
        yield None
        return
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    stream = streams.get(where)
    if stream is not None:
        stream.flush()
    descriptor = _opened(where) if stream is None else stream.fileno()
    is_terminal = os.isatty(descriptor)
    loop = asyncio.get_running_loop()

    def broken() -> None:
        # Whoever started us to read this is gone: a tunnel nobody knows of must not stay.
        if stream is not None:
            with suppress(RuntimeError):  # the loop has ended before
                loop.call_soon_threadsafe(owner.cancel)

    log = LogWriter(
        descriptor,
        level=options.log_level,
        form=options.log_format or (LogFormat.TERM if is_terminal else LogFormat.LOGFMT),
        has_colours=is_terminal and not terminal.no_color and not terminal.is_dumb_terminal,
        broken=broken,
    )
    try:
        yield log
    finally:
        log.close()
        if stream is None:
            os.close(descriptor)


def _opened(path: str) -> int:
    try:
        # Who called whom, and when: for the owner's eyes.
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the log {path!r} cannot be written: {error.strerror}; give another with --log"
        ) from None


class _Records(logging.Handler):
    """Takes what libraries and our own modules log, which must not write over the screen."""

    def __init__(self, console: AgentConsole, log: LogWriter | None, clock: Clock) -> None:
        super().__init__()
        self._console = console
        self._log = log
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {record.exc_info[1]!r}"
        if record.levelno >= logging.WARNING:
            is_error = record.levelno >= logging.ERROR
            self._console.note("error" if is_error else "warning", text)
        elif self._log is not None:
            self._log.write(Record(self._clock.wall(), LogLevel.DEBUG, text, record.name))


@contextmanager
def _records_of_others(
    console: AgentConsole, log: LogWriter | None, clock: Clock
) -> Iterator[None]:
    handler = _Records(console, log, clock)
    root, ours = logging.getLogger(), logging.getLogger("hookloop")
    root.addHandler(handler)
    before = ours.level
    if log is not None and log.level is LogLevel.DEBUG:
        ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(before)
