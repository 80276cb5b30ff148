"""One failed webhook, as far as it is known: what a diagnosis is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hookloop.signing import TOLERANCE_SECONDS

__all__ = ["Answer", "Case", "Headers", "header_values", "path_of", "shown"]

Headers = tuple[tuple[str, str], ...]

HEADERS_MAX = 200  # nginx, node and uvicorn take about 100; more is not read
SHOWN_CHARS_MAX = 120  # of a name or a path in a sentence: longer ones are not read anyway


@dataclass(frozen=True, slots=True)
class Answer:
    """What the app answered, or did not."""

    status: int | None
    """None where no answer came."""
    headers: Headers = ()
    excerpt: str = field(default="", repr=False)
    """How the body begins."""
    error: str | None = None
    """Why none came, in a few words."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request as it arrived where it was saved, and what is known about its surroundings."""

    body: bytes = field(repr=False)
    """The bytes that were verified, or would be."""
    headers: Headers = field(repr=False)
    """As they came, names in any case, repeated ones apart."""
    secrets: Mapping[str, str] = field(repr=False)
    """Every signing secret known, by label, exactly as configured: spaces and quotes too."""
    now: float
    """Unix seconds on the receiver's clock when the request came."""
    method: str = "POST"
    url: str = "/"
    """Absolute, or the path alone."""
    used: frozenset[str] | None = None
    """Labels of the secrets the app verifies with; None where that is not known."""
    is_now_known: bool = True
    """False where *now* is merely the time of the diagnosis."""
    tolerance: float = TOLERANCE_SECONDS
    answer: Answer | None = None

    def values(self, name: str) -> list[str]:
        """Return the values of the header *name* (lower case), in their order."""
        return header_values(self.headers, name)

    def value(self, name: str) -> str | None:
        """Return the first value of the header *name* (lower case), or None."""
        return next(iter(self.values(name)), None)

    def is_used(self, label: str) -> bool:
        """Return whether the app verifies with the secret *label*, as far as is known."""
        return self.used is None or label in self.used


def header_values(headers: Headers, name: str) -> list[str]:
    """Return the values of the header *name* (lower case), in their order."""
    return [value for key, value in headers[:HEADERS_MAX] if key.lower() == name]


def path_of(url: str) -> str:
    """Return the path of *url* without its query, which may hold what is not for printing."""
    try:
        return urlsplit(url).path or "/"
    except ValueError:  # an impossible host
        return "/"


def shown(text: str) -> str:
    """Return *text* fit for a sentence: printable ASCII, and not long."""
    clean = "".join(c if " " <= c <= "~" else "?" for c in text[: SHOWN_CHARS_MAX + 1])
    return clean if len(clean) <= SHOWN_CHARS_MAX else clean[: SHOWN_CHARS_MAX - 3] + "..."
