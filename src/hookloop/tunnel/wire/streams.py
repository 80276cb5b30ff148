"""One stream: two halves, each with the same few moves. SPEC.md section 3."""

from enum import Enum, auto

__all__ = ["MOVES", "Half", "Move", "next_half"]


class Half(Enum):
    """How far one direction of an exchange has come."""

    HEAD = auto()
    """The final head has not been sent yet."""
    BODY = auto()
    """Body bytes or trailers may follow."""
    DONE = auto()


class Move(Enum):
    """What a sender does with its half."""

    INTERIM = auto()
    """RESPONSE with a 1xx status."""
    HEAD = auto()
    """REQUEST, or RESPONSE with a final status."""
    DATA = auto()
    END = auto()
    """The END flag, or TRAILERS."""


# The whole law of an exchange: a move that is not listed is a protocol error.
MOVES: dict[tuple[Half, Move], Half] = {
    (Half.HEAD, Move.INTERIM): Half.HEAD,
    (Half.HEAD, Move.HEAD): Half.BODY,
    (Half.BODY, Move.DATA): Half.BODY,
    (Half.BODY, Move.END): Half.DONE,
}


def next_half(half: Half, *moves: Move) -> Half | None:
    """Return where *moves* lead from *half*, or None if one of them is not allowed."""
    position: Half | None = half
    for move in moves:
        if position is None:
            break
        position = MOVES.get((position, move))
    return position
