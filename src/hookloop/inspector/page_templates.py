"""The templates of the inspector's pages. They escape all they are given."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import wording
from .captured import Summary

__all__ = ["WEB", "page_templates"]

WEB = Path(__file__).parent / "web"


def page_templates() -> Environment:
    """Return them, with the words that they share."""
    made = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        bytes_text=wording.bytes_text,
        clock_text=wording.clock_text,
        date_text=wording.date_text,
        seconds_text=wording.seconds_text,
        status_class=_status_class,
    )
    return made


def _status_class(row: Summary) -> str:
    """Return the kind of outcome, for a colour: never the only sign of it."""
    if row.status is None or row.failure is not None:
        return "bad"
    return {2: "good", 3: "moved", 4: "warn", 5: "bad"}.get(row.status // 100, "moved")
