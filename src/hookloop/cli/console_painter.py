"""Puts frames on a terminal, and leaves the terminal as it found it."""

import os
import threading
from collections.abc import Sequence

from rich.color import ColorSystem
from rich.console import Console

from .console_line import BLANK, Line

__all__ = ["Painter", "is_ours", "terminal_size"]

LEAVE_SECONDS = 0.3  # for a terminal that takes nothing any more; Ctrl+C must not wait for it
DEFAULT_SIZE = (80, 24)  # of a terminal that does not know its own

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # the other screen, no cursor, no wrapping
LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
CLEAR = "\x1b[2J"
# Terminals that know it show all in between at once; the others ignore it.
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"

_COLOUR_SYSTEMS = {"256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}

Size = tuple[int, int]
"""Columns and lines."""


def terminal_size(descriptor: int) -> Size:
    try:
        width, height = os.get_terminal_size(descriptor)
    except OSError:  # it was closed
        return DEFAULT_SIZE
    return (width, height) if width and height else DEFAULT_SIZE


def is_ours(descriptor: int) -> bool:
    """Say whether we are the terminal's foreground: a job in the background must not touch it."""
    if not hasattr(os, "tcgetpgrp"):  # Windows has no jobs
        return True
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


class Painter:
    """
    Shows the latest frame offered; writes only the lines that differ from those shown.

    A thread of its own writes, because a terminal may stop taking anything (Ctrl+S, a
    lost line), and the tunnel must go on. Start it once; call `stop` however the work ends.
    """

    def __init__(self, descriptor: int, console: Console) -> None:
        """*console* knows what the terminal can show; nothing is printed with it."""
        self._descriptor = descriptor
        self._console = console
        self._colours = _COLOUR_SYSTEMS.get(console.color_system or "", ColorSystem.STANDARD)
        self._offered: tuple[Sequence[Line], Size] | None = None
        self._wake = threading.Condition()
        self._is_stopping = False
        self._shown: list[Line] = []
        self._size: Size = (0, 0)
        self._last_words = ""
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    def start(self) -> None:
        """Take the terminal over."""
        self._thread.start()

    def offer(self, lines: Sequence[Line], size: Size) -> None:
        """Show *lines*, made for *size*, next; a frame not yet shown is forgotten."""
        with self._wake:
            self._offered = (lines, size)
            self._wake.notify()

    def forget(self) -> None:
        """Somebody else has drawn over it: write the next frame as a whole."""
        self._size = (0, 0)

    def stop(self, last_words: str = "") -> None:
        """Give the terminal back and leave *last_words* on it; soon, even where it is stuck."""
        with self._wake:
            self._is_stopping = True
            self._last_words = last_words
            self._wake.notify()
        self._thread.join(LEAVE_SECONDS)

    # --- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._write(ENTER)
            while (frame := self._next()) is not None:
                self._write(self.drawn(*frame))
            self._write(LEAVE + self._last_words)
        except OSError:
            pass  # the terminal is gone, and with it whoever looked at it

    def _next(self) -> tuple[Sequence[Line], Size] | None:
        with self._wake:
            while self._offered is None and not self._is_stopping:
                self._wake.wait()
            frame, self._offered = self._offered, None
            return None if self._is_stopping else frame

    def drawn(self, lines: Sequence[Line], size: Size) -> str:
        """Return what turns the frame shown into this one."""
        width, height = size
        pieces = []
        if size != self._size:
            pieces.append(CLEAR)
            self._shown, self._size = [BLANK] * height, size
        for number in range(height):
            line = lines[number] if number < len(lines) else BLANK
            if line != self._shown[number]:
                pieces.append(f"\x1b[{number + 1};1H{self._styled(line, width)}")
                self._shown[number] = line
        return BEGIN + "".join(pieces) + END if pieces else ""

    def _styled(self, line: Line, width: int) -> str:
        """Return *line* over the whole width: nothing has to be erased, so nothing flickers."""
        shown = line.cropped(width)
        pieces = [self._piece(text, style) for text, style in shown.pieces]
        return "".join(pieces) + " " * (width - shown.cells)

    def _piece(self, text: str, name: str) -> str:
        if not name:
            return text
        style = self._console.get_style(name)
        # Without colours there are still bold and dim.
        shown = style.without_color if self._console.no_color else style
        return shown.render(text, color_system=self._colours)

    def _write(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
