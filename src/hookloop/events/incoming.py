"""A webhook request as every face hands it over."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

__all__ = ["HeadersLike", "Incoming", "read_length"]

HeadersLike: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

_SEQUENCES = (list, tuple)

LENGTH_DIGITS_MAX = 18  # a larger Content-Length is over any limit, and int() refuses 4301 digits


class Incoming:
    """
    Method, path, headers and raw body of one request.

    Nothing in it is verified: a callable that looks secrets up by it must treat all of
    it as an outsider's words.
    """

    __slots__ = ("_by_name", "body", "headers", "method", "path")

    def __init__(
        self, body: bytes, headers: HeadersLike, method: str = "POST", path: str = ""
    ) -> None:
        self.body = body
        if not isinstance(headers, _SEQUENCES):
            headers = tuple(headers.items() if isinstance(headers, Mapping) else headers)
        self.headers = headers
        by_name: dict[str | bytes, str | bytes] = dict(headers)
        self._by_name = by_name if len(by_name) == len(headers) else None
        """For names that are there once, spelled as they should be."""
        self.method = method
        self.path = path
        """The path as the face saw it, for secrets per tenant; may be empty."""

    def get(self, name: str) -> str | None:
        """Return the header *name* (lower case), several of them joined by commas, or None."""
        encoded = name.encode()
        if self._by_name is not None:
            # ASGI has names in lower case, as bytes; anything else is searched for.
            value = self._by_name.get(encoded)
            if value is not None:
                return value.decode("latin-1") if isinstance(value, bytes) else value
        found: str | None = None
        for key, value in self.headers:
            if key.lower() == (encoded if isinstance(key, bytes) else name):
                text = value.decode("latin-1") if isinstance(value, bytes) else value
                found = text if found is None else f"{found},{text}"
        return found

    def __repr__(self) -> str:
        return f"<Incoming {self.method}, {len(self.body)} bytes>"


def read_length(text: str | bytes | None) -> int | None:
    """Return what a Content-Length announces; None where it is absent or no number."""
    if not text:
        return None
    digits = text.decode("latin-1") if isinstance(text, bytes) else text
    if not digits.isdigit():
        digits = digits.strip()
    return int(digits[:LENGTH_DIGITS_MAX]) if digits.isascii() and digits.isdigit() else None
