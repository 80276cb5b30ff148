"""Keeps the status screen up to date on a terminal: frames, resizes, keys, and Ctrl+Z."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.console import Console

from .console_keys import Keyboard
from .console_line import Line
from .console_painter import Painter, is_ours, terminal_size
from .console_qr import qr_lines
from .console_screen import screen_lines
from .console_state import ConsoleState

__all__ = ["ScreenShell"]

FRAME_SECONDS = 0.1  # nobody reads faster, and each frame costs a few milliseconds
FRAME_SHARE_MAX = 0.03  # of one processor, and no more: the traffic has the rest
IDLE_SECONDS = 1.0  # rates fall and notes grow old though nothing happens

QUIT_KEYS = b"qQ"
REDRAW_KEY = b"\x0c"  # Ctrl+L, as everywhere


class ScreenShell:
    """The thin shell around `screen_lines`."""

    def __init__(
        self, state: ConsoleState, console: Console, *, quit_: Callable[[], object], has_qr: bool
    ) -> None:
        """*quit_* is called when the user asks for the end by a key."""
        self._state = state
        self._descriptor = sys.stdout.fileno()
        self._console = console
        self._painter: Painter | None = None
        self._keyboard = Keyboard(sys.stdin.fileno() if sys.stdin else -1, self._pressed)
        self._quit = quit_
        self._has_qr = has_qr
        self._has_colours = not console.no_color
        self._qr: tuple[str, list[Line]] = ("", [])
        self._wake = asyncio.Event()
        self._drawn_changes = -1

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show the screen for the length of a with-block."""
        loop = asyncio.get_running_loop()
        handlers = self._signal_handlers()
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        self._take_terminal()
        drawing = asyncio.ensure_future(self._draw())
        try:
            yield
        finally:
            drawing.cancel()
            self._give_terminal_back(self._state.farewell())
            for number in handlers:
                loop.remove_signal_handler(number)
            with suppress(asyncio.CancelledError):
                await drawing

    # --- frames -----------------------------------------------------------------------------

    async def _draw(self) -> None:
        clock = asyncio.get_running_loop().time
        idle, wait = 0.0, FRAME_SECONDS
        while True:
            if self._painter is not None:
                if self._state.changes != self._drawn_changes or idle >= IDLE_SECONDS:
                    began = clock()
                    self._draw_frame(self._painter)
                    idle, wait = 0.0, max(FRAME_SECONDS, (clock() - began) / FRAME_SHARE_MAX)
            elif is_ours(self._descriptor):  # brought back by `fg`, after `bg`
                self._take_terminal()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
                idle = IDLE_SECONDS
            except TimeoutError:
                idle += wait
            self._wake.clear()

    def _draw_frame(self, painter: Painter) -> None:
        self._drawn_changes = self._state.changes
        width, height = size = terminal_size(self._descriptor)
        view = self._state.view(rows_max=height)
        url = view.forwardings[0].url if self._has_qr and view.forwardings else ""
        if url != self._qr[0]:
            self._qr = (url, qr_lines(url, has_colours=self._has_colours))
        painter.offer(screen_lines(view, width, height, self._qr[1]), size)

    # --- the terminal -----------------------------------------------------------------------

    def _take_terminal(self) -> None:
        self._painter = Painter(self._descriptor, self._console)
        self._painter.start()
        self._keyboard.start()
        self._wake.set()

    def _give_terminal_back(self, last_words: str = "") -> None:
        painter, self._painter = self._painter, None
        self._keyboard.stop()
        if painter is not None:
            painter.stop(last_words)

    def _pressed(self, keys: bytes) -> None:
        if any(key in QUIT_KEYS for key in keys):
            self._quit()
        elif REDRAW_KEY in keys and self._painter is not None:
            self._painter.forget()
            self._wake.set()

    def _signal_handlers(self) -> dict[int, Callable[[], None]]:
        if sys.platform == "win32":
            return {}
        return {
            signal.SIGWINCH: self._wake.set,
            signal.SIGTSTP: self._suspend,
            signal.SIGCONT: self._resume,
        }

    def _suspend(self) -> None:
        """Ctrl+Z: the shell gets its terminal as it was."""
        self._give_terminal_back()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _resume(self) -> None:
        if self._painter is None and is_ours(self._descriptor):
            self._take_terminal()
