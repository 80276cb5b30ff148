"""What passed of a body: its length and its SHA-256, taken at both ends of the tunnel."""

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["BodyTally"]

_DIGEST_OF_NOTHING = sha256().digest()


class BodyTally:
    """
    Counts and hashes the bytes of one body, in order.

    Each side tallies what it reads from, or writes to, its own plain connection and tells
    the other what it read: that both agree is the proof that a body arrived bit for bit.
    """

    __slots__ = ("_hash", "length", "told")

    def __init__(self) -> None:
        self.length = 0
        self.told = b""
        """The digest as the other side told it; empty for not, or not yet."""
        self._hash: _Hash | None = None

    def add(self, data: bytes) -> None:
        if not data:
            return
        self.length += len(data)
        if self._hash is None:
            self._hash = sha256(data)
        else:
            self._hash.update(data)

    def digest(self) -> bytes:
        """Return the SHA-256 of what was added so far."""
        return self._hash.digest() if self._hash is not None else _DIGEST_OF_NOTHING
