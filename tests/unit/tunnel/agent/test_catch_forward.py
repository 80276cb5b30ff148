"""One stream in catch mode, with a box and a session that only remember."""

import pytest

from hookloop.clock import SystemClock
from hookloop.exchange import Exchange, RequestHead, ResponseHead
from hookloop.tunnel.agent.catch_forward import CatchForward
from hookloop.tunnel.catch.rules import CatchRules
from hookloop.tunnel.room import Room
from hookloop.tunnel.wire.events import RequestReceived
from hookloop.tunnel.wire.messages import ResetCode

STREAM = 7
HEAD = RequestHead(b"POST", b"/hook", ((b"Host", b"shop.tun.test"),))
OK = ResponseHead(200, b"OK", ())
CAUGHT = ResponseHead(202, b"", ())
ROOM_BYTES = 1000


class Box:
    """Keeps what is caught, and answers when it is told to."""

    def __init__(self, *, has_line=False) -> None:
        self.has_line = has_line
        self.rules = CatchRules(body_bytes_max=100)
        self.caught = []
        self._answers = []

    def catch_soon(self, request, body, answer) -> None:
        self.caught.append(body)
        self._answers.append(answer)

    def commit(self) -> None:
        self._answers.pop(0)(CAUGHT)


class Session:
    """What the relay and the agent would be told, in order."""

    def __init__(self) -> None:
        self.told = []
        self.credit = 0
        self.exchanges: list[Exchange] = []

    def respond(self, stream, head, body, *, is_ended, digest) -> bool:
        self.told.append((head.status, body, is_ended))
        return True

    def send_data(self, stream, data) -> bool:
        self.told.append(data)
        return True

    def end_stream(self, stream, trailers, *, digest) -> None:
        self.told.append("end")

    def reset_stream(self, stream, code, message) -> None:
        self.told.append(code)

    def consumed(self, stream, length) -> None:
        self.credit += length

    def forward_ended(self, stream, exchange) -> None:
        self.exchanges.append(exchange)


class Forward:
    """A forward whose upstream is played by the test."""

    def __init__(self, session) -> None:
        self.session = session
        self.taken = b""
        self.is_connected = False
        self.resets = []

    def connected(self, connection, *, response_seconds) -> None:
        self.is_connected = True

    def not_connected(self, code, why) -> None:
        self.fails(code)

    def request_data(self, data, *, is_ended, digest) -> None:
        self.taken += data

    def request_ended(self, trailers) -> None:
        self.taken += b"."

    def stream_reset(self, message) -> None:
        self.resets.append(message)
        self.session.forward_ended(STREAM, exchange(message))

    def may_send_again(self) -> None:
        self.taken += b"!"

    def fails(self, code) -> None:
        """As the real one: the reset, then the end."""
        self.session.reset_stream(STREAM, code, "why")
        self.session.forward_ended(STREAM, exchange("why"))


def exchange(failure) -> Exchange:
    return Exchange("agent", "shop", "r", HEAD, None, 0, 0, 0.0, None, 0.0, failure)


class Case:
    """A stream whose request begins with *body*."""

    def __init__(self, body=b"body", *, is_ended=True, has_line=False) -> None:
        self.box, self.session, self.room = Box(has_line=has_line), Session(), Room(ROOM_BYTES)
        self.forward: Forward | None = None

        def make(session):
            self.forward = Forward(session)
            return self.forward

        request = RequestReceived(STREAM, "shop", "r", HEAD, is_ended=is_ended, body=body)
        self.stream = CatchForward(request, self.session, self.box, self.room, SystemClock(), make)

    def data(self, data, *, is_ended=False) -> None:
        self.stream.request_data(data, is_ended=is_ended, digest=b"")


@pytest.mark.parametrize("code", [ResetCode.UPSTREAM_REFUSED, ResetCode.UPSTREAM_TIMEOUT])
def test_an_app_that_takes_no_connection_is_down(code):
    """Whether it refuses or is silent: the sender gets our answer, and one exchange is told of."""
    case = Case()
    case.stream.not_connected(code, "why")
    case.box.commit()

    assert case.box.caught == [b"body"]
    assert case.session.told == [(202, b"", True)]
    [told] = case.session.exchanges
    assert (told.response.status, told.failure, told.request_body_bytes) == (202, None, 4)
    assert case.room.left == ROOM_BYTES


def test_a_connection_that_is_dropped_before_any_answer_is_down():
    """An interim answer is none."""
    case = Case()
    case.stream.connected(None, response_seconds=1)
    case.stream.respond(STREAM, ResponseHead(103, b"", ()), b"", is_ended=False, digest=b"")
    case.forward.fails(ResetCode.UPSTREAM_BROKEN)
    case.box.commit()

    assert case.box.caught == [b"body"]
    assert case.session.told == [(103, b"", False), (202, b"", True)]


def test_an_app_that_is_connected_and_silent_is_not_down():
    """It may be at work on it: its caller hears of the time that has run out."""
    case = Case()
    case.stream.connected(None, response_seconds=1)
    case.forward.fails(ResetCode.UPSTREAM_TIMEOUT)

    assert case.box.caught == []
    assert case.session.told == [ResetCode.UPSTREAM_TIMEOUT]
    assert case.room.left == ROOM_BYTES


def test_an_answer_that_breaks_off_is_passed_on_as_it_is():
    """The caller has seen its beginning; what the app thinks of the request is said."""
    case = Case()
    case.stream.connected(None, response_seconds=1)
    case.stream.respond(STREAM, OK, b"he", is_ended=False, digest=b"")
    case.stream.send_data(STREAM, b"llo")
    case.forward.fails(ResetCode.UPSTREAM_BROKEN)

    assert case.box.caught == []
    assert case.session.told == [(200, b"he", False), b"llo", ResetCode.UPSTREAM_BROKEN]


def test_a_forward_that_goes_well_is_not_touched():
    """Everything goes through, both ways, and nothing is held at the end."""
    case = Case(b"a", is_ended=False)
    case.stream.connected(None, response_seconds=1)
    case.data(b"b", is_ended=False)
    case.stream.request_ended(())
    case.stream.may_send_again()
    case.stream.consumed(STREAM, 2)
    case.stream.respond(STREAM, OK, b"", is_ended=False, digest=b"")
    case.stream.end_stream(STREAM, (), digest=b"")
    case.stream.forward_ended(STREAM, exchange(None))

    assert (case.forward.taken, case.session.credit) == (b"b.!", 2)
    assert case.session.told == [(200, b"", False), "end"]
    assert len(case.session.exchanges) == 1
    assert case.room.left == ROOM_BYTES


def test_the_rest_of_a_body_is_taken_in_after_the_app_was_found_down():
    """With credit for it, so that it can all come; then it is caught."""
    case = Case(b"a", is_ended=False)
    case.stream.not_connected(ResetCode.UPSTREAM_REFUSED, "why")
    case.data(b"b")
    assert case.box.caught == []
    case.data(b"c", is_ended=True)

    assert case.box.caught == [b"abc"]
    assert case.session.credit == 2


def test_a_queued_request_is_caught_with_no_forward_made():
    """Also where its end comes alone."""
    case = Case(b"a", is_ended=False, has_line=True)
    assert case.stream.is_queued
    case.stream.begin()
    case.data(b"b")
    case.stream.request_ended(())
    case.box.commit()

    assert case.forward is None
    assert case.box.caught == [b"ab"]
    assert case.session.credit == 2
    assert case.session.exchanges[0].response.status == 202


def test_a_caller_that_leaves_while_it_is_kept_is_not_answered():
    """What was begun is finished: it may hear of a duplicate, never of a loss."""
    case = Case(has_line=True)
    case.stream.begin()
    case.stream.stream_reset("gone")
    case.box.commit()

    assert case.box.caught == [b"body"]
    assert case.session.told == []
    assert [told.failure for told in case.session.exchanges] == ["gone"]


def test_a_caller_that_leaves_before_its_end_has_sent_nothing():
    """Half a webhook is none; its room is free again."""
    case = Case(b"ha", is_ended=False, has_line=True)
    case.stream.begin()
    case.stream.stream_reset("gone")
    case.data(b"lf", is_ended=True)

    assert case.box.caught == []
    assert case.room.left == ROOM_BYTES


def test_a_caller_that_leaves_a_forward_leaves_the_forward():
    """Nothing is caught: nobody waits for it to be."""
    case = Case()
    case.stream.connected(None, response_seconds=1)
    case.stream.stream_reset("gone")

    assert case.forward.resets == ["gone"]
    assert (case.box.caught, len(case.session.exchanges)) == ([], 1)


@pytest.mark.parametrize("has_line", [True, False])
def test_what_is_too_large_fails_as_it_would_have(has_line):
    """Its sender hears why; behind a line that it should come again."""
    case = Case(b"x" * 60, is_ended=False, has_line=has_line)
    case.stream.begin()
    if not has_line:
        case.stream.not_connected(ResetCode.UPSTREAM_REFUSED, "why")
    case.data(b"x" * 60)
    case.data(b"x" * 60, is_ended=True)

    code = ResetCode.OVERLOADED if has_line else ResetCode.UPSTREAM_REFUSED
    assert case.session.told == [code]
    assert (case.box.caught, len(case.session.exchanges)) == ([], 1)
    assert case.room.left == ROOM_BYTES


def test_what_there_is_no_memory_for_fails_as_it_would_have():
    """A thousand uploads at once are not held for the case that the app is down."""
    case = Case(b"", is_ended=False)
    case.room.take(ROOM_BYTES)
    case.data(b"x", is_ended=True)
    case.stream.not_connected(ResetCode.UPSTREAM_REFUSED, "why")

    assert case.session.told == [ResetCode.UPSTREAM_REFUSED]
    assert case.box.caught == []
