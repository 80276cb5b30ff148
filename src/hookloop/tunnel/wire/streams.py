"""One stream: two halves, each with the same few moves. SPEC.md section 3."""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import ResponseHead

from .flow import Allowance, Budget, Outbox

if TYPE_CHECKING:
    from .lanes import Lane, Moved
    from .outgoing import Outgoing

__all__ = ["MOVES", "Half", "Move", "Stream", "answered_half", "head_moves", "next_half"]


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

    __hash__ = object.__hash__  # in C, where an enum's own runs in Python: this is the hot path


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

    __hash__ = object.__hash__


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


@dataclass(slots=True)
class Stream:
    """What a session knows of a stream that is open."""

    ours: Half
    theirs: Half
    budget: Budget
    allowance: Allowance
    outgoing: "Outgoing"
    """Where our half is queued: the session's, or a lane's."""
    outbox: Outbox = field(default_factory=Outbox)
    is_blocked: bool = False
    """Its source was told to pause."""
    is_raw: bool = False
    """It ends when both halves have: neither end takes the other half along."""
    is_out: bool = False
    """Our half has ended, and all of it was written."""
    lane: "Lane | None" = None
    """Where our half goes; None for the session."""
    moved: "Moved | None" = None
    """Theirs came over to a lane."""
    carried: int = 0
    """Body bytes both ways."""

    def move_ours(self, *moves: Move) -> None:
        """Raise `LocalError` for a move that our half does not allow."""
        half = next_half(self.ours, *moves)
        if half is None:
            raise LocalError(f"{_named(moves)} on a half that is at {self.ours.name}")
        self.ours = half

    def move_theirs(self, number: int, *moves: Move) -> None:
        """Raise `ProtocolError` for a move that theirs does not allow."""
        half = next_half(self.theirs, *moves)
        if half is None:
            raise ProtocolError(f"{_named(moves)} on stream {number}, at {self.theirs.name}")
        self.theirs = half


def head_moves(head: ResponseHead, body: bytes, *, is_ended: bool) -> tuple[Move, ...]:
    """Return the moves that a RESPONSE makes."""
    move = Move.HEAD
    if head.status < 200:
        move = Move.SWITCH if head.status == 101 else Move.INTERIM
    if body:
        return (move, Move.DATA, Move.END) if is_ended else (move, Move.DATA)
    return (move, Move.END) if is_ended else (move,)


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


def _named(moves: tuple[Move, ...]) -> str:
    return ", ".join(move.name for move in moves)
