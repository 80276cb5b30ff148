"""What a long-running command says: lines for people, or a JSON object a line for programs."""

import json
import sys
from datetime import UTC, datetime

__all__ = ["Announcer"]

LABEL_COLUMNS = 12


class Announcer:
    """Prints facts and happenings; every line is flushed, so that pipes see it at once."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def fact(self, label: str, value: str, note: str = "") -> None:
        """Something that holds from now on, such as an address."""
        if self._as_json:
            self._print(json.dumps({"fact": label, "value": value}))
        else:
            tail = f"   {note}" if note else ""
            self._print(f"{label:<{LABEL_COLUMNS}}{value}{tail}")

    def note(self, text: str) -> None:
        """A sentence for people; programs are not told."""
        if not self._as_json:
            self._print(text)

    def happened(self, what: str, text: str, **values: object) -> None:
        """Something that took place now."""
        if self._as_json:
            self._print(json.dumps({"event": what, "time": _now().isoformat(), **values}))
        else:
            self._print(f"{_now().astimezone():%H:%M:%S} {text}")

    def hop(self, milliseconds: float, who: str, what: str) -> None:
        """One line of a trail."""
        if self._as_json:
            hop = {"event": "hop", "milliseconds": round(milliseconds, 3), "hop": who, "text": what}
            self._print(json.dumps(hop))
        else:
            self._print(f"{milliseconds:+9.1f} ms  {who:<9}{what}")

    def _print(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _now() -> datetime:
    return datetime.now(UTC)
