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
from collections.abc import Callable

from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import Headers, ResponseHead

from . import events, messages
from .events import Event
from .flow import Allowance, Budget
from .frames import DIGEST, END, UPGRADE, Frame, FrameDecoder, FrameType
from .heartbeat import Heartbeat
from .lanes import Lane, Lanes
from .messages import Bind, Bound, Goaway, Hello, Refused, Request, ResetCode, Unbind
from .outgoing import CONTROL_BYTES_MAX, DATA_PIECE_BYTES, QUEUED_BYTES_MAX, Outgoing
from .raw import Connect
from .role import ABOUT_STREAMS, ASKING, INCOMING, OPENING, Role
from .statistics import SessionStatistics
from .streams import Half, Move, Stream, answered_half, head_moves

__all__ = ["DATA_PIECE_BYTES", "QUEUED_BYTES_MAX", "Role", "Session", "SessionStatistics"]

STREAM_NUMBER_MAX = 2**32 - 1
_PING = struct.Struct("!d")


class Session:
    """One session, from the first HELLO to the end. See the module's text for the duties."""

    def __init__(self, role: Role, hello: Hello, now: float) -> None:
        self.role = role
        self.peer: Hello | None = None
        """The other side's HELLO, once it came."""
        self._hello = hello
        self._decoder = FrameDecoder()
        self._heartbeat = Heartbeat(now)
        self._outgoing = Outgoing()
        self._send = self._outgoing.send
        self._streams: dict[int, Stream] = {}
        self._last_stream = 0
        self.lanes = Lanes(self, self._streams, self._send)
        """Further connections for bulk."""
        self._from_lane: Lane | None = None
        """Where the frame that is being read came from; None for the session itself."""
        self._ping = b""
        """The payload of the PING that was not answered yet; empty for none."""
        self._allowance = Allowance(hello.session_credit)
        self._is_going_away = False
        self._is_peer_going_away = False
        handlers: dict[int, Callable[[Frame, float], Event | None]] = {
            FrameType.BIND: lambda frame, _: events.BindRequested(Bind.decode(frame.payload)),
            FrameType.BOUND: lambda frame, _: events.BindAccepted(Bound.decode(frame.payload)),
            FrameType.REFUSED: lambda frame, _: events.BindRefused(Refused.decode(frame.payload)),
            FrameType.UNBIND: lambda frame, _: events.UnbindRequested(Unbind.decode(frame.payload)),
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
            FrameType.INVITE: lambda frame, _: self.lanes.receive_invite(frame),
            FrameType.MOVE: lambda frame, _: self.lanes.receive_move(frame),
        }
        # By number: a FrameType is one, and hashes as one.
        self._handlers = {int(type_): handlers[type_] for type_ in INCOMING[role]}
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

        An agent has to hear the relay's GOAWAY, or the connection's end: a REQUEST may have
        crossed its own. Nor does it know whether what it sent on a lane has arrived.
        """
        is_over = self.is_going_away
        if self.role is Role.AGENT:
            is_over = self._is_peer_going_away and not self.lanes
        return is_over and not self._streams and not self._outgoing.control_bytes

    def can_open_stream(self) -> bool:
        """Say whether `open_stream` is allowed now."""
        return (
            self.peer is not None
            and not self.is_going_away
            and len(self._streams) - self.lanes.streams < self.peer.streams_max
            and not self._outgoing.is_full
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
            control_bytes_queued=self._outgoing.control_bytes,
        )

    # --- the four verbs -----------------------------------------------------------------

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """
        Return what *data* tells, in order.

        Raises `ProtocolError` when the other side breaks the contract. What
        came before the broken frame in the same *data* is lost with the session.
        """
        told: list[Event] = []
        try:
            for frame in self._decoder.receive_data(data):
                event = self._receive_frame(frame, now)
                if event is not None:
                    told.append(event)
            if self.lanes.has_waiting:
                told += self.lanes.take_waiting(now)
        except ProtocolError as error:
            self.go_away("protocol_error", str(error))
            raise
        if self.peer is not None:  # one that never says HELLO is never heard
            self._heartbeat.heard(now)
        return told

    def receive_lane_data(self, lane: int, data: bytes, now: float) -> list[Event]:
        """Return what came on a lane tells; the same as `receive_data`."""
        try:
            return self.lanes.receive_data(lane, data, now)
        except ProtocolError as error:
            self.go_away("protocol_error", str(error))
            raise

    def data_to_send(self, most: int = 4 * DATA_PIECE_BYTES) -> list[bytes]:
        """
        Return the next buffers to write, in order; empty when there is nothing to send.

        Heads and control frames go first. Then the streams take turns, until about
        *most* bytes of DATA: the shell stops asking while its connection is full,
        and what waits here waits fairly.
        """
        buffers = self._outgoing.take(most)
        for number, stream in self._outgoing.ended():
            self.ours_ended(number, stream)
        return buffers

    def next_deadline(self) -> float:
        """Return when `handle_timeout` is due, in monotonic seconds."""
        return self._heartbeat.next_deadline()

    def handle_timeout(self, now: float) -> list[Event]:
        """Send a PING that is due, or report that the other side has gone."""
        quiet = self._heartbeat.silence(now)
        if quiet is not None:
            return [events.PeerSilent(quiet)]
        if self._heartbeat.is_ping_due(now):
            self._send_ping(now)
        return []

    def probe(self, now: float) -> None:
        """Ask for a sign of life within `PROBE_SECONDS`, as after sleep; the deadline moves."""
        self._heartbeat.probe(now)
        self._send_ping(now)

    def unblocked(self) -> list[int]:
        """Return, once each, the streams whose source may send again. Ask after every flush."""
        numbers = dict.fromkeys([*self._outgoing.unblocked(), *self.lanes.unblocked()])
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

    def open_stream(
        self, request: Request, body: bytes = b"", *, is_ended: bool, digest: bytes = b""
    ) -> int:
        """
        Relay: pass a request on, with what is there of its body; return its stream.

        Ask `can_open_stream` first. *digest* may tell the SHA-256 of a body that is ended.
        """
        fields = request.encode()
        number, stream = self._add_own(ours=Half.BODY, theirs=Half.HEAD)
        self._send_head(FrameType.REQUEST, fields, number, stream, body, is_ended, digest)
        self._check_numbers()
        return number

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

    def respond(
        self,
        number: int,
        head: ResponseHead,
        body: bytes = b"",
        *,
        is_ended: bool = False,
        digest: bytes = b"",
    ) -> bool:
        """Agent: answer with a 1xx or the final head, and what is there of its body."""
        self._require(Role.AGENT)
        stream = self._streams.get(number)
        if stream is None:
            return True
        fields = messages.encode_response(head)
        move, *more = head_moves(head, body, is_ended=is_ended)
        asked = answered_half(stream.theirs, move)
        if asked is None:
            raise LocalError("a 101 for a request that asked for no upgrade")
        if more and move is Move.INTERIM:
            raise LocalError("a 1xx head with a body or an end, on a half that is at HEAD")
        stream.move_ours(move)
        stream.theirs = asked
        stream.is_raw = move is Move.SWITCH
        if move is not Move.INTERIM:
            return self._send_head(
                FrameType.RESPONSE, fields, number, stream, body, is_ended, digest
            )
        # A courtesy, and not worth holding for one who does not read.
        if not stream.outgoing.is_full:
            stream.outgoing.send(FrameType.RESPONSE, fields, number)
        return True

    def send_data(
        self, number: int, data: bytes, *, is_ended: bool = False, digest: bytes = b""
    ) -> bool:
        """
        Queue body bytes; return False when the source should pause.

        It may go on when `unblocked` names the stream. *digest*: as of `open_stream`.
        """
        stream = self._streams.get(number)
        if stream is None:
            return True
        stream.move_ours(*([Move.DATA, Move.END] if is_ended else [Move.DATA]))
        stream.outgoing.send_data(number, stream, data)
        self.lanes.note(number, stream, len(data))
        if is_ended and stream.outgoing.send_end(number, stream, b"", digest):
            self.ours_ended(number, stream)
        stream.is_blocked = stream.outbox.held > QUEUED_BYTES_MAX
        return not stream.is_blocked

    def end_stream(self, number: int, trailers: Headers = (), *, digest: bytes = b"") -> None:
        """End our half, after all that is queued, with *trailers* where there are any."""
        stream = self._streams.get(number)
        if stream is None:
            return
        ending = messages.encode_trailers(trailers)
        stream.move_ours(Move.TRAILERS if ending else Move.END)
        if stream.outgoing.send_end(number, stream, ending, digest):
            self.ours_ended(number, stream)

    def reset_stream(self, number: int, code: ResetCode, message: str) -> None:
        """End both halves of a stream now; what is queued on it is dropped."""
        if number in self._streams:
            self.remove_stream(number)
            self._send(FrameType.RESET, messages.encode_reset(code, message), number)

    def consumed(self, number: int, length: int) -> None:
        """Grant credit again for *length* bytes of `DataReceived`, passed on or dropped."""
        stream = self._streams.get(number)
        if self.lanes.moved:
            length = self.lanes.consumed(number, length)
        if stream is not None:
            credit = stream.allowance.give_back(length)
            if credit and stream.theirs is not Half.DONE and stream.moved is None:
                self._outgoing.send_credit(number, credit)
        self._outgoing.send_credit(0, self._allowance.give_back(length))

    # --- frames in --------------------------------------------------------------------------

    def _receive_frame(self, frame: Frame, now: float) -> Event | None:
        type_, _, number, _ = frame
        handler = self._handlers.get(type_)
        if handler is None or self.peer is None:
            return self._receive_odd(frame)
        # Twice what we queue ourselves: it is the asking that must not go on and on.
        if self._outgoing.control_bytes > 2 * CONTROL_BYTES_MAX and type_ in ASKING:
            raise ProtocolError("the other side asks on and on, and reads no answer")
        is_about_stream = type_ >= ABOUT_STREAMS
        if is_about_stream != (number > 0) and type_ != FrameType.CREDIT:
            raise ProtocolError(f"{FrameType(type_).name} on stream {number}")
        if number > self._last_stream and type_ not in OPENING:
            name = FrameType(type_).name
            raise ProtocolError(f"{name} for stream {number}, which was never opened")
        return handler(frame, now)

    def _receive_odd(self, frame: Frame) -> Event | None:
        """The HELLO that opens a session, or what should not be there."""
        try:
            type_ = FrameType(frame.type)
        except ValueError:
            return None  # of a later version
        if self.peer is None or type_ is FrameType.HELLO:
            return self._receive_hello(type_, frame)
        raise ProtocolError(f"{type_.name} is not for this side to receive")

    def _receive_hello(self, type_: FrameType, frame: Frame) -> Event:
        if self.peer is not None or type_ is not FrameType.HELLO or frame.stream:
            raise ProtocolError("a session starts with one HELLO from each side")
        self.peer = Hello.decode(frame.payload)
        self._outgoing.budget.grant(self.peer.session_credit)
        return events.HelloReceived(self.peer)

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
        return events.LatencyMeasured(now - _PING.unpack(frame.payload)[0])

    def _receive_goaway(self, frame: Frame, _now: float) -> Event:
        self._is_peer_going_away = True
        return events.GoawayReceived(Goaway.decode(frame.payload))

    def _receive_request(self, frame: Frame, _now: float) -> Event:
        self._check_opening(frame)
        fields, body, digest = messages.cut_head(frame.payload, frame.flags)
        request = Request.decode(fields)
        is_ended, is_upgrade = bool(frame.flags & END), bool(frame.flags & UPGRADE)
        if is_upgrade and (is_ended or body):
            raise ProtocolError("a REQUEST for an upgrade that has a body or has ended")
        theirs = Half.ASKED if is_upgrade else Half.DONE if is_ended else Half.BODY
        self._last_stream = frame.stream
        stream = self._add_stream(frame.stream, ours=Half.HEAD, theirs=theirs)
        self._spend(stream, len(body))
        return events.RequestReceived(
            frame.stream,
            request.tunnel,
            request.remote,
            request.head,
            is_ended,
            is_upgrade,
            body,
            digest,
        )

    def _receive_connect(self, frame: Frame, _now: float) -> Event:
        self._check_opening(frame)
        connect = Connect.decode(frame.payload)
        self._last_stream = frame.stream
        self._add_stream(frame.stream, ours=Half.RAW, theirs=Half.RAW)
        return events.RawStreamReceived(frame.stream, connect)

    def _check_opening(self, frame: Frame) -> None:
        if frame.stream != self._last_stream + 1:
            name = FrameType(frame.type).name
            raise ProtocolError(f"{name} on stream {frame.stream}, after {self._last_stream}")
        if len(self._streams) - self.lanes.streams >= self._hello.streams_max:
            raise ProtocolError(f"more streams than our HELLO allows: {self._hello.streams_max}")

    def _receive_response(self, frame: Frame, _now: float) -> Event | None:
        fields, body, digest = messages.cut_head(frame.payload, frame.flags)
        stream = self._streams.get(frame.stream)
        self._spend(stream, len(body))
        if stream is None:
            return None
        head = messages.decode_response(fields)
        is_ended = bool(frame.flags & END)
        moves = head_moves(head, body, is_ended=is_ended)
        asked = answered_half(stream.ours, moves[0])
        if asked is None:
            raise ProtocolError(f"a 101 on stream {frame.stream}, which asked for no upgrade")
        stream.ours = asked
        stream.is_raw = moves[0] is Move.SWITCH
        self._move_theirs(frame, stream, *moves)
        return events.ResponseReceived(frame.stream, head, is_ended, body, digest)

    def _receive_data(self, frame: Frame, _now: float) -> Event | None:
        data, digest = frame.payload, b""
        if frame.flags & DIGEST:
            data, digest = messages.cut_digest(data)
        stream = self._streams.get(frame.stream)
        self._spend(stream, len(data))
        if stream is None:
            return None
        self.lanes.note(frame.stream, stream, len(data))
        is_ended = bool(frame.flags & END)
        self._move_theirs(frame, stream, *([Move.DATA, Move.END] if is_ended else [Move.DATA]))
        return events.DataReceived(frame.stream, data, is_ended, digest)

    def _spend(self, stream: Stream | None, length: int) -> None:
        """Body bytes came in: they are paid for, on a stream that has ended too."""
        lane = self._from_lane
        if stream is not None and lane is not (stream.moved and stream.moved.lane):
            raise ProtocolError("a frame of a stream that goes another way")
        if not length:
            return
        if stream is not None and stream.moved is not None:
            stream.moved.received(length)
            return
        self._allowance.spend(length)
        if stream is None:
            self._outgoing.send_credit(0, self._allowance.give_back(length))
        else:
            stream.allowance.spend(length)

    def _receive_trailers(self, frame: Frame, _now: float) -> Event | None:
        stream = self._streams.get(frame.stream)
        if stream is None:
            return None
        self._spend(stream, 0)
        trailers = messages.decode_trailers(frame.payload)
        self._move_theirs(frame, stream, Move.TRAILERS)
        return events.TrailersReceived(frame.stream, trailers)

    def _receive_reset(self, frame: Frame, _now: float) -> Event | None:
        code, message = messages.decode_reset(frame.payload)
        if frame.stream not in self._streams:
            return None
        self.remove_stream(frame.stream)
        return events.StreamReset(frame.stream, code, message)

    def _receive_credit(self, frame: Frame, _now: float) -> None:
        granted = messages.decode_credit(frame.payload)
        if frame.stream == 0:
            self._outgoing.budget.grant(granted)
        elif (stream := self._streams.get(frame.stream)) and stream.lane is None:
            stream.budget.grant(granted)
            self._outgoing.line_up(frame.stream, stream)

    # --- frames out -------------------------------------------------------------------------

    def _send_ping(self, now: float) -> None:
        self._ping = _PING.pack(now)
        self._send(FrameType.PING, self._ping)

    def _send_head(
        self,
        type_: FrameType,
        fields: bytes,
        number: int,
        stream: Stream,
        body: bytes,
        is_ended: bool,
        digest: bytes,
    ) -> bool:
        """Send a head and what is there of the body; returns the same as `send_data`."""
        flags = END if is_ended else 0
        if not stream.outgoing.send_head(
            type_, fields, number, stream, flags=flags, body=body, digest=digest
        ):
            return self.send_data(number, body, is_ended=is_ended, digest=digest)
        if is_ended:
            stream.move_ours(Move.END)
            self.ours_ended(number, stream)
        return True

    # --- for lanes --------------------------------------------------------------------------

    def receive_from_lane(self, frame: Frame, lane: Lane, now: float) -> Event | None:
        """Take a frame of a stream that has moved there, as if it had come here."""
        self._from_lane = lane
        try:
            return self._receive_frame(frame, now)
        finally:
            self._from_lane = None

    def has_opened(self, number: int) -> bool:
        """Say whether a stream of that number is, or was, open."""
        return number <= self._last_stream

    def ours_ended(self, number: int, stream: Stream) -> None:
        """Our half is out to its last byte: the end of the response ends the stream."""
        stream.is_out = True
        is_over = stream.theirs is Half.DONE if stream.is_raw else self.role is Role.AGENT
        if is_over:
            self.remove_stream(number)

    # --- states -----------------------------------------------------------------------------

    def _require(self, role: Role) -> None:
        if self.role is not role:
            raise LocalError(f"only the {role.name.lower()} side of a session may do that")

    def _open(
        self, type_: FrameType, opening: Request | Connect, flags: int, *, ours: Half, theirs: Half
    ) -> int:
        payload = opening.encode()
        number, _ = self._add_own(ours=ours, theirs=theirs)
        self._send(type_, payload, number, flags)
        self._check_numbers()
        return number

    def _add_own(self, *, ours: Half, theirs: Half) -> tuple[int, Stream]:
        self._require(Role.RELAY)
        if not self.can_open_stream():
            raise LocalError("a stream was opened on a session that takes none now")
        self._last_stream += 1
        return self._last_stream, self._add_stream(self._last_stream, ours=ours, theirs=theirs)

    def _check_numbers(self) -> None:
        if self._last_stream == STREAM_NUMBER_MAX:
            self.go_away("shutdown", "all stream numbers are used: open a new session")

    def _add_stream(self, number: int, *, ours: Half, theirs: Half) -> Stream:
        assert self.peer is not None  # noqa: S101  # for the type checker: HELLO comes first
        stream = Stream(
            ours=ours,
            theirs=theirs,
            budget=Budget(self.peer.stream_credit),
            allowance=Allowance(self._hello.stream_credit),
            outgoing=self._outgoing,
            is_raw=theirs is Half.RAW,
        )
        self._streams[number] = stream
        return stream

    def remove_stream(self, number: int) -> None:
        """A stream has ended; what it has queued is dropped."""
        stream = self._streams.pop(number)
        stream.outgoing.forget(number)
        if stream.lane is not None or stream.moved is not None:
            self.lanes.ended(number, stream)

    def _move_theirs(self, frame: Frame, stream: Stream, *moves: Move) -> None:
        stream.move_theirs(frame.stream, *moves)
        is_over = stream.is_out if stream.is_raw else self.role is Role.RELAY
        if stream.theirs is Half.DONE and is_over:
            self.remove_stream(frame.stream)
