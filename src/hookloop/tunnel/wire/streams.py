"""One stream: two halves, each with the same few moves. SPEC.md section 3."""

from enum import Enum, auto

__all__ = ["MOVES", "Half", "Move", "answered_half", "next_half"]


class Half(Enum):
    """How far one direction of a stream has come."""

    HEAD = auto()
    """The final head has not been sent yet."""
    BODY = auto()
    """Body bytes or trailers may follow."""
    ASKED = auto()
    """A request half that asked for an upgrade: nothing follows before the answer's head."""
    RAW = auto()
    """Bytes that nobody reads as HTTP may follow."""
    DONE = auto()


class Move(Enum):
    """What a sender does with its half."""

    INTERIM = auto()
    """RESPONSE with a 1xx status other than 101."""
    HEAD = auto()
    """REQUEST, or RESPONSE with a final status."""
    SWITCH = auto()
    """RESPONSE with the status 101."""
    DATA = auto()
    END = auto()
    """The END flag."""
    TRAILERS = auto()


# The whole law of a stream: a move that is not listed is a protocol error.
MOVES: dict[tuple[Half, Move], Half] = {
    (Half.HEAD, Move.INTERIM): Half.HEAD,
    (Half.HEAD, Move.HEAD): Half.BODY,
    (Half.HEAD, Move.SWITCH): Half.RAW,
    (Half.BODY, Move.DATA): Half.BODY,
    (Half.BODY, Move.END): Half.DONE,
    (Half.BODY, Move.TRAILERS): Half.DONE,
    (Half.RAW, Move.DATA): Half.RAW,
    (Half.RAW, Move.END): Half.DONE,
}

# Where the answer's head leads a request half that asked for an upgrade.
_ANSWERS: dict[Move, Half] = {
    Move.INTERIM: Half.ASKED,
    Move.HEAD: Half.DONE,
    Move.SWITCH: Half.RAW,
}


def next_half(half: Half, *moves: Move) -> Half | None:
    """Return where *moves* lead from *half*, or None if one of them is not allowed."""
    position: Half | None = half
    for move in moves:
        if position is None:
            break
        position = MOVES.get((position, move))
    return position


def answered_half(request: Half, move: Move) -> Half | None:
    """Return where the answer's head leads the *request* half; None for a 101 not asked for."""
    if request is Half.ASKED:
        return _ANSWERS[move]
    return None if move is Move.SWITCH else request
