"""What passed of a body: its length, its SHA-256, and as much of itself as is wanted."""

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["BodyTally"]

SHORT_BYTES_MAX = 16 * 1024  # Stripe's events are 2 to 10 KB
_DIGEST_OF_NOTHING = sha256().digest()


class BodyTally:
    """
    Counts and hashes the bytes of one body, in order.

    Each side tallies what it reads from, or writes to, its own plain connection and tells
    the other what it read: that both agree is the proof that a body arrived bit for bit.
    """

    __slots__ = ("_digest", "_hash", "_room", "kept", "length", "short", "told")

    def __init__(self, keep_max: int = 0) -> None:
        """*keep_max*: bytes of its beginning to hold on to, for a capture."""
        self.length = 0
        self.kept: list[bytes] = []
        """The pieces as they came: holding on to them costs no copy."""
        self._room = keep_max
        self.short = b""
        """The body itself while it is short, for those who look at webhooks; else empty."""
        self.told = b""
        """The digest as the other side told it; empty for not, or not yet."""
        self._hash: _Hash | None = None
        self._digest = _DIGEST_OF_NOTHING
        """Of all that was added; empty while nobody has asked for it."""

    def add(self, data: bytes) -> None:
        if not data:
            return
        self.length += len(data)
        self._digest = b""
        if self._room:
            self._keep(data)
        if self._hash is None:
            self._hash = sha256(data)
            if self.length <= SHORT_BYTES_MAX:
                self.short = data
        else:
            self._hash.update(data)
            if self.short:
                self.short = self.short + data if self.length <= SHORT_BYTES_MAX else b""

    def _keep(self, data: bytes) -> None:
        self.kept.append(data if len(data) <= self._room else data[: self._room])
        self._room -= len(self.kept[-1])

    def digest(self) -> bytes:
        """Return the SHA-256 of what was added so far."""
        if not self._digest and self._hash is not None:
            self._digest = self._hash.digest()  # a copy of OpenSSL's state, and it is asked twice
        return self._digest
