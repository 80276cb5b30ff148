"""A delivery of the sandbox in words: where it stands, and a line for each attempt."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

__all__ = ["delivery_lines", "local_time"]

EXCERPT_CHARS = 80


def delivery_lines(delivery: Any) -> Iterator[str]:
    """Return the lines that tell of *delivery*, as the API shows it."""
    if delivery["next_attempt"] is not None:
        yield f"{delivery['state']}; next attempt at {local_time(delivery['next_attempt'])}"
    else:
        yield f"{delivery['state']}{': ' + delivery['reason'] if delivery['reason'] else ''}"
    for attempt in delivery["attempts"]:
        outcome = attempt["error"] or attempt["status"]
        milliseconds = attempt["duration_seconds"] * 1000
        excerpt = " ".join(attempt["excerpt"].split())[:EXCERPT_CHARS]
        yield f"{local_time(attempt['started'])}  {outcome}  {milliseconds:.1f} ms  {excerpt}"


def local_time(seconds: float) -> str:
    """Return Unix seconds as this machine's zone writes them."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
