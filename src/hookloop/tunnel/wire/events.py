"""What a session tells its shell: one immutable value per thing that happened."""

from typing import NamedTuple

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


class HelloReceived(NamedTuple):
    """Both sides: the other side is ready; comes once, before anything else."""

    hello: Hello


class BindRequested(NamedTuple):
    """Relay: the agent asks for a tunnel. Answer with `Session.accept_bind` or `refuse_bind`."""

    bind: Bind


class BindAccepted(NamedTuple):
    """Agent: the tunnel is ours."""

    bound: Bound


class BindRefused(NamedTuple):
    """Agent: the tunnel is not ours, and why."""

    refused: Refused


class UnbindRequested(NamedTuple):
    """Relay: the agent gives a tunnel back."""

    unbind: Unbind


class RequestReceived(NamedTuple):
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


class RawStreamReceived(NamedTuple):
    """Agent: a caller's connection. Send and take bytes both ways, or reset the stream."""

    stream: int
    connect: Connect


class ResponseReceived(NamedTuple):
    """Relay: a response head; 1xx may come several times before the final one, or before 101."""

    stream: int
    head: ResponseHead
    is_ended: bool
    body: bytes = b""
    """As of `RequestReceived`."""
    digest: bytes = b""
    """As of `RequestReceived`, of the body as the agent read it."""


class DataReceived(NamedTuple):
    """Both sides: body or raw bytes. Call `Session.consumed` once they are passed on."""

    stream: int
    data: bytes
    is_ended: bool
    digest: bytes = b""
    """The SHA-256 of the whole body where this is the last of it and the other side said it."""


class TrailersReceived(NamedTuple):
    """Both sides: the body is complete, and these fields came after it."""

    stream: int
    trailers: Headers


class StreamReset(NamedTuple):
    """Both sides: the other side ended the stream before its time."""

    stream: int
    code: ResetCode
    message: str


class GoawayReceived(NamedTuple):
    """Both sides: no new streams on this session; close when the open ones have ended."""

    goaway: Goaway


class LaneInvited(NamedTuple):
    """Agent: the relay would like a further connection. Dial it with the ticket, or do not."""

    lane: int
    ticket: str


class LaneOpened(NamedTuple):
    """Relay: the agent speaks on a lane: streams may move there."""

    lane: int


class LatencyMeasured(NamedTuple):
    """Both sides: a PING came back."""

    seconds: float


class PeerSilent(NamedTuple):
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
