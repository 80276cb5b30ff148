"""Credit: how much DATA a side may send, and how much it lets the other send. SPEC.md section 4."""

from collections import deque

from hookloop.errors import LocalError, ProtocolError

from .messages import CREDIT_MAX

__all__ = ["Allowance", "Budget", "Outbox"]

CHUNK_BYTES = 256  # what one waiting chunk costs beside its bytes: two objects and a place in line


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

    __slots__ = ("_given_back", "_held", "_left", "_step")

    def __init__(self, granted: int) -> None:
        self._left = granted
        self._held = 0
        self._given_back = 0
        # Granting in halves keeps a sender busy without a CREDIT frame per DATA frame.
        self._step = granted // 2

    @property
    def held(self) -> int:
        """What has come and was not given back."""
        return self._held

    def spend(self, length: int) -> None:
        """Raise `ProtocolError` if the other side sent more than we granted."""
        self._left -= length
        if self._left < 0:
            raise ProtocolError("DATA beyond the credit granted")
        self._held += length

    def give_back(self, length: int) -> int:
        """
        Return how much to grant by a CREDIT frame now; 0 while it is not worth one.

        Raises `LocalError` for more than was spent: we would grant what we never promised.
        """
        if length > self._held:
            raise LocalError(f"{length} bytes given back, where {self._held} are held")
        self._held -= length
        self._given_back += length
        if self._given_back < self._step:
            return 0
        granted, self._given_back = self._given_back, 0
        self._left += granted
        return granted


class Outbox:
    """Body bytes of one stream that wait for credit and for their turn."""

    __slots__ = ("_chunks", "digest", "ending", "queued")

    def __init__(self) -> None:
        self._chunks: deque[memoryview] = deque()
        self.queued = 0
        self.ending: bytes | None = None
        """What ends the half once all chunks are out: trailers, or empty for none."""
        self.digest = b""
        """The SHA-256 of the whole body, to go with its last bytes."""

    @property
    def held(self) -> int:
        """What the queue costs in memory: a body that came byte by byte is mostly chunks."""
        return self.queued + CHUNK_BYTES * len(self._chunks)

    def put(self, data: bytes) -> None:
        if data:
            self._chunks.append(memoryview(data))
            self.queued += len(data)

    def take(self, most: int) -> memoryview:
        """Cut the next piece off, at most *most* bytes of one chunk: a view, never a copy."""
        chunk = self._chunks[0]
        if len(chunk) <= most:
            self._chunks.popleft()
            piece = chunk
        else:
            piece, self._chunks[0] = chunk[:most], chunk[most:]
        self.queued -= len(piece)
        return piece
