"""The unit of the wire, cut and joined."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.errors import LocalError, ProtocolError
from hookloop.tunnel.wire.frames import (
    END,
    FRAME_HEAD_BYTES,
    PAYLOAD_BYTES_MAX,
    Frame,
    FrameDecoder,
    FrameType,
    encode_frame,
)

STREAMS = st.integers(0, 2**32 - 1)
FRAMES = st.tuples(st.sampled_from(FrameType), st.binary(max_size=64), STREAMS, st.integers(0, 255))


def encoded(frames):
    return b"".join(
        encode_frame(type_, payload, stream=stream, flags=flags)
        for type_, payload, stream, flags in frames
    )


def test_a_frame_is_length_type_flags_stream_and_payload():
    """The head is nine bytes, big-endian, as the page draws it."""
    frame = encode_frame(FrameType.DATA, b"abc", stream=0x01020304, flags=END)

    assert frame == bytes.fromhex("000003 12 01 01020304") + b"abc"


def test_a_frame_without_payload_is_its_head_alone():
    """A length of zero is a frame like any other."""
    frame = encode_frame(FrameType.TRAILERS, stream=7)

    assert len(frame) == FRAME_HEAD_BYTES
    assert FrameDecoder().receive_data(frame) == [Frame(FrameType.TRAILERS, 0, 7, b"")]


def test_a_view_is_sent_like_bytes():
    """Pieces of a body are views of what came from the source."""
    payload = memoryview(b"body bytes")[5:]

    assert encode_frame(FrameType.DATA, payload, stream=1)[FRAME_HEAD_BYTES:] == b"bytes"


def test_the_largest_payload_goes_through():
    """The limit itself is allowed."""
    frame = encode_frame(FrameType.DATA, bytes(PAYLOAD_BYTES_MAX), stream=1)

    [decoded] = FrameDecoder().receive_data(frame)

    assert len(decoded.payload) == PAYLOAD_BYTES_MAX


def test_an_oversized_payload_is_our_own_fault():
    """Nothing that the other side must refuse is ever encoded."""
    with pytest.raises(LocalError, match="131073"):
        encode_frame(FrameType.DATA, bytes(PAYLOAD_BYTES_MAX + 1), stream=1)


def test_an_oversized_length_is_refused_before_its_payload_comes():
    """The head is enough: no memory is set aside for the rest."""
    head = (PAYLOAD_BYTES_MAX + 1).to_bytes(3, "big") + bytes(6)

    with pytest.raises(ProtocolError, match="hookloop/1"):
        FrameDecoder().receive_data(head)


def test_http_bytes_are_refused():
    """A peer that never upgraded is found out by its first nine bytes."""
    with pytest.raises(ProtocolError):
        FrameDecoder().receive_data(b"HTTP/1.1 200 OK\r\n")


def test_an_unknown_type_is_handed_on():
    """What to do with it is not the decoder's to say."""
    [frame] = FrameDecoder().receive_data(bytes.fromhex("000001 ff 80 00000000 61"))

    assert frame == Frame(0xFF, 0x80, 0, b"a")


def test_a_decoder_holds_only_what_is_incomplete():
    """Several frames and a half come in one read; the half waits for its rest."""
    first = encode_frame(FrameType.PING, b"12345678")
    second = encode_frame(FrameType.DATA, b"x" * 100, stream=2)
    decoder = FrameDecoder()

    before = decoder.receive_data(first + first + second[:50])
    after = decoder.receive_data(second[50:] + first)

    assert [frame.type for frame in before] == [FrameType.PING, FrameType.PING]
    assert [frame.type for frame in after] == [FrameType.DATA, FrameType.PING]


@given(st.lists(FRAMES))
def test_what_is_encoded_is_decoded(frames):
    """Every frame comes back as it was."""
    decoded = FrameDecoder().receive_data(encoded(frames))

    assert decoded == [
        Frame(type_, flags, stream, payload) for type_, payload, stream, flags in frames
    ]


@given(st.lists(FRAMES), st.data())
def test_chunking_changes_nothing(frames, data):
    """However the network chops the bytes, the frames are the same."""
    whole = encoded(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    decoder = FrameDecoder()

    decoded = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        decoded += decoder.receive_data(whole[start:end])

    assert decoded == FrameDecoder().receive_data(whole)


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_are_frames_or_a_protocol_error(chunks):
    """No input raises anything else."""
    decoder = FrameDecoder()

    with suppress(ProtocolError):
        for chunk in chunks:
            decoder.receive_data(chunk)
