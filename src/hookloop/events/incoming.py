"""A webhook request as every face hands it over."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

__all__ = ["HeadersLike", "Incoming", "read_length"]

HeadersLike: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

LENGTH_DIGITS_MAX = 18  # a larger Content-Length is over any limit, and int() refuses 4301 digits


class Incoming:
    """
    Method, path, headers and raw body of one request.

    Nothing in it is verified: a callable that looks secrets up by it must treat all of
    it as an outsider's words.
    """

    __slots__ = ("body", "headers", "method", "path")

    def __init__(
        self, body: bytes, headers: HeadersLike, *, method: str = "POST", path: str = ""
    ) -> None:
        self.body = body
        self.headers = headers if isinstance(headers, (list, tuple, Mapping)) else tuple(headers)
        self.method = method
        self.path = path
        """The path as the face saw it, for secrets per tenant; may be empty."""

    def get(self, name: str) -> str | None:
        """Return the header *name* (lower case), several of them joined by commas, or None."""
        encoded = name.encode()
        length = len(name)
        headers = self.headers
        found: str | None = None
        for key, value in headers if isinstance(headers, (list, tuple)) else headers.items():
            # Most keys differ in length: only the others are worth lower().
            if len(key) != length or key.lower() != (encoded if isinstance(key, bytes) else name):
                continue
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            found = text if found is None else f"{found},{text}"
        return found

    def __repr__(self) -> str:
        return f"<Incoming {self.method}, {len(self.body)} bytes>"


def read_length(text: str | bytes | None) -> int | None:
    """Return what a Content-Length announces; None where it is absent or no number."""
    if not text:
        return None
    digits = (text.decode("latin-1") if isinstance(text, bytes) else text).strip()
    if not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits[:LENGTH_DIGITS_MAX])
