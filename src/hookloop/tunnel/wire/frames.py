"""Frames: the unit of the wire. SPEC.md section 2."""

import struct
from enum import IntEnum
from typing import NamedTuple

from hookloop.errors import LocalError, ProtocolError

__all__ = [
    "BODY",
    "DIGEST",
    "END",
    "FRAME_HEAD_BYTES",
    "PAYLOAD_BYTES_MAX",
    "UPGRADE",
    "Frame",
    "FrameDecoder",
    "FrameType",
    "encode_frame",
]

FRAME_HEAD_BYTES = 9
PAYLOAD_BYTES_MAX = 128 * 1024  # a head of 64 KiB fits twice; nothing larger is ever needed
END = 0x01
DIGEST = 0x02
UPGRADE = 0x04  # on REQUEST
BODY = 0x08  # on REQUEST and RESPONSE

_HEAD = struct.Struct("!IBI")  # length and type share the first word


class FrameType(IntEnum):
    """What a payload is. Types below 0x10 speak of the session, the others of a stream."""

    HELLO = 0x01
    BIND = 0x02
    BOUND = 0x03
    REFUSED = 0x04
    UNBIND = 0x05
    PING = 0x06
    PONG = 0x07
    GOAWAY = 0x08
    INVITE = 0x09
    REQUEST = 0x10
    RESPONSE = 0x11
    DATA = 0x12
    TRAILERS = 0x13
    RESET = 0x14
    CREDIT = 0x15
    CONNECT = 0x16
    MOVE = 0x17

    __hash__ = int.__hash__  # an enum's own runs in Python; frames are looked up by their type


class Frame(NamedTuple):
    """One frame as it came; *type* may be one we do not know."""

    type: int
    flags: int
    stream: int
    payload: bytes


def encode_frame(
    type_: FrameType, payload: bytes | memoryview = b"", *, stream: int = 0, flags: int = 0
) -> bytes:
    """Return the bytes of one frame. Raises `LocalError` on an oversized payload."""
    length = len(payload)
    if length > PAYLOAD_BYTES_MAX:
        raise LocalError(f"a {type_.name} payload of {length} bytes, at most {PAYLOAD_BYTES_MAX}")
    return b"".join((_HEAD.pack(length << 8 | type_, flags, stream), payload))


class FrameDecoder:
    """
    Cuts a byte stream into frames, however the network chopped it.

    Holds at most one incomplete frame: `PAYLOAD_BYTES_MAX` and a head.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def receive_data(self, data: bytes) -> list[Frame]:
        """
        Return the frames that *data* completes, in order.

        Raises `ProtocolError` for a length over the limit, before setting memory
        aside for it; the decoder must not be used after that.
        """
        pending = self._pending
        if not pending:
            frames, used = _cut(data)
            if used < len(data):
                pending += memoryview(data)[used:]
            return frames
        # Only what completes the frame that waits is copied behind it: large ones come in pieces.
        taken = self._missing(len(data))
        pending += memoryview(data)[:taken]
        frames, used = _cut(pending)
        del pending[:used]
        if not pending and taken < len(data):
            more, used = _cut(data, taken)
            frames += more
            if used < len(data):
                pending += memoryview(data)[used:]
        return frames

    def _missing(self, most: int) -> int:
        """Return how many of *most* bytes the pending frame takes, by what is known of it."""
        known = len(self._pending)
        if known < FRAME_HEAD_BYTES:
            return most  # it may be anything
        length = _HEAD.unpack_from(self._pending)[0] >> 8
        return min(most, FRAME_HEAD_BYTES + int(length) - known)


def _cut(buffer: bytes | bytearray, position: int = 0) -> tuple[list[Frame], int]:
    """Return the whole frames from *position* on, and where what is no whole frame begins."""
    frames = []
    available = len(buffer)
    with memoryview(buffer) as view:
        while position + FRAME_HEAD_BYTES <= available:
            word, flags, stream = _HEAD.unpack_from(buffer, position)
            length = word >> 8
            if length > PAYLOAD_BYTES_MAX:
                raise ProtocolError(
                    f"a frame announces {length} bytes, at most {PAYLOAD_BYTES_MAX} are allowed: "
                    "the other side does not speak hookloop/1"
                )
            start = position + FRAME_HEAD_BYTES
            end = start + length
            if end > available:
                break
            frames.append(Frame(word & 0xFF, flags, stream, bytes(view[start:end])))
            position = end
    return frames, position
