"""A command on a pseudo-terminal, seen through a terminal emulator."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyte
from patience import PATIENCE

# Makes its standard input the terminal that controls it, then becomes the command.
_WITH_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """What a person sees of a process, and the keys they press."""

    def __init__(self, process: subprocess.Popen, descriptor: int, columns: int, lines: int):
        self.process = process
        self.descriptor = descriptor
        self.output = b""
        """All that was ever written."""
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def line_with(self, text: str) -> str:
        return next((line for line in self.lines if text in line), "")

    def colour_of(self, text: str) -> str:
        """Return the foreground of the first character of *text* on the screen."""
        for number, line in enumerate(self.screen.display):
            if text in line:
                return self.screen.buffer[number][line.index(text)].fg
        raise AssertionError(f"{text!r} is not on the screen:\n{self.text}")

    def wait_for(self, seen: str | Callable[[], object]) -> None:
        """Return once *seen* is on the screen, or true."""
        is_seen = (lambda: seen in self.text) if isinstance(seen, str) else seen
        ends = time.monotonic() + PATIENCE
        while not is_seen():
            assert time.monotonic() < ends, f"no {seen!r} on the screen:\n{self.text}"
            self.read(0.05)

    def read(self, seconds: float) -> None:
        """Take what the process writes, waiting for it for at most *seconds*."""
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # nobody has the other side open any more
            data = b""
        self.output += data
        self._stream.feed(data)

    def press(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def resize(self, columns: int, lines: int) -> None:
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def modes(self) -> list:
        """Return the settings that `stty` shows."""
        return termios.tcgetattr(self.descriptor)

    def ended(self) -> tuple[int, float]:
        """Return the exit code, and how many seconds it took from now on."""
        began = time.monotonic()
        while self.process.poll() is None:
            assert time.monotonic() < began + PATIENCE, f"it does not end:\n{self.text}"
            self.read(0.005)
        took = time.monotonic() - began
        before = None
        while before != len(self.output):  # what it wrote last
            before = len(self.output)
            self.read(0.05)
        return self.process.returncode, took


@contextmanager
def on_a_terminal(
    *command: str, columns: int = 100, lines: int = 30, **environment: str
) -> Iterator[Terminal]:
    """Run *command* as a shell would: in the foreground of a terminal of its own."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _WITH_A_TERMINAL, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**_plain(os.environ), "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours, columns, lines)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)


def _plain(environment) -> dict[str, str]:
    """Return *environment* without what turns colours on or off."""
    unwanted = {"NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "TTY_COMPATIBLE"}
    return {key: value for key, value in environment.items() if key not in unwanted}
