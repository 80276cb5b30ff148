"""When to ask, and when to give up."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hookloop.tunnel.wire.heartbeat import (
    PING_AFTER_SECONDS,
    PROBE_SECONDS,
    SILENCE_SECONDS_MAX,
    Heartbeat,
)

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


def test_after_the_question_it_looks_again_and_then_comes_the_end():
    """First whether the answer was followed by another silence."""
    heartbeat = Heartbeat(100.0)
    heartbeat.is_ping_due(110.0)

    assert heartbeat.next_deadline() == 120.0
    assert not heartbeat.is_ping_due(120.0)
    assert heartbeat.next_deadline() == 125.0


def test_a_timer_set_before_the_answer_does_not_sleep_through_the_next_question():
    """
    Found behind a proxy that cuts what is idle for 12 s.

    A shell sets its timer once, and again when it fires: the answer comes in between.
    """
    heartbeat, asked = Heartbeat(0.0), []

    timer = heartbeat.next_deadline()
    while timer < 60:
        now, is_asked = timer, heartbeat.is_ping_due(timer)
        timer = heartbeat.next_deadline()
        if is_asked:
            asked.append(now)
            heartbeat.heard(now + 0.125)

    assert all(later - earlier <= 10.125 for earlier, later in pairwise([0.0, *asked]))
    assert len(asked) >= 5


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
    assert not heartbeat.is_ping_due(heartbeat.next_deadline())
    assert heartbeat.next_deadline() == heard + SILENCE_SECONDS_MAX
    assert heartbeat.silence(heartbeat.next_deadline()) is not None


def test_a_probe_that_is_not_answered_ends_early():
    """The machine has slept: nobody waits half a minute then."""
    heartbeat = Heartbeat(100.0)

    heartbeat.probe(101.0)

    assert heartbeat.next_deadline() == 101.0 + PROBE_SECONDS
    assert heartbeat.silence(102.9) is None
    assert heartbeat.silence(103.0) == 3.0


def test_an_answered_probe_changes_nothing():
    """The next question comes when it would have come."""
    heartbeat = Heartbeat(100.0)
    heartbeat.probe(101.0)

    heartbeat.heard(101.5)
    heartbeat.answered()

    assert heartbeat.silence(110.0) is None
    assert heartbeat.next_deadline() == 111.5


def test_bytes_alone_do_not_answer_a_probe():
    """They may have lain in this machine since before it slept."""
    heartbeat = Heartbeat(100.0)
    heartbeat.probe(500.0)

    heartbeat.heard(500.1)

    assert heartbeat.silence(502.0) is not None


def test_bytes_that_keep_coming_put_the_end_of_a_probe_off():
    """The answer stands behind them in a slow line."""
    heartbeat = Heartbeat(100.0)
    heartbeat.probe(500.0)

    heartbeat.heard(501.9)

    assert heartbeat.silence(502.0) is None
    assert heartbeat.silence(502.9) is not None
