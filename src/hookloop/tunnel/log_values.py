"""
What a log line holds beside its words, so that a program can read it too.

    logger.info("tunnel bound %s", Values(tunnel="shop"))

Any formatter writes ``tunnel bound tunnel=shop``; one that knows `Values` can make fields of
them. Ids, names and numbers: never a token, a header or a body.
"""

import json
import re

__all__ = ["Values"]

_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # visible ASCII without space, ", = and backslash


class Values(dict[str, object]):
    """Names and values, which print as logfmt."""

    def __init__(self, **values: object) -> None:
        super().__init__({key: value for key, value in values.items() if value is not None})

    def __str__(self) -> str:
        return " ".join(f"{key}={_shown(value)}" for key, value in self.items())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
