"""What is known of a body that passed: length, digest, and itself where it is short."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from hookloop.tunnel.body_tally import SHORT_BYTES_MAX, BodyTally

KIB = 1024


@given(st.lists(st.binary(max_size=200) | st.just(bytes(5 * KIB)), max_size=8))
def test_the_pieces_do_not_matter(pieces):
    """However it was cut, it is the same body; a long one is not kept."""
    tally = BodyTally()
    for piece in pieces:
        tally.add(piece)
    body = b"".join(pieces)

    assert (tally.length, tally.digest()) == (len(body), sha256(body).digest())
    assert tally.short == (body if len(body) <= SHORT_BYTES_MAX else b"")


def test_what_was_too_long_never_becomes_short_again():
    """The end of a long body is no body."""
    tally = BodyTally()
    tally.add(bytes(SHORT_BYTES_MAX + 1))
    tally.add(b"x")

    assert tally.short == b""
