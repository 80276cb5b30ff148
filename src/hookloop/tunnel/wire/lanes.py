"""
Lanes: further connections of a session, for streams that would hold up the small ones.

A stream moves once, in the middle of whatever it carries, and each half by itself. MOVE is
the last that its sender says of the stream on the session; what was not sent yet is sent on
the lane. Since a session is in order, the receiver knows the very byte. What comes on the lane
before the session has told of the move waits here. SPEC.md section 6.
"""

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hookloop.errors import LocalError, ProtocolError

from .events import Event, LaneInvited, LaneOpened, StreamReset
from .flow import Budget
from .frames import Frame, FrameDecoder, FrameType
from .messages import Invite, ResetCode, encode_reset
from .outgoing import Outgoing
from .role import Role
from .streams import Half, Stream

__all__ = [
    "BULK_BYTES",
    "LANE_LOOK_SECONDS",
    "LANE_UNREAD_MAX",
    "Lane",
    "LaneHost",
    "Lanes",
    "Moved",
]

BULK_BYTES = 256 * 1024  # carried either way, after which a stream is bulk; webhooks stay below
LANE_UNREAD_MAX = 128 * 1024  # passed on to a reader that has not taken it: reading stops above
LANE_PIECE_BYTES = 64 * 1024  # of a DATA frame: nobody waits behind it
LANE_LOOK_SECONDS = 2.0  # between two calls of `handle_timeout`
LANE_SAYS_SECONDS = 7.5  # so that with a look and its delay it is ten: proxies cut what is silent
LANE_SILENCE_SECONDS_MAX = 25.0  # as of a session
NO_LIMIT = 2**62  # the kernel's buffers are the credit of a lane
_MOVE = struct.Struct("!I")
_CARRIED = {FrameType.RESPONSE, FrameType.DATA, FrameType.TRAILERS}
_KNOWN = frozenset(FrameType)
_BROKEN = "a data connection was lost"


@dataclass(slots=True)
class Lane:
    """One further connection."""

    number: int
    heard: float
    """When bytes came, or when we began to listen again."""
    said: float
    is_open: bool = False
    """The other side has spoken: the way is free."""
    streams: set[int] = field(default_factory=set)
    """Those that we moved here and that have not ended."""
    outgoing: Outgoing = field(
        default_factory=lambda: Outgoing(credit=NO_LIMIT, piece_bytes=LANE_PIECE_BYTES)
    )
    decoder: FrameDecoder = field(default_factory=FrameDecoder)
    waiting: deque[Frame] = field(default_factory=deque)
    """Frames of a stream that, as far as the session has told, has not moved here yet."""
    unread: int = 0
    """Body bytes that were passed on and not consumed yet."""

    @property
    def may_read(self) -> bool:
        return self.unread <= LANE_UNREAD_MAX and not self.waiting


@dataclass(slots=True)
class Moved:
    """What is not consumed yet of a half that came over to a lane."""

    lane: Lane
    on_session: int
    """Bytes that came before the move: consumed first, and paid for by CREDIT."""
    on_lane: int = 0

    def received(self, length: int) -> None:
        """Body bytes came on the lane."""
        self.on_lane += length
        self.lane.unread += length


class LaneHost(Protocol):
    """What lanes need of their session."""

    role: Role

    def receive_from_lane(self, frame: Frame, lane: Lane, now: float) -> Event | None: ...

    def has_opened(self, number: int) -> bool: ...

    def ours_ended(self, number: int, stream: Stream) -> None: ...

    def remove_stream(self, number: int) -> None: ...


class Lanes:
    """The lanes of one session. `Session.lanes` is where shells find them."""

    def __init__(
        self,
        host: LaneHost,
        streams: dict[int, Stream],
        send: Callable[[FrameType, bytes, int], None],
    ) -> None:
        self._host = host
        self._streams = streams
        self._send = send
        self._lanes: dict[int, Lane] = {}
        self.moved: dict[int, Moved] = {}
        """Streams whose other half came over, until they have ended and all is consumed."""
        self.streams = 0
        """How many streams are here, and do not count against the limit of the session's."""
        self._bulk: list[int] = []
        self._unblocked: list[int] = []

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def has_waiting(self) -> bool:
        """Frames came on a lane before the session told of their stream's move."""
        return any(lane.waiting for lane in self._lanes.values()) if self._lanes else False

    # --- for shells: connections ------------------------------------------------------------

    def invite(self, lane: int, ticket: str) -> None:
        """Relay: ask the agent to dial a further connection, and to show *ticket* there."""
        self._send(FrameType.INVITE, Invite(lane, ticket).encode(), 0)

    def add(self, number: int, now: float) -> None:
        """A connection is there. The relay may use it once `LaneOpened` has come."""
        lane = self._lanes[number] = Lane(number, heard=now, said=now)
        if self._host.role is Role.AGENT:
            lane.is_open = True
            lane.outgoing.send(FrameType.PING, bytes(8))

    def receive_data(self, number: int, data: bytes, now: float) -> list[Event]:
        """Return what came on a lane. Raises `ProtocolError`, which ends the session."""
        lane = self._lanes.get(number)
        if lane is None:
            return []
        lane.heard = now
        events: list[Event] = []
        if not lane.is_open:
            lane.is_open = True
            events.append(LaneOpened(number))
        lane.waiting.extend(lane.decoder.receive_data(data))
        return events + self._take_waiting(lane, now)

    def data_to_send(
        self, number: int, now: float, most: int = 4 * LANE_PIECE_BYTES
    ) -> list[bytes]:
        """Return the next buffers for a lane, as `Session.data_to_send` does."""
        lane = self._lanes.get(number)
        if lane is None:
            return []
        buffers = lane.outgoing.take(most)
        if buffers:
            lane.said = now
        self._unblocked += lane.outgoing.unblocked()
        for key, stream in lane.outgoing.ended():
            self._host.ours_ended(key, stream)
        return buffers

    def may_read(self, number: int) -> bool:
        """Say whether the shell should go on reading from a lane."""
        lane = self._lanes.get(number)
        return lane is not None and lane.may_read

    def handle_timeout(self, number: int, now: float) -> bool:
        """
        Keep a lane alive; call it every `LANE_LOOK_SECONDS`. Returns False for one that is dead.

        Nobody answers a PING here: a side that reads no more, since its reader is slow, would
        not hear it. Each says something by itself.
        """
        lane = self._lanes.get(number)
        if lane is None:
            return False
        if not lane.may_read:
            lane.heard = now
        if now - lane.said >= LANE_SAYS_SECONDS:
            lane.outgoing.send(FrameType.PING, bytes(8))
        return now - lane.heard < LANE_SILENCE_SECONDS_MAX

    def lost(self, number: int) -> list[Event]:
        """A connection has ended: so have the streams on it, and nothing else."""
        lane = self._lanes.pop(number, None)
        if lane is None:
            return []
        events: list[Event] = []
        for key, stream in list(self._streams.items()):
            if lane in (stream.lane, stream.moved and stream.moved.lane):
                events.append(self._break(key))
        return events

    def unblocked(self) -> list[int]:
        """Return the streams whose queue on a lane has become short; see `Session.unblocked`."""
        unblocked, self._unblocked = self._unblocked, []
        return unblocked

    # --- for shells: streams ----------------------------------------------------------------

    def bulk(self) -> list[int]:
        """Return, once each, the streams that have carried more than `BULK_BYTES`."""
        bulk, self._bulk = self._bulk, []
        return bulk

    def free(self) -> list[int]:
        """Relay: the lanes that carry nothing, the latest first: the others may be let go."""
        idle = [lane.number for lane in self._lanes.values() if lane.is_open and not lane.streams]
        return idle[::-1]

    def is_idle(self, number: int) -> bool:
        lane = self._lanes.get(number)
        return lane is not None and not lane.streams

    def can_move(self, number: int) -> bool:
        """Relay: say whether a stream is still there and has not moved, and may."""
        stream = self._streams.get(number)
        return stream is not None and stream.lane is None and stream.ours is not Half.ASKED

    def move(self, number: int, lane: int) -> None:
        """Relay: carry the rest of a stream on a lane that is open. Ask `can_move` first."""
        if self._host.role is not Role.RELAY or not self.can_move(number):
            raise LocalError(f"stream {number} cannot move")
        self._move_ours(number, self._streams[number], self._lanes[lane])

    # --- for the session --------------------------------------------------------------------

    def receive_invite(self, frame: Frame) -> Event:
        invite = Invite.decode(frame.payload)
        return LaneInvited(invite.lane, invite.ticket)

    def receive_move(self, frame: Frame) -> Event | None:
        """The half of the other side goes on on a lane."""
        if len(frame.payload) != _MOVE.size:
            raise ProtocolError("MOVE is not four bytes")
        number, lane_number = frame.stream, _MOVE.unpack(frame.payload)[0]
        stream = self._streams.get(number)
        if stream is None:
            return None
        lane = self._lanes.get(lane_number)
        is_answer = self._host.role is Role.RELAY
        if stream.moved is not None or (is_answer and (lane is None or stream.lane is not lane)):
            raise ProtocolError(f"MOVE of stream {number} to lane {lane_number}")
        if lane is None:
            # Lost here, and the relay did not know yet.
            return self._break(number)
        self.moved[number] = stream.moved = Moved(lane, on_session=stream.allowance.held)
        if not is_answer:
            self._move_ours(number, stream, lane)
        return None

    def take_waiting(self, now: float) -> list[Event]:
        """After any news of the session: take what waited for them."""
        events: list[Event] = []
        for lane in [lane for lane in self._lanes.values() if lane.waiting]:
            events += self._take_waiting(lane, now)
        return events

    def note(self, number: int, stream: Stream, length: int) -> None:
        """Count body bytes, either way."""
        before, stream.carried = stream.carried, stream.carried + length
        if before <= BULK_BYTES < stream.carried:
            self._bulk.append(number)

    def consumed(self, number: int, length: int) -> int:
        """Note that bytes have left; returns how many of them the session's credit paid."""
        moved = self.moved.get(number)
        if moved is None:
            return length
        on_session = min(length, moved.on_session)
        moved.on_session -= on_session
        on_lane = length - on_session
        if on_lane > moved.on_lane:
            raise LocalError(f"{on_lane} bytes given back, where {moved.on_lane} are held")
        moved.on_lane -= on_lane
        moved.lane.unread -= on_lane
        self._forget(number, moved)
        return on_session

    def ended(self, number: int, stream: Stream) -> None:
        """A stream that had moved has ended."""
        if stream.lane is not None:
            stream.lane.streams.discard(number)
            self.streams -= 1
        if stream.moved is not None:
            self._forget(number, stream.moved)

    # --- inside -----------------------------------------------------------------------------

    def _forget(self, number: int, moved: Moved) -> None:
        if number not in self._streams and not (moved.on_session or moved.on_lane):
            self.moved.pop(number, None)

    def _break(self, number: int) -> StreamReset:
        self._host.remove_stream(number)
        self._send(FrameType.RESET, encode_reset(ResetCode.UPSTREAM_BROKEN, _BROKEN), number)
        return StreamReset(number, ResetCode.UPSTREAM_BROKEN, _BROKEN)

    def _move_ours(self, number: int, stream: Stream, lane: Lane) -> None:
        self._send(FrameType.MOVE, _MOVE.pack(lane.number), number)
        stream.outgoing.forget(number)
        stream.outgoing, stream.lane = lane.outgoing, lane
        stream.budget = Budget(NO_LIMIT)
        lane.streams.add(number)
        self.streams += 1
        lane.outgoing.line_up(number, stream)

    def _take_waiting(self, lane: Lane, now: float) -> list[Event]:
        events = []
        while lane.waiting:
            frame = lane.waiting[0]
            if frame.type in _CARRIED and self._must_wait(frame.stream):
                break
            lane.waiting.popleft()
            event = self._take(lane, frame, now)
            if event is not None:
                events.append(event)
        return events

    def _must_wait(self, number: int) -> bool:
        if not self._host.has_opened(number):
            return True
        return number in self._streams and number not in self.moved

    def _take(self, lane: Lane, frame: Frame, now: float) -> Event | None:
        if frame.type in _CARRIED:
            is_open = frame.stream in self._streams
            return self._host.receive_from_lane(frame, lane, now) if is_open else None
        if frame.type != FrameType.PING and frame.type in _KNOWN:
            raise ProtocolError(f"{FrameType(frame.type).name} on a lane")
        return None
