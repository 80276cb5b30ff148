"""A body as text, for those who search and show it; never for those who send it. Pure."""

import zlib
from collections.abc import Callable

from hookloop.exchange import Headers

__all__ = ["content_type", "decoded", "text_of"]

DECODED_BYTES_MAX = 4 * 1024 * 1024  # a few KB can unpack to gigabytes


def content_type(headers: Headers) -> str:
    """Return the media type, lower case and without its parameters; empty where none is named."""
    for name, value in headers:
        if name.lower() == b"content-type":
            return value.decode("latin-1").partition(";")[0].strip().lower()
    return ""


def decoded(headers: Headers, body: bytes) -> bytes:
    """Return *body* without its Content-Encoding, as far as that can be undone."""
    for name, value in headers:
        if name.lower() == b"content-encoding":
            unpack = _CODINGS.get(value.strip().lower())
            return unpack(body) if unpack is not None else body
    return body


def text_of(headers: Headers, body: bytes) -> str | None:
    """Return the body as text, or None for one that is not."""
    data = decoded(headers, body)
    if b"\0" in data[:1024]:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # A kept beginning may end within a character.
        if error.start >= len(data) - 3:
            return data[: error.start].decode()
        return data.decode("latin-1") if content_type(headers).startswith("text/") else None


def _inflated(window: int) -> "Callable[[bytes], bytes]":
    def unpack(body: bytes) -> bytes:
        try:
            return zlib.decompressobj(window).decompress(body, DECODED_BYTES_MAX)
        except zlib.error:
            return body

    return unpack


_CODINGS: "dict[bytes, Callable[[bytes], bytes]]" = {
    b"gzip": _inflated(zlib.MAX_WBITS | 16),
    b"x-gzip": _inflated(zlib.MAX_WBITS | 16),
    b"deflate": _inflated(zlib.MAX_WBITS),
}
