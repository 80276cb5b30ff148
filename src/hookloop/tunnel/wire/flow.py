"""Credit: how much DATA a side may send, and how much it lets the other send. SPEC.md section 4."""

from collections import deque

from hookloop.errors import ProtocolError

from .messages import CREDIT_MAX

__all__ = ["Allowance", "Budget", "Outbox"]


class Budget:
    """The credit we may spend: granted by the other side."""

    __slots__ = ("left",)

    def __init__(self, granted: int) -> None:
        self.left = granted

    def grant(self, more: int) -> None:
        """Raise `ProtocolError` beyond 2^31-1."""
        self.left += more
        if self.left > CREDIT_MAX:
            raise ProtocolError("the other side granted more credit than 2^31-1")


class Allowance:
    """
    The credit we granted: what the other side may still send, and what we owe it.

    The caller's duty: `spend` for each DATA that comes in, `give_back` once its
    bytes have left our buffers.
    """

    __slots__ = ("_given_back", "_left", "_step")

    def __init__(self, granted: int) -> None:
        self._left = granted
        self._given_back = 0
        # Granting in halves keeps a sender busy without a CREDIT frame per DATA frame.
        self._step = granted // 2

    def spend(self, length: int) -> None:
        """Raise `ProtocolError` if the other side sent more than we granted."""
        self._left -= length
        if self._left < 0:
            raise ProtocolError("DATA beyond the credit granted")

    def give_back(self, length: int) -> int:
        """Return how much to grant by a CREDIT frame now; 0 while it is not worth one."""
        self._given_back += length
        if self._given_back < self._step:
            return 0
        granted, self._given_back = self._given_back, 0
        self._left += granted
        return granted


class Outbox:
    """Body bytes of one stream that wait for credit and for their turn."""

    __slots__ = ("_chunks", "ending", "queued")

    def __init__(self) -> None:
        self._chunks: deque[memoryview] = deque()
        self.queued = 0
        self.ending: bytes | None = None
        """What ends the half once all chunks are out: trailers, or empty for none."""

    @property
    def is_idle(self) -> bool:
        return not self._chunks and self.ending is None

    def put(self, data: bytes) -> None:
        if data:
            self._chunks.append(memoryview(data))
            self.queued += len(data)

    def take(self, most: int) -> memoryview:
        """Return the next piece, at most *most* bytes; pieces are views, never copies."""
        if not self._chunks or most <= 0:
            return memoryview(b"")
        chunk = self._chunks[0]
        if len(chunk) <= most:
            self._chunks.popleft()
            piece = chunk
        else:
            piece, self._chunks[0] = chunk[:most], chunk[most:]
        self.queued -= len(piece)
        return piece
