"""When to ask, and when to give up."""

from hypothesis import given
from hypothesis import strategies as st

from hookloop.tunnel.wire.heartbeat import PING_AFTER_SECONDS, SILENCE_SECONDS_MAX, Heartbeat

TIMES = st.floats(0, 1e9)


def test_a_side_that_was_just_heard_is_not_asked():
    """Traffic is proof enough."""
    heartbeat = Heartbeat(100.0)

    assert not heartbeat.is_ping_due(109.9)
    assert heartbeat.silence(109.9) is None


def test_a_silent_side_is_asked_once():
    """One question for one silence."""
    heartbeat = Heartbeat(100.0)

    asked = [heartbeat.is_ping_due(now) for now in (110.0, 110.1, 124.0)]

    assert asked == [True, False, False]


def test_an_answer_starts_the_wait_again():
    """Any bytes count as heard."""
    heartbeat = Heartbeat(100.0)
    heartbeat.is_ping_due(110.0)

    heartbeat.heard(111.0)

    assert heartbeat.next_deadline() == 121.0
    assert not heartbeat.is_ping_due(120.0)
    assert heartbeat.is_ping_due(121.0)


def test_after_the_question_the_deadline_is_the_end():
    """The next thing that can happen is giving up."""
    heartbeat = Heartbeat(100.0)
    heartbeat.is_ping_due(110.0)

    assert heartbeat.next_deadline() == 125.0


def test_too_long_a_silence_is_reported_with_its_length():
    """The figure is for the log."""
    heartbeat = Heartbeat(100.0)

    assert heartbeat.silence(124.9) is None
    assert heartbeat.silence(126.0) == 26.0


@given(TIMES)
def test_a_timer_never_fires_for_nothing(heard):
    """At its deadline there is something to do, however the sum was rounded."""
    heartbeat = Heartbeat(heard)

    assert heartbeat.next_deadline() == heard + PING_AFTER_SECONDS
    assert heartbeat.is_ping_due(heartbeat.next_deadline())
    assert heartbeat.next_deadline() == heard + SILENCE_SECONDS_MAX
    assert heartbeat.silence(heartbeat.next_deadline()) is not None
