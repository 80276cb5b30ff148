"""What a session tells its shell: one frozen value per thing that happened."""

from dataclasses import dataclass

from hookloop.exchange import Headers, RequestHead, ResponseHead

from .messages import Bind, Bound, Goaway, Hello, Refused, ResetCode, Unbind
from .raw import Connect

__all__ = [
    "BindAccepted",
    "BindRefused",
    "BindRequested",
    "DataReceived",
    "Event",
    "GoawayReceived",
    "HelloReceived",
    "LaneInvited",
    "LaneOpened",
    "LatencyMeasured",
    "PeerSilent",
    "RawStreamReceived",
    "RequestReceived",
    "ResponseReceived",
    "StreamReset",
    "TrailersReceived",
    "UnbindRequested",
]


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """Both sides: the other side is ready; comes once, before anything else."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class BindRequested:
    """Relay: the agent asks for a tunnel. Answer with `Session.accept_bind` or `refuse_bind`."""

    bind: Bind


@dataclass(frozen=True, slots=True)
class BindAccepted:
    """Agent: the tunnel is ours."""

    bound: Bound


@dataclass(frozen=True, slots=True)
class BindRefused:
    """Agent: the tunnel is not ours, and why."""

    refused: Refused


@dataclass(frozen=True, slots=True)
class UnbindRequested:
    """Relay: the agent gives a tunnel back."""

    unbind: Unbind


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """Agent: a caller's request head. Answer it, or reset the stream."""

    stream: int
    tunnel: str
    remote: str
    head: RequestHead
    is_ended: bool
    """No more of the body follows."""
    is_upgrade: bool = False
    """The caller asks to leave HTTP: a response of 101 makes the stream raw."""
    body: bytes = b""
    """What came of it in the same frame. Call `Session.consumed` for it, as for DATA."""
    digest: bytes = b""
    """The SHA-256 of the whole body as the relay read it, where it said so and it is ended."""


@dataclass(frozen=True, slots=True)
class RawStreamReceived:
    """Agent: a caller's connection. Send and take bytes both ways, or reset the stream."""

    stream: int
    connect: Connect


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """Relay: a response head; 1xx may come several times before the final one, or before 101."""

    stream: int
    head: ResponseHead
    is_ended: bool
    body: bytes = b""
    """As of `RequestReceived`."""
    digest: bytes = b""
    """As of `RequestReceived`, of the body as the agent read it."""


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Both sides: body or raw bytes. Call `Session.consumed` once they are passed on."""

    stream: int
    data: bytes
    is_ended: bool
    digest: bytes = b""
    """The SHA-256 of the whole body where this is the last of it and the other side said it."""


@dataclass(frozen=True, slots=True)
class TrailersReceived:
    """Both sides: the body is complete, and these fields came after it."""

    stream: int
    trailers: Headers


@dataclass(frozen=True, slots=True)
class StreamReset:
    """Both sides: the other side ended the stream before its time."""

    stream: int
    code: ResetCode
    message: str


@dataclass(frozen=True, slots=True)
class GoawayReceived:
    """Both sides: no new streams on this session; close when the open ones have ended."""

    goaway: Goaway


@dataclass(frozen=True, slots=True)
class LaneInvited:
    """Agent: the relay would like a further connection. Dial it with the ticket, or do not."""

    lane: int
    ticket: str


@dataclass(frozen=True, slots=True)
class LaneOpened:
    """Relay: the agent speaks on a lane: streams may move there."""

    lane: int


@dataclass(frozen=True, slots=True)
class LatencyMeasured:
    """Both sides: a PING came back."""

    seconds: float


@dataclass(frozen=True, slots=True)
class PeerSilent:
    """Both sides: nothing was heard for too long. Drop the connection."""

    seconds: float


Event = (
    HelloReceived
    | BindRequested
    | BindAccepted
    | BindRefused
    | UnbindRequested
    | RequestReceived
    | RawStreamReceived
    | ResponseReceived
    | DataReceived
    | TrailersReceived
    | StreamReset
    | GoawayReceived
    | LaneInvited
    | LaneOpened
    | LatencyMeasured
    | PeerSilent
)
