"""The moves of one half of an exchange."""

import pytest

from hookloop.tunnel.wire.streams import MOVES, Half, Move, answered_half, next_half


@pytest.mark.parametrize(
    ("start", "moves", "end"),
    [
        (Half.HEAD, [Move.HEAD], Half.BODY),
        (Half.HEAD, [Move.INTERIM, Move.INTERIM, Move.HEAD], Half.BODY),
        (Half.HEAD, [Move.HEAD, Move.END], Half.DONE),
        (Half.BODY, [Move.DATA, Move.DATA, Move.END], Half.DONE),
        (Half.BODY, [], Half.BODY),
        (Half.BODY, [Move.DATA, Move.TRAILERS], Half.DONE),
        (Half.HEAD, [Move.INTERIM, Move.SWITCH], Half.RAW),
        (Half.RAW, [Move.DATA, Move.DATA, Move.END], Half.DONE),
        (Half.HEAD, [Move.SWITCH, Move.END], Half.DONE),
    ],
)
def test_moves_of_a_sound_exchange_lead_on(start, moves, end):
    """Heads come before bodies, bodies before ends."""
    assert next_half(start, *moves) is end


@pytest.mark.parametrize(
    ("start", "moves"),
    [
        (Half.HEAD, [Move.DATA]),
        (Half.HEAD, [Move.END]),
        (Half.HEAD, [Move.INTERIM, Move.END]),
        (Half.HEAD, [Move.HEAD, Move.HEAD]),
        (Half.BODY, [Move.INTERIM]),
        (Half.DONE, [Move.DATA]),
        (Half.RAW, [Move.TRAILERS]),
        (Half.RAW, [Move.HEAD]),
        (Half.BODY, [Move.SWITCH]),
        (Half.ASKED, [Move.DATA]),
        (Half.ASKED, [Move.END]),
        (Half.DONE, [Move.END]),
        (Half.HEAD, [Move.DATA, Move.HEAD, Move.END]),
    ],
)
def test_other_moves_lead_nowhere(start, moves):
    """A wrong move is not made good by a right one after it."""
    assert next_half(start, *moves) is None


def test_a_half_that_is_done_stays_done():
    """The table has no way back."""
    assert not [half for half, _ in MOVES if half is Half.DONE]


@pytest.mark.parametrize(
    ("request_half", "move", "led_to"),
    [
        (Half.ASKED, Move.INTERIM, Half.ASKED),
        (Half.ASKED, Move.HEAD, Half.DONE),
        (Half.ASKED, Move.SWITCH, Half.RAW),
        (Half.BODY, Move.HEAD, Half.BODY),
        (Half.DONE, Move.INTERIM, Half.DONE),
        (Half.BODY, Move.SWITCH, None),
        (Half.DONE, Move.SWITCH, None),
        (Half.RAW, Move.SWITCH, None),
    ],
)
def test_the_answer_decides_an_upgrade_and_nothing_else(request_half, move, led_to):
    """A request half that asked for nothing stays where it is, and takes no 101."""
    assert answered_half(request_half, move) is led_to
