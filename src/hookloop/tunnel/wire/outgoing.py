"""
What a session has to send: heads and control frames first, then streams in turns.

What waits, waits here, where streams take turns, and not in the connection's buffer,
where the first to come would hold up all others.
"""

from collections import OrderedDict

from .flow import Budget
from .frames import BODY, DIGEST, END, FrameType, encode_frame
from .messages import encode_credit, with_body
from .streams import Stream

__all__ = ["CONTROL_BYTES_MAX", "DATA_PIECE_BYTES", "QUEUED_BYTES_MAX", "Outgoing"]

DATA_PIECE_BYTES = 16 * 1024  # one turn of a stream: short enough that a small webhook never waits
QUEUED_BYTES_MAX = 128 * 1024  # of one stream; its source is told to pause above this
CONTROL_BYTES_MAX = 4 * 1024 * 1024  # heads and answers that wait for the connection


class Outgoing:
    """The frames of one session that wait for its connection."""

    def __init__(self, *, credit: int = 0, piece_bytes: int = DATA_PIECE_BYTES) -> None:
        """*credit* is there at the start; *piece_bytes* are one turn of a stream."""
        self._piece_bytes = piece_bytes
        self.control_bytes = 0
        """Of heads and control frames that wait."""
        self._control: list[bytes] = []
        # Streams with bytes to send and credit of their own, in the order of their turns.
        # They keep their places while the session's credit is out.
        self._turns: OrderedDict[int, Stream] = OrderedDict()
        self.budget = Budget(credit)
        """What the other side takes of all streams together."""
        self._unblocked: list[int] = []
        self._out: list[tuple[int, Stream]] = []

    @property
    def is_full(self) -> bool:
        """So much waits for a side that does not read that nothing new is begun."""
        return self.control_bytes >= CONTROL_BYTES_MAX

    # --- in ----------------------------------------------------------------------------------

    def send(self, type_: FrameType, payload: bytes, number: int = 0, flags: int = 0) -> None:
        """Queue a frame that costs no credit."""
        frame = encode_frame(type_, payload, stream=number, flags=flags)
        self._control.append(frame)
        self.control_bytes += len(frame)

    def send_credit(self, number: int, credit: int) -> None:
        """Queue a grant of ours; none for 0."""
        if credit:
            self.send(FrameType.CREDIT, encode_credit(credit), number)

    def send_head(
        self,
        type_: FrameType,
        fields: bytes,
        number: int,
        stream: Stream,
        *,
        flags: int,
        body: bytes,
        digest: bytes,
    ) -> bool:
        """
        Queue a head, and its body with it where that is short and paid for.

        Returns False if the body is left to the caller, and with it the END of *flags*.
        """
        length = len(body)
        if not length:
            self.send(type_, fields, number, flags)
            return True
        if length > min(self._piece_bytes, stream.budget.left, self.budget.left):
            self.send(type_, fields, number, flags & ~END)
            return False
        stream.budget.left -= length
        self.budget.left -= length
        flags |= BODY | DIGEST if digest else BODY
        self.send(type_, with_body(fields, body, digest), number, flags)
        return True

    def send_data(self, number: int, stream: Stream, data: bytes) -> None:
        """Queue body bytes, for when it is the stream's turn."""
        stream.outbox.put(data)
        self.line_up(number, stream)

    def send_end(self, number: int, stream: Stream, ending: bytes, digest: bytes) -> bool:
        """
        End our half with trailers, or empty *ending*: behind what is queued, or now.

        Returns True for now; else `ended` tells it once it is out.
        """
        outbox = stream.outbox
        if outbox.queued:
            outbox.ending, outbox.digest = ending, digest
            return False
        # An end costs no credit, so it need not wait for a turn either.
        if digest or not ending:
            flags = DIGEST if digest else 0
            self.send(FrameType.DATA, digest, number, flags if ending else flags | END)
        if ending:
            self.send(FrameType.TRAILERS, ending, number)
        return True

    def line_up(self, number: int, stream: Stream) -> None:
        """Give a stream a turn, at the end of the line unless it stands there already."""
        if stream.outbox.queued and stream.budget.left > 0:
            self._turns[number] = stream

    def forget(self, number: int) -> None:
        """Drop what is queued of a stream that has ended."""
        self._turns.pop(number, None)

    # --- out ---------------------------------------------------------------------------------

    def take(self, most: int) -> list[bytes]:
        """Return the next buffers to write: all control frames, and about *most* bytes of DATA."""
        buffers, self._control = self._control, []
        self.control_bytes = 0
        while self._turns and most > 0 and self.budget.left > 0:
            most -= self._take_turn(buffers)
        return buffers

    def ended(self) -> list[tuple[int, Stream]]:
        """Return, once each, the streams whose half of ours went out to its last byte."""
        out, self._out = self._out, []
        return out

    def unblocked(self) -> list[int]:
        """Return the streams whose queue has become short; a number may come twice."""
        unblocked, self._unblocked = self._unblocked, []
        return unblocked

    def _take_turn(self, buffers: list[bytes]) -> int:
        """Write one piece of the stream whose turn it is, and return its length."""
        number, stream = self._turns.popitem(last=False)
        outbox = stream.outbox
        piece = outbox.take(min(self._piece_bytes, stream.budget.left, self.budget.left))
        length = len(piece)
        stream.budget.left -= length
        self.budget.left -= length
        if outbox.queued or outbox.ending is None:
            buffers.append(encode_frame(FrameType.DATA, piece, stream=number))
        else:
            self._take_last(buffers, number, stream, piece)
        self.line_up(number, stream)
        if stream.is_blocked and outbox.held <= QUEUED_BYTES_MAX // 2:
            stream.is_blocked = False
            self._unblocked.append(number)
        return length

    def _take_last(
        self, buffers: list[bytes], number: int, stream: Stream, piece: memoryview
    ) -> None:
        ending, digest = stream.outbox.ending, stream.outbox.digest
        flags = 0 if ending else END
        if digest:
            flags |= DIGEST
            piece = memoryview(b"".join((piece, digest)))
        buffers.append(encode_frame(FrameType.DATA, piece, stream=number, flags=flags))
        if ending:
            buffers.append(encode_frame(FrameType.TRAILERS, ending, stream=number))
        self._out.append((number, stream))
