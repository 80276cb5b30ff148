"""
Reads the first message of a TLS connection, without answering it: whom does the caller want?

Pure: bytes in, a value out. RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3.
"""

from dataclasses import dataclass
from enum import Enum

__all__ = ["CLIENT_HELLO_BYTES_MAX", "ClientHello", "NotTls", "read_client_hello"]

CLIENT_HELLO_BYTES_MAX = 16 * 1024
"""Of a ClientHello: one with post-quantum keys has 2 KB, and nginx reads no more than this."""

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0
_RECORD_HEAD_BYTES = 5
_MESSAGE_HEAD_BYTES = 4
_RECORD_BYTES_MAX = 2**14


class NotTls(Enum):
    """Why what came is no ClientHello."""

    HTTP = "plain HTTP"
    OTHER = "neither TLS nor HTTP"
    BROKEN = "a broken ClientHello"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a caller says before anything is agreed on."""

    server_name: str | None
    """In lower case and without a dot at its end, or None where the caller gave none."""


def read_client_hello(data: bytes) -> ClientHello | NotTls | None:
    """Return what *data*, from a connection's first byte on, begins with; None: it needs more."""
    if not data:
        return None
    if data[0] != _HANDSHAKE:
        return NotTls.HTTP if data[:1].isalpha() and data[:1].isupper() else NotTls.OTHER
    message = _first_message(data)
    if not isinstance(message, bytes):
        return message
    try:
        return ClientHello(_server_name(_Reader(message)))
    except _ShortError:
        return NotTls.BROKEN


def _first_message(data: bytes) -> bytes | NotTls | None:
    """Join the fragments of the first handshake message: it may be spread over records."""
    message = b""
    at = 0
    while len(data) - at >= _RECORD_HEAD_BYTES:
        kind, major = data[at], data[at + 1]
        length = int.from_bytes(data[at + 3 : at + 5])
        if kind != _HANDSHAKE or major != 3 or not 0 < length <= _RECORD_BYTES_MAX:
            return NotTls.BROKEN
        at += _RECORD_HEAD_BYTES
        message += data[at : at + length]
        at += length
        if len(message) < _MESSAGE_HEAD_BYTES:
            continue
        whole = _MESSAGE_HEAD_BYTES + int.from_bytes(message[1:4])
        if message[0] != _CLIENT_HELLO or whole > CLIENT_HELLO_BYTES_MAX:
            return NotTls.BROKEN
        if len(message) >= whole:
            return message[_MESSAGE_HEAD_BYTES:whole]
    return NotTls.BROKEN if len(data) >= 2 * CLIENT_HELLO_BYTES_MAX else None


def _server_name(hello: "_Reader") -> str | None:
    hello.take(2 + 32)  # the version of old, and the random
    hello.take_vector(1)  # session id
    hello.take_vector(2)  # cipher suites
    hello.take_vector(1)  # compression
    if hello.is_empty:
        return None
    extensions = _Reader(hello.take_vector(2))
    while not extensions.is_empty:
        kind = int.from_bytes(extensions.take(2))
        content = extensions.take_vector(2)
        if kind == _SERVER_NAME:
            return _host_name(_Reader(_Reader(content).take_vector(2)))
    return None


def _host_name(names: "_Reader") -> str | None:
    while not names.is_empty:
        kind = names.take(1)[0]
        name = names.take_vector(2)
        if kind == _HOST_NAME:
            # What is not ASCII is no name of ours: it finds nothing.
            return name.decode("ascii", "replace").lower().removesuffix(".")
    return None


class _ShortError(Exception):
    """A length points past the end."""


class _Reader:
    """Takes bytes from the front; raises `_ShortError` where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at == len(self._data)

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise _ShortError
        taken, self._at = self._data[self._at : end], end
        return taken

    def take_vector(self, length_bytes: int) -> bytes:
        """Take what a length of *length_bytes* stands before."""
        return self.take(int.from_bytes(self.take(length_bytes)))
