"""A stream between workers: what one side does not take, the other is not asked for."""

from types import SimpleNamespace

from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.relay.peers import _Bridge
from hookloop.tunnel.wire.events import DataReceived, RequestReceived

PEER, AGENT = 7, 9  # stream numbers of either side
OK = ResponseHead(200, b"OK", ())


class Side:
    """Takes what a session or a link is told, and says whether there is room."""

    def __init__(self):
        self.has_room = True
        self.granted = 0
        self.calls = []

    def consumed(self, stream, length):
        self.granted += length

    def __getattr__(self, name):
        def call(*arguments, **settings):
            self.calls.append((name, *arguments))
            return AGENT if name.startswith("open_") else self.has_room

        return call


def bridge(*, is_ended=False, is_upgrade=False):
    session, link, ended = Side(), Side(), []
    owner = SimpleNamespace(
        session=session, carrier=SimpleNamespace(flush_soon=lambda: None), ended=ended.append
    )
    made = _Bridge(owner, link, PEER)
    head = RequestHead(b"POST", b"/", ())
    made.open(RequestReceived(PEER, "shop", "192.0.2.1:1", head, is_ended, is_upgrade))
    return made, session, link, ended


def answer(made, data, *, is_ended=False):
    made.response_data(data, is_ended=is_ended, digest=b"")


def test_an_answer_is_paid_for_once_the_other_worker_has_room():
    """The agent's credit is the limit of what waits here."""
    made, session, link, _ = bridge(is_ended=True)
    session.has_room = False
    made.response_head(OK, b"12345", is_ended=False, digest=b"")
    assert link.granted == 0
    made.session_unblocked()

    assert link.granted == 5


def test_room_that_is_there_again_is_not_waited_for():
    """It is said by the next piece, and never a second time."""
    made, session, link, _ = bridge(is_ended=True)
    session.has_room = False
    answer(made, b"12345")
    session.has_room = True
    answer(made, b"6")

    assert link.granted == 6


def test_the_same_holds_for_a_request():
    """The other worker's caller sends on when the agent's session has room."""
    made, session, link, _ = bridge()
    link.has_room = False
    made.request_data(DataReceived(PEER, b"12345", is_ended=False))
    assert session.granted == 0
    link.has_room = True
    made.request_data(DataReceived(PEER, b"6", is_ended=False))
    assert session.granted == 6
    link.has_room = False
    made.request_data(DataReceived(PEER, b"7", is_ended=False))
    made.may_send_again()

    assert session.granted == 7


def test_the_end_of_an_answer_pays_for_all():
    """Nobody wants the rest of the request."""
    made, session, link, ended = bridge()
    link.has_room = session.has_room = False
    made.request_data(DataReceived(PEER, b"12345", is_ended=False))
    answer(made, b"678", is_ended=True)

    assert (session.granted, link.granted, ended) == (5, 3, [PEER])


def test_a_caller_that_has_gone_pays_for_all_too():
    """And the agent is told."""
    made, session, link, _ = bridge()
    link.has_room = session.has_room = False
    made.request_data(DataReceived(PEER, b"12345", is_ended=False))
    answer(made, b"678")
    made.cancelled("the caller has gone")

    assert (session.granted, link.granted) == (5, 3)
    assert link.calls[-1] == ("cancel", AGENT, "the caller has gone")


def test_an_upgraded_stream_ends_when_both_sides_have():
    """Each in its time."""
    made, _, link, ended = bridge(is_ended=True, is_upgrade=True)
    made.response_head(ResponseHead(101, b"", ()), b"", is_ended=False, digest=b"")
    made.raw_data(b"bye", is_ended=True)
    assert ended == []
    made.request_data(DataReceived(PEER, b"bye", is_ended=True))

    assert ended == [PEER]
    assert [call[0] for call in link.calls] == [
        "open_upgrade",
        "become_raw",
        "send_data",
        "end_stream",
    ]
