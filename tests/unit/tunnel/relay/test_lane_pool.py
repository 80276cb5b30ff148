"""How the relay deals out lanes: who gets one, how many there are, and when they go."""

import pytest

from hookloop.exchange import ResponseHead
from hookloop.testing import ManualClock
from hookloop.tunnel.relay.lane_pool import (
    IDLE_SECONDS,
    LANES_FOR_BULK,
    LANES_IDLE_MAX,
    REFUSED_SECONDS,
    LanePool,
    is_long_lived,
)
from hookloop.tunnel.relay.lane_tickets import TICKET_SECONDS, LaneTickets

LANES_MAX = 32


class FakeLanes:
    """The lanes of a session, without one."""

    def __init__(self):
        self.invited = []
        self.carries = {}
        self.gone = set()

    def __len__(self):
        return len(self.carries)

    def invite(self, lane, ticket):
        self.invited.append((lane, ticket))

    def free(self):
        return [lane for lane, stream in reversed(self.carries.items()) if stream is None]

    def can_move(self, stream):
        return stream not in self.gone and stream not in self.carries.values()

    def move(self, stream, lane):
        assert self.carries[lane] is None
        self.carries[lane] = stream


class Dealing:
    """A pool, its lanes, and an agent that dials as it is told."""

    def __init__(self):
        self.lanes = FakeLanes()
        self.pool = LanePool(self.lanes, lambda lane: f"ticket {lane}", lanes_max=LANES_MAX)
        self.now = 0.0

    def want(self, *streams, is_bulk=True):
        for stream in streams:
            self.pool.want(stream, is_bulk=is_bulk)
        return self.settle()

    def settle(self):
        closed = self.pool.settle(self.now)
        for lane in closed:
            del self.lanes.carries[lane]
        return closed

    def dial(self):
        for lane, _ in self.lanes.invited:
            self.lanes.carries[lane] = None
            self.pool.opened(lane)
        self.lanes.invited.clear()
        return self.settle()

    def end(self, *streams):
        for lane, stream in self.lanes.carries.items():
            if stream in streams:
                self.lanes.carries[lane] = None
        return self.settle()

    @property
    def moved(self):
        return sorted(stream for stream in self.lanes.carries.values() if stream is not None)


def test_a_stream_that_wants_a_lane_gets_the_agent_invited():
    """None is there before."""
    dealing = Dealing()

    dealing.want(7)
    asked = list(dealing.lanes.invited)
    dealing.dial()

    assert asked == [(1, "ticket 1")]
    assert dealing.moved == [7]
    assert not dealing.pool.has_waiting


def test_one_invitation_is_enough_for_one_stream():
    """However often one looks."""
    dealing = Dealing()

    dealing.want(7)
    for _ in range(5):
        dealing.settle()

    assert len(dealing.lanes.invited) == 1


def test_a_free_lane_is_used_before_another_is_asked_for():
    """One after the other needs one."""
    dealing = Dealing()
    dealing.want(1)
    dealing.dial()
    dealing.end(1)

    dealing.want(2)

    assert (dealing.moved, dealing.lanes.invited) == ([2], [])


def test_a_stream_that_has_ended_wants_nothing_any_more():
    """It may end while the agent dials."""
    dealing = Dealing()
    dealing.want(1)
    dealing.lanes.gone.add(1)

    dealing.dial()

    assert dealing.moved == []
    assert not dealing.pool.has_waiting


def test_there_are_so_many_lanes_and_no_more():
    """The others go on on the session, and get one when one is free."""
    dealing = Dealing()
    dealing.want(*range(LANES_MAX + 5))
    dealing.dial()
    full = len(dealing.moved)

    dealing.end(0, 1)

    assert (full, len(dealing.moved)) == (LANES_MAX, LANES_MAX)
    assert LANES_MAX + 1 in dealing.moved


def test_open_pages_leave_lanes_to_bulk():
    """A hundred event streams must not keep a download on the session."""
    dealing = Dealing()
    dealing.want(*range(100), is_bulk=False)
    dealing.dial()
    long_lived = len(dealing.moved)

    dealing.want(1000, 1001)
    dealing.dial()

    assert long_lived == LANES_MAX - LANES_MAX // LANES_FOR_BULK
    assert dealing.moved[-2:] == [1000, 1001]
    assert len(dealing.moved) == long_lived + 2


def test_an_event_stream_that_grows_large_is_bulk():
    """It moves up, and is not asked for twice."""
    dealing = Dealing()
    dealing.want(5, is_bulk=False)
    dealing.want(5)

    dealing.dial()

    assert dealing.moved == [5]
    assert dealing.lanes.invited == []


def test_few_lanes_are_kept_when_all_is_done_and_none_for_long():
    """An idle agent costs one connection."""
    dealing = Dealing()
    dealing.want(*range(6))
    dealing.dial()

    closed = dealing.end(*range(6))
    dealing.now += IDLE_SECONDS / 2
    kept = len(dealing.lanes) if dealing.settle() == [] else None
    dealing.now += IDLE_SECONDS / 2
    dealing.settle()

    assert (len(closed), kept, len(dealing.lanes)) == (6 - LANES_IDLE_MAX, LANES_IDLE_MAX, 0)


def test_a_lane_that_is_used_now_and_then_is_kept():
    """Its time starts again with every use."""
    dealing = Dealing()
    dealing.want(0)
    dealing.dial()
    for stream in range(1, 5):
        dealing.now += 0.7 * IDLE_SECONDS
        dealing.end(stream - 1)
        dealing.want(stream)

    assert dealing.moved == [4]
    assert dealing.lanes.invited == []


def test_an_agent_that_does_not_dial_is_asked_again_much_later():
    """Behind a proxy that allows one connection it never can."""
    dealing = Dealing()
    dealing.want(1)
    dealing.lanes.invited.clear()
    dealing.now += TICKET_SECONDS
    dealing.settle()
    early = list(dealing.lanes.invited)
    dealing.now += REFUSED_SECONDS

    dealing.settle()

    assert (early, dealing.lanes.invited) == ([], [(2, "ticket 2")])
    assert dealing.pool.has_waiting


@pytest.mark.parametrize(
    ("content_type", "is_long"),
    [
        (b"text/event-stream", True),
        (b"Text/Event-Stream; charset=utf-8", True),
        (b"text/plain", False),
        (None, False),
    ],
)
def test_an_event_stream_is_known_by_its_head(content_type, is_long):
    """It is open for as long as somebody looks at a page."""
    headers = ((b"content-type", content_type),) if content_type else ()

    assert is_long_lived(ResponseHead(200, b"", headers)) is is_long


# --- tickets ------------------------------------------------------------------------------


class Numbers:
    """Not random at all."""

    def __init__(self):
        self.number = 0

    def choices(self, population, *, k):
        self.number += 1
        return list(f"{self.number:0{k}}")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tickets(clock):
    return LaneTickets(clock, Numbers())


def test_a_ticket_is_good_for_one_lane_and_once(tickets):
    """Nobody else's, and not again."""
    first, second = tickets.issue("link", 1), tickets.issue("link", 2)

    assert tickets.redeem(second) == ("link", 2)
    assert tickets.redeem(second) is None
    assert tickets.redeem(first) == ("link", 1)


@pytest.mark.parametrize("ticket", [None, "", "tkt_unknown"])
def test_what_is_no_ticket_opens_nothing(tickets, ticket):
    """Nor does none at all."""
    tickets.issue("link", 1)

    assert tickets.redeem(ticket) is None


def test_a_ticket_is_good_for_a_while(tickets, clock):
    """Whoever finds it in a log of a proxy is too late."""
    early, late = tickets.issue("link", 1), tickets.issue("link", 2)
    clock.advance(TICKET_SECONDS - 1)
    in_time = tickets.redeem(early)
    clock.advance(1)

    assert (in_time, tickets.redeem(late)) == (("link", 1), None)


def test_tickets_of_a_session_end_with_it(tickets):
    """Those of the others do not."""
    gone, stays = tickets.issue("gone", 1), tickets.issue("stays", 1)

    tickets.forget("gone")

    assert tickets.redeem(gone) is None
    assert tickets.redeem(stays) == ("stays", 1)
