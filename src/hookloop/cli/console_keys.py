"""Reads single keys while the screen is shown."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

if sys.platform != "win32":  # there Ctrl+C is the only key
    import termios

__all__ = ["Keyboard"]

KEYS_MAX = 64  # of one read; somebody pasted a page into the wrong window
LOCAL_MODES = 3  # where termios.tcgetattr has them


class Keyboard:
    """
    Makes the terminal give each key at once and unseen.

    Ctrl+C and Ctrl+Z stay signals. Call `stop` however the work ends.
    """

    def __init__(self, descriptor: int, pressed: Callable[[bytes], None]) -> None:
        """*pressed* is called on the loop with what was typed."""
        self._descriptor = descriptor
        self._pressed = pressed
        self._before: list[Any] | None = None

    def start(self) -> None:
        if sys.platform == "win32" or self._before is not None or not os.isatty(self._descriptor):
            return
        try:
            before = termios.tcgetattr(self._descriptor)
            now = list(before)
            now[LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(self._descriptor, termios.TCSANOW, now)
        except (OSError, termios.error):  # the terminal is gone
            return
        self._before = before
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def stop(self) -> None:
        before, self._before = self._before, None
        if sys.platform == "win32" or before is None:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        with suppress(OSError, termios.error):
            # Now, not once all is written: a terminal that is stuck never has written all.
            termios.tcsetattr(self._descriptor, termios.TCSANOW, before)

    def _read(self) -> None:
        try:
            keys = os.read(self._descriptor, KEYS_MAX)
        except OSError:
            keys = b""
        if keys:
            self._pressed(keys)
        else:  # hung up; the reader would be called again and again
            asyncio.get_running_loop().remove_reader(self._descriptor)
