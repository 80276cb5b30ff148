"""What a long-running command says: lines for people, or a JSON object a line for programs."""

import json
import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

__all__ = ["Announcer"]

LABEL_COLUMNS = 12

# Who says it, told by colour too: the same one for the same hop everywhere.
_COLOURS = {
    "sandbox": "magenta",
    "relay": "blue",
    "agent": "cyan",
    "handler": "bold green",
    "failed": "bold red",
    "handled": "bold green",
    "tunnel_down": "yellow",
}


class Announcer:
    """
    Prints facts and happenings; every line is flushed, so that pipes see it at once.

    Colours only on a terminal, and none where NO_COLOR is set.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        # Lines are never wrapped: a URL broken in two cannot be clicked or copied.
        self._console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)

    def fact(self, label: str, value: str, note: str = "") -> None:
        """Something that holds from now on, such as an address."""
        if self._as_json:
            self._object({"fact": label, "value": value})
            return
        line = Text(f"{label:<{LABEL_COLUMNS}}", style="dim").append(value, style="not dim bold")
        self._line(line.append(f"   {note}" if note else ""))

    def note(self, text: str) -> None:
        """A sentence for people; programs are not told."""
        if not self._as_json:
            self._line(Text(text))

    def happened(self, what: str, text: str, **values: object) -> None:
        """Something that took place now."""
        now = datetime.now(UTC)
        if self._as_json:
            self._object({"event": what, "time": now.isoformat(), "text": text, **values})
        else:
            line = Text(f"{now.astimezone():%H:%M:%S} ", style="dim")
            self._line(line.append(text, style=f"not dim {_COLOURS.get(what, '')}".strip()))

    def hop(self, milliseconds: float, who: str, what: str) -> None:
        """One line of a trail."""
        if self._as_json:
            self._object(
                {"event": "hop", "hop": who, "milliseconds": round(milliseconds, 3), "text": what}
            )
        else:
            line = Text(f"{milliseconds:+9.1f} ms  ", style="dim")
            line.append(f"{who:<9}", style=f"not dim {_COLOURS.get(who, '')}".strip())
            self._line(line.append(what, style="not dim"))

    def _object(self, members: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(members) + "\n")
        sys.stdout.flush()

    def _line(self, line: Text) -> None:
        self._console.print(line)
        sys.stdout.flush()
