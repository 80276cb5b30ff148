"""
A session: frames in, events out; calls in, frames out. The heart of the tunnel.

One class serves both roles, because all but who may send what is shared:

    relay                                   agent
    open_stream  ── REQUEST ──────────────>  RequestReceived
    send_data    ── DATA ─────────────────>  DataReceived, then `consumed`
    ResponseReceived  <────────── RESPONSE ── respond
    DataReceived      <────────────── DATA ── send_data

    open_raw_stream ── CONNECT ───────────>  RawStreamReceived, then data both ways

The shell's duty: after every call, write `data_to_send` to the connection as
long as it takes it; call `handle_timeout` at `next_deadline`; close the connection
when `is_finished`, or when a call raises `ProtocolError` (after writing what is
left to send: it holds the GOAWAY that says why).

Pure: no clock, socket or randomness; `now` is monotonic seconds.
"""

import struct
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import Headers, ResponseHead

from .events import (
    BindAccepted,
    BindRefused,
    BindRequested,
    DataReceived,
    Event,
    GoawayReceived,
    HelloReceived,
    LatencyMeasured,
    PeerSilent,
    RawStreamReceived,
    RequestReceived,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
    UnbindRequested,
)
from .flow import Allowance, Budget
from .frames import END, UPGRADE, Frame, FrameDecoder, FrameType, encode_frame
from .heartbeat import Heartbeat
from .messages import (
    Bind,
    Bound,
    Goaway,
    Hello,
    Refused,
    Request,
    ResetCode,
    Unbind,
    decode_credit,
    decode_reset,
    decode_response,
    decode_trailers,
    encode_credit,
    encode_reset,
    encode_response,
    encode_trailers,
)
from .raw import Connect
from .streams import Half, Move, Stream, answered_half, head_moves

__all__ = ["DATA_PIECE_BYTES", "QUEUED_BYTES_MAX", "Role", "Session", "SessionStatistics"]

DATA_PIECE_BYTES = 16 * 1024  # one turn of a stream: short enough that a small webhook never waits
QUEUED_BYTES_MAX = 128 * 1024  # of one stream; its source is told to pause above this
CONTROL_BYTES_MAX = 4 * 1024 * 1024  # heads and answers that wait for the connection
STREAM_NUMBER_MAX = 2**32 - 1
_PING = struct.Struct("!d")


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
}
_INCOMING = {
    Role.RELAY: _FROM_BOTH | {FrameType.BIND, FrameType.UNBIND, FrameType.RESPONSE},
    Role.AGENT: _FROM_BOTH
    | {FrameType.BOUND, FrameType.REFUSED}
    | {FrameType.REQUEST, FrameType.CONNECT},
}
_KNOWN = frozenset(FrameType)
_ABOUT_STREAMS = 0x10  # frame types from here on
_OPENING = {FrameType.REQUEST, FrameType.CONNECT}
_ASKING = {FrameType.PING, FrameType.BIND, *_OPENING}  # each makes us queue an answer


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """A moment's counts; all zero but *streams_opened* once everything has ended."""

    streams_open: int
    streams_opened: int
    bytes_queued: int
    control_bytes_queued: int


class Session:
    """One session, from the first HELLO to the end. See the module's text for the duties."""

    def __init__(self, role: Role, hello: Hello, now: float) -> None:
        self.role = role
        self.peer: Hello | None = None
        """The other side's HELLO, once it came."""
        self._hello = hello
        self._decoder = FrameDecoder()
        self._heartbeat = Heartbeat(now)
        self._control: deque[bytes] = deque()
        self._control_bytes = 0
        self._streams: dict[int, Stream] = {}
        self._last_stream = 0
        # Streams with bytes to send and credit of their own, in the order of their turns.
        # They keep their places while the session's credit is out.
        self._turns: OrderedDict[int, Stream] = OrderedDict()
        self._unblocked: list[int] = []
        self._ping = b""
        """The payload of the PING that was not answered yet; empty for none."""
        self._budget = Budget(0)
        self._allowance = Allowance(hello.session_credit)
        self._is_going_away = False
        self._is_peer_going_away = False
        self._handlers: dict[FrameType, Callable[[Frame, float], Event | None]] = {
            FrameType.BIND: lambda frame, _: BindRequested(Bind.decode(frame.payload)),
            FrameType.BOUND: lambda frame, _: BindAccepted(Bound.decode(frame.payload)),
            FrameType.REFUSED: lambda frame, _: BindRefused(Refused.decode(frame.payload)),
            FrameType.UNBIND: lambda frame, _: UnbindRequested(Unbind.decode(frame.payload)),
            FrameType.PING: self._receive_ping,
            FrameType.PONG: self._receive_pong,
            FrameType.GOAWAY: self._receive_goaway,
            FrameType.REQUEST: self._receive_request,
            FrameType.CONNECT: self._receive_connect,
            FrameType.RESPONSE: self._receive_response,
            FrameType.DATA: self._receive_data,
            FrameType.TRAILERS: self._receive_trailers,
            FrameType.RESET: self._receive_reset,
            FrameType.CREDIT: self._receive_credit,
        }
        self._send(FrameType.HELLO, hello.encode())

    # --- what a shell asks ------------------------------------------------------------

    @property
    def is_going_away(self) -> bool:
        """No new streams are opened: one of the sides said GOAWAY."""
        return self._is_going_away or self._is_peer_going_away

    @property
    def is_finished(self) -> bool:
        """
        Nothing is left to do or to say: close the connection.

        Only the relay opens streams, so an agent has to hear the relay's GOAWAY, or
        the connection's end: a REQUEST may have crossed its own GOAWAY.
        """
        is_over = self.is_going_away if self.role is Role.RELAY else self._is_peer_going_away
        return is_over and not self._streams and not self._control

    def can_open_stream(self) -> bool:
        """Say whether `open_stream` is allowed now."""
        return (
            self.peer is not None
            and not self.is_going_away
            and len(self._streams) < self.peer.streams_max
            and self._control_bytes < CONTROL_BYTES_MAX
        )

    def has_stream(self, stream: int) -> bool:
        """Say whether *stream* has not ended yet; sending on one that has does nothing."""
        return stream in self._streams

    def statistics(self) -> SessionStatistics:
        """Return this moment's counts."""
        return SessionStatistics(
            streams_open=len(self._streams),
            streams_opened=self._last_stream,
            bytes_queued=sum(stream.outbox.queued for stream in self._streams.values()),
            control_bytes_queued=self._control_bytes,
        )

    # --- the four verbs -----------------------------------------------------------------

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """
        Return what *data* tells, in order.

        Raises `ProtocolError` when the other side breaks the contract. What
        came before the broken frame in the same *data* is lost with the session.
        """
        events = []
        try:
            for frame in self._decoder.receive_data(data):
                event = self._receive_frame(frame, now)
                if event is not None:
                    events.append(event)
        except ProtocolError as error:
            self.go_away("protocol_error", str(error))
            raise
        if self.peer is not None:  # one that never says HELLO is never heard
            self._heartbeat.heard(now)
        return events

    def data_to_send(self, most: int = 4 * DATA_PIECE_BYTES) -> list[bytes | memoryview]:
        """
        Return the next buffers to write, in order; empty when there is nothing to send.

        Heads and control frames go first. Then the streams take turns, until about
        *most* bytes of DATA: the shell stops asking while its connection is full,
        and what waits here waits fairly.
        """
        buffers: list[bytes | memoryview] = list(self._control)
        self._control.clear()
        self._control_bytes = 0
        while self._turns and most > 0 and self._budget.left > 0:
            most -= self._take_turn(buffers)
        return buffers

    def next_deadline(self) -> float:
        """Return when `handle_timeout` is due, in monotonic seconds."""
        return self._heartbeat.next_deadline()

    def handle_timeout(self, now: float) -> list[Event]:
        """Send a PING that is due, or report that the other side has gone."""
        quiet = self._heartbeat.silence(now)
        if quiet is not None:
            return [PeerSilent(quiet)]
        if self._heartbeat.is_ping_due(now):
            self._send_ping(now)
        return []

    def probe(self, now: float) -> None:
        """
        Ask the other side for a sign of life, to be given within `PROBE_SECONDS`.

        For a shell that has reason to doubt, as after sleep; `next_deadline` moves.
        """
        self._heartbeat.probe(now)
        self._send_ping(now)

    def unblocked(self) -> list[int]:
        """Return, once each, the streams whose source may send again. Ask after every flush."""
        numbers, self._unblocked = dict.fromkeys(self._unblocked), []
        # A source that did not wait for this may be blocked again, and a stream may have ended.
        return [
            number
            for number in numbers
            if (stream := self._streams.get(number)) and not stream.is_blocked
        ]

    # --- about tunnels --------------------------------------------------------------------

    def bind(self, bind: Bind) -> None:
        """Agent: ask for a tunnel."""
        self._require(Role.AGENT)
        self._send(FrameType.BIND, bind.encode())

    def unbind(self, name: str) -> None:
        """Agent: give a tunnel back."""
        self._require(Role.AGENT)
        self._send(FrameType.UNBIND, Unbind(name).encode())

    def accept_bind(self, bound: Bound) -> None:
        """Relay: give a tunnel."""
        self._require(Role.RELAY)
        self._send(FrameType.BOUND, bound.encode())

    def refuse_bind(self, refused: Refused) -> None:
        """Relay: do not give a tunnel."""
        self._require(Role.RELAY)
        self._send(FrameType.REFUSED, refused.encode())

    def go_away(self, code: str, message: str) -> None:
        """Open no more streams; the open ones may end. Said once, later calls do nothing."""
        if not self._is_going_away:
            self._is_going_away = True
            self._send(FrameType.GOAWAY, Goaway(code, message).encode())

    # --- about streams --------------------------------------------------------------------

    def open_stream(self, request: Request, *, is_ended: bool) -> int:
        """Relay: pass a request on, and return its stream. Ask `can_open_stream` first."""
        ours, flags = (Half.DONE, END) if is_ended else (Half.BODY, 0)
        return self._open(FrameType.REQUEST, request, flags, ours=ours, theirs=Half.HEAD)

    def open_upgrade(self, request: Request) -> int:
        """
        Relay: pass on a request that asks to leave HTTP; the same duty.

        Send nothing on the stream before `ResponseReceived`: a 101 makes it raw, and any
        other final head leaves it an exchange whose request had no body.
        """
        return self._open(FrameType.REQUEST, request, UPGRADE, ours=Half.ASKED, theirs=Half.HEAD)

    def open_raw_stream(self, connect: Connect) -> int:
        """Relay: pass a caller's connection on, and return its stream; the same duty."""
        return self._open(FrameType.CONNECT, connect, 0, ours=Half.RAW, theirs=Half.RAW)

    def respond(self, number: int, head: ResponseHead, *, is_ended: bool = False) -> None:
        """Agent: answer a stream, with a 1xx or the final head."""
        self._require(Role.AGENT)
        stream = self._streams.get(number)
        if stream is None:
            return
        payload = encode_response(head)
        moves = head_moves(head, is_ended=is_ended)
        asked = answered_half(stream.theirs, moves[0])
        if asked is None:
            raise LocalError("a 101 for a request that asked for no upgrade")
        stream.move_ours(*moves)
        stream.theirs = asked
        stream.is_raw = moves[0] is Move.SWITCH
        if stream.ours is Half.HEAD and self._control_bytes >= CONTROL_BYTES_MAX:
            return  # an interim answer is a courtesy, not worth holding for one who does not read
        self._send(FrameType.RESPONSE, payload, number, END if is_ended else 0)
        if is_ended:
            self._ours_ended(number, stream)

    def send_data(self, number: int, data: bytes, *, is_ended: bool = False) -> bool:
        """
        Queue body bytes; return False when the source should pause.

        It may go on when `unblocked` names the stream.
        """
        stream = self._streams.get(number)
        if stream is None:
            return True
        stream.move_ours(*([Move.DATA, Move.END] if is_ended else [Move.DATA]))
        stream.outbox.put(data)
        self._line_up(number, stream)
        if is_ended:
            self._end_ours(number, stream, b"")
        stream.is_blocked = stream.outbox.held > QUEUED_BYTES_MAX
        return not stream.is_blocked

    def end_stream(self, number: int, trailers: Headers = ()) -> None:
        """End our half, after all that is queued, with *trailers* where there are any."""
        stream = self._streams.get(number)
        if stream is None:
            return
        ending = encode_trailers(trailers)
        stream.move_ours(Move.TRAILERS if ending else Move.END)
        self._end_ours(number, stream, ending)

    def reset_stream(self, number: int, code: ResetCode, message: str) -> None:
        """End both halves of a stream now; what is queued on it is dropped."""
        if number in self._streams:
            self._remove_stream(number)
            self._send(FrameType.RESET, encode_reset(code, message), number)

    def consumed(self, number: int, length: int) -> None:
        """Grant credit again for *length* bytes of `DataReceived`, passed on or dropped."""
        stream = self._streams.get(number)
        if stream is not None and stream.theirs is not Half.DONE:
            self._grant(number, stream.allowance.give_back(length))
        self._grant(0, self._allowance.give_back(length))

    # --- frames in --------------------------------------------------------------------------

    def _receive_frame(self, frame: Frame, now: float) -> Event | None:
        if frame.type not in _KNOWN:
            return None
        type_ = FrameType(frame.type)
        if self.peer is None or type_ is FrameType.HELLO:
            return self._receive_hello(type_, frame)
        if type_ not in _INCOMING[self.role]:
            raise ProtocolError(f"{type_.name} is not for this side to receive")
        # Twice what we queue ourselves: it is the asking that must not go on and on.
        if type_ in _ASKING and self._control_bytes > 2 * CONTROL_BYTES_MAX:
            raise ProtocolError("the other side asks on and on, and reads no answer")
        is_about_stream = type_ >= _ABOUT_STREAMS
        if is_about_stream != (frame.stream > 0) and type_ is not FrameType.CREDIT:
            raise ProtocolError(f"{type_.name} on stream {frame.stream}")
        if is_about_stream and type_ not in _OPENING and frame.stream > self._last_stream:
            raise ProtocolError(f"{type_.name} for stream {frame.stream}, which was never opened")
        return self._handlers[type_](frame, now)

    def _receive_hello(self, type_: FrameType, frame: Frame) -> Event:
        if self.peer is not None or type_ is not FrameType.HELLO or frame.stream:
            raise ProtocolError("a session starts with one HELLO from each side")
        self.peer = Hello.decode(frame.payload)
        self._budget.grant(self.peer.session_credit)
        return HelloReceived(self.peer)

    def _receive_ping(self, frame: Frame, _now: float) -> None:
        if len(frame.payload) != _PING.size:
            raise ProtocolError("PING is not eight bytes")
        self._send(FrameType.PONG, frame.payload)

    def _receive_pong(self, frame: Frame, now: float) -> Event | None:
        if len(frame.payload) != _PING.size:
            raise ProtocolError("PONG is not eight bytes")
        if frame.payload != self._ping:
            return None  # answers nothing we asked: its time would be invented
        self._ping = b""
        self._heartbeat.answered()
        return LatencyMeasured(now - _PING.unpack(frame.payload)[0])

    def _receive_goaway(self, frame: Frame, _now: float) -> Event:
        self._is_peer_going_away = True
        return GoawayReceived(Goaway.decode(frame.payload))

    def _receive_request(self, frame: Frame, _now: float) -> Event:
        self._check_opening(frame)
        request = Request.decode(frame.payload)
        is_ended, is_upgrade = bool(frame.flags & END), bool(frame.flags & UPGRADE)
        if is_ended and is_upgrade:
            raise ProtocolError("a REQUEST for an upgrade that has ended")
        theirs = Half.ASKED if is_upgrade else Half.DONE if is_ended else Half.BODY
        self._last_stream = frame.stream
        self._add_stream(frame.stream, ours=Half.HEAD, theirs=theirs)
        return RequestReceived(
            frame.stream, request.tunnel, request.remote, request.head, is_ended, is_upgrade
        )

    def _receive_connect(self, frame: Frame, _now: float) -> Event:
        self._check_opening(frame)
        connect = Connect.decode(frame.payload)
        self._last_stream = frame.stream
        self._add_stream(frame.stream, ours=Half.RAW, theirs=Half.RAW)
        return RawStreamReceived(frame.stream, connect)

    def _check_opening(self, frame: Frame) -> None:
        if frame.stream != self._last_stream + 1:
            name = FrameType(frame.type).name
            raise ProtocolError(f"{name} on stream {frame.stream}, after {self._last_stream}")
        if len(self._streams) >= self._hello.streams_max:
            raise ProtocolError(f"more streams than our HELLO allows: {self._hello.streams_max}")

    def _receive_response(self, frame: Frame, _now: float) -> Event | None:
        stream = self._streams.get(frame.stream)
        if stream is None:
            return None
        head = decode_response(frame.payload)
        is_ended = bool(frame.flags & END)
        moves = head_moves(head, is_ended=is_ended)
        asked = answered_half(stream.ours, moves[0])
        if asked is None:
            raise ProtocolError(f"a 101 on stream {frame.stream}, which asked for no upgrade")
        stream.ours = asked
        stream.is_raw = moves[0] is Move.SWITCH
        self._move_theirs(frame, stream, *moves)
        return ResponseReceived(frame.stream, head, is_ended)

    def _receive_data(self, frame: Frame, _now: float) -> Event | None:
        length = len(frame.payload)
        self._allowance.spend(length)
        stream = self._streams.get(frame.stream)
        if stream is None:
            self._grant(0, self._allowance.give_back(length))
            return None
        stream.allowance.spend(length)
        is_ended = bool(frame.flags & END)
        self._move_theirs(frame, stream, *([Move.DATA, Move.END] if is_ended else [Move.DATA]))
        return DataReceived(frame.stream, frame.payload, is_ended)

    def _receive_trailers(self, frame: Frame, _now: float) -> Event | None:
        stream = self._streams.get(frame.stream)
        if stream is None:
            return None
        trailers = decode_trailers(frame.payload)
        self._move_theirs(frame, stream, Move.TRAILERS)
        return TrailersReceived(frame.stream, trailers)

    def _receive_reset(self, frame: Frame, _now: float) -> Event | None:
        code, message = decode_reset(frame.payload)
        if frame.stream not in self._streams:
            return None
        self._remove_stream(frame.stream)
        return StreamReset(frame.stream, code, message)

    def _receive_credit(self, frame: Frame, _now: float) -> None:
        granted = decode_credit(frame.payload)
        if frame.stream == 0:
            self._budget.grant(granted)
        elif stream := self._streams.get(frame.stream):
            stream.budget.grant(granted)
            self._line_up(frame.stream, stream)

    # --- frames out -------------------------------------------------------------------------

    def _send(self, type_: FrameType, payload: bytes, stream: int = 0, flags: int = 0) -> None:
        frame = encode_frame(type_, payload, stream=stream, flags=flags)
        self._control.append(frame)
        self._control_bytes += len(frame)

    def _send_ping(self, now: float) -> None:
        self._ping = _PING.pack(now)
        self._send(FrameType.PING, self._ping)

    def _grant(self, stream: int, credit: int) -> None:
        if credit:
            self._send(FrameType.CREDIT, encode_credit(credit), stream)

    def _line_up(self, number: int, stream: Stream) -> None:
        """Give a stream a turn, at the end of the line unless it stands there already."""
        if stream.outbox.queued and stream.budget.left > 0:
            self._turns[number] = stream

    def _take_turn(self, buffers: list[bytes | memoryview]) -> int:
        """Write one piece of the stream whose turn it is, and return its length."""
        number, stream = self._turns.popitem(last=False)
        outbox = stream.outbox
        piece = outbox.take(min(DATA_PIECE_BYTES, stream.budget.left, self._budget.left))
        length = len(piece)
        stream.budget.left -= length
        self._budget.left -= length
        is_last = not outbox.queued and outbox.ending == b""
        flags = END if is_last else 0
        buffers.append(encode_frame(FrameType.DATA, piece, stream=number, flags=flags))
        if not outbox.queued and outbox.ending is not None:
            if outbox.ending:
                buffers.append(encode_frame(FrameType.TRAILERS, outbox.ending, stream=number))
            self._ours_ended(number, stream)
        self._line_up(number, stream)
        if stream.is_blocked and outbox.held <= QUEUED_BYTES_MAX // 2:
            stream.is_blocked = False
            self._unblocked.append(number)
        return length

    def _end_ours(self, number: int, stream: Stream, ending: bytes) -> None:
        """End our half with trailers, or empty *ending*: now, or behind what is queued."""
        if stream.outbox.queued:
            stream.outbox.ending = ending
            return
        # An end costs no credit, so it need not wait for a turn either.
        if ending:
            self._send(FrameType.TRAILERS, ending, number)
        else:
            self._send(FrameType.DATA, b"", number, END)
        self._ours_ended(number, stream)

    def _ours_ended(self, number: int, stream: Stream) -> None:
        """Our half is out to its last byte: the end of the response ends the stream."""
        stream.is_out = True
        is_over = stream.theirs is Half.DONE if stream.is_raw else self.role is Role.AGENT
        if is_over:
            self._remove_stream(number)

    # --- states -----------------------------------------------------------------------------

    def _require(self, role: Role) -> None:
        if self.role is not role:
            raise LocalError(f"only the {role.name.lower()} side of a session may do that")

    def _open(
        self, type_: FrameType, opening: Request | Connect, flags: int, *, ours: Half, theirs: Half
    ) -> int:
        self._require(Role.RELAY)
        if not self.can_open_stream():
            raise LocalError("a stream was opened on a session that takes none now")
        payload = opening.encode()
        self._last_stream += 1
        self._add_stream(self._last_stream, ours=ours, theirs=theirs)
        self._send(type_, payload, self._last_stream, flags)
        if self._last_stream == STREAM_NUMBER_MAX:
            self.go_away("shutdown", "all stream numbers are used: open a new session")
        return self._last_stream

    def _add_stream(self, number: int, *, ours: Half, theirs: Half) -> Stream:
        assert self.peer is not None  # noqa: S101  # for the type checker: HELLO comes first
        stream = Stream(
            ours=ours,
            theirs=theirs,
            budget=Budget(self.peer.stream_credit),
            allowance=Allowance(self._hello.stream_credit),
            is_raw=theirs is Half.RAW,
        )
        self._streams[number] = stream
        return stream

    def _remove_stream(self, number: int) -> None:
        del self._streams[number]
        self._turns.pop(number, None)

    def _move_theirs(self, frame: Frame, stream: Stream, *moves: Move) -> None:
        stream.move_theirs(frame.stream, *moves)
        is_over = stream.is_out if stream.is_raw else self.role is Role.RELAY
        if stream.theirs is Half.DONE and is_over:
            self._remove_stream(frame.stream)
