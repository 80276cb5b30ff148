"""Which side of a session may send what: the columns of the table in SPEC.md section 2."""

from enum import Enum, auto

from .frames import FrameType

__all__ = ["ABOUT_STREAMS", "ASKING", "INCOMING", "OPENING", "Role"]


class Role(Enum):
    """Which side of the session this is."""

    RELAY = auto()
    AGENT = auto()


# Which frames may come in, per role: the other side's column of SPEC.md section 2.
_FROM_BOTH = {
    FrameType.PING,
    FrameType.PONG,
    FrameType.GOAWAY,
    FrameType.DATA,
    FrameType.TRAILERS,
    FrameType.RESET,
    FrameType.CREDIT,
    FrameType.MOVE,
}
INCOMING = {
    Role.RELAY: _FROM_BOTH | {FrameType.BIND, FrameType.UNBIND, FrameType.RESPONSE},
    Role.AGENT: _FROM_BOTH
    | {FrameType.BOUND, FrameType.REFUSED, FrameType.INVITE}
    | {FrameType.REQUEST, FrameType.CONNECT},
}
ABOUT_STREAMS = 0x10  # frame types from here on
OPENING = {FrameType.REQUEST, FrameType.CONNECT}
ASKING = {FrameType.PING, FrameType.BIND, *OPENING}  # each makes us queue an answer
