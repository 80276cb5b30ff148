"""A span of time as people write it: ``90s``, ``30m``, ``12h``, ``14d``, ``4w``."""

import re

__all__ = ["SPAN_HINT", "span_seconds"]

SPAN_HINT = "90s, 30m, 12h, 14d or 4w"

_SPAN = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def span_seconds(text: str) -> int | None:
    """Return how many seconds *text* means, or None where it is no span."""
    span = _SPAN.fullmatch(text)
    return None if span is None else int(span[1]) * _SECONDS[span[2]]
