"""Reads a saved HTTP message: whatever a proxy, a log or an inspector wrote into a file."""

import re
from dataclasses import dataclass, field

from hookloop.errors import ConfigError

from .case import Answer, Headers, header_values

__all__ = ["RawRequest", "read_request", "read_response"]

MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # ten times what any webhook takes

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE = re.compile(r"([A-Za-z]{1,20}) ((?:/|https?://)\S*)(?: HTTP/[0-9.]+)?\s*")
_STATUS_LINE = re.compile(r"HTTP/[0-9.]+ ([0-9]{3})(?: .*)?")


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A saved request."""

    method: str
    url: str
    """As in the request line."""
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    """All that follows the head, chunks put together."""


def read_request(message: bytes) -> RawRequest:
    """
    Return the request saved in *message*; its first line may be missing.

    Raises `ConfigError` where there is no head.
    """
    first, headers, body = _split(message)
    match = _REQUEST_LINE.fullmatch(first)
    if match is None and first:
        raise ConfigError("the file does not start with a request line such as POST /path HTTP/1.1")
    method, url = match.groups() if match else ("POST", "/")
    return RawRequest(method, url, headers, body)


def read_response(message: bytes) -> Answer:
    """Return the answer saved in *message*. Raises `ConfigError` where it has no status line."""
    first, headers, body = _split(message)
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise ConfigError("the file does not start with a status line such as HTTP/1.1 301 Moved")
    return Answer(int(match[1]), headers, body.decode(errors="replace"))


def _split(message: bytes) -> tuple[str, Headers, bytes]:
    if len(message) > MESSAGE_BYTES_MAX:
        raise ConfigError(f"the file is over {MESSAGE_BYTES_MAX} bytes, which no webhook is")
    found = _HEAD_END.search(message)
    head, body = (
        (message, b"") if found is None else (message[: found.start()], message[found.end() :])
    )
    lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    first = "" if _is_header(lines[0]) else lines.pop(0).strip()
    headers = tuple(_header(line) for line in lines if _is_header(line))
    if not headers and not first:
        raise ConfigError("the file holds no HTTP message: a request line, headers, a blank line")
    if "chunked" in ",".join(header_values(headers, "transfer-encoding")).lower():
        body = _joined(body)
    return first, headers, body


def _is_header(line: str) -> bool:
    return re.match(r"[!-9;-~]+:", line) is not None


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip(" \t")


def _joined(body: bytes) -> bytes:
    """Return chunks put together; the bytes as they are where they are none (saved decoded)."""
    parts: list[bytes] = []
    rest = body
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found or not re.fullmatch(rb"[0-9a-fA-F]{1,8}(;.*)?", line):
            return body
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        if len(rest) < size + 2:
            return body
        parts.append(rest[:size])
        rest = rest[size + 2 :]
