"""What is caught, and what an answer of the app means."""

import pytest

from hookloop.errors import ConfigError
from hookloop.exchange import RequestHead
from hookloop.tunnel.catch.rules import (
    LONGEST_RETRY_SECONDS,
    CatchRules,
    as_delivered,
    is_final,
    not_caught,
    retry_seconds,
)


def head(method=b"POST", target=b"/hook", *headers) -> RequestHead:
    return RequestHead(method, target, headers)


@pytest.mark.parametrize(
    ("request_head", "is_wanted"),
    [
        (head(), True),
        (head(b"GET"), False),
        (head(b"PUT"), False),
        (head(b"POST", b"/hook", (b"Content-Length", b"1000")), True),
        (head(b"POST", b"/hook", (b"Content-Length", b"1001")), False),
        (head(b"POST", b"/hook", (b"Content-Length", b"9" * 60)), False),
        (head(b"POST", b"/hook", (b"Content-Length", b"-1")), False),
        (head(b"POST", b"/hook", (b"Upgrade", b"websocket")), False),
        (head(b"POST", b"/hook", (b"Trailer", b"X-Sum")), False),
    ],
)
def test_only_whole_posts_of_a_bounded_size_are_wanted(request_head, is_wanted):
    """A page that is down should look down, and memory has an end."""
    assert CatchRules(body_bytes_max=1000).want(request_head) is is_wanted


@pytest.mark.parametrize(
    ("target", "is_wanted"),
    [
        (b"/stripe", True),
        (b"/stripe?live=1", True),
        (b"/stripe/more", False),
        (b"/hooks/github", True),
        (b"/login", False),
    ],
)
def test_paths_narrow_it_down(target, is_wanted):
    """A login form is not answered 202."""
    assert CatchRules(paths=("/stripe", "/hooks/*")).want(head(b"POST", target)) is is_wanted


@pytest.mark.parametrize(
    "rules",
    [
        {"status": 302},
        {"status": 199},
        {"paths": ("stripe",)},
        {"body_bytes_max": 0},
        {"body_bytes_max": 10**9},
        {"requests_max": 0},
        {"bytes_max": 1},
    ],
)
def test_rules_that_cannot_work_are_refused(rules):
    """Before the first webhook, not at it."""
    with pytest.raises(ConfigError):
        CatchRules(**rules)


def test_the_answer_is_the_status_asked_for():
    """With no body, and no Content-Length where there must be none."""
    assert CatchRules().answer().status == 202
    assert CatchRules(status=200).answer().get(b"content-length") == b"0"
    assert CatchRules(status=204).answer().get(b"content-length") is None


def test_what_cannot_be_kept_is_told_to_come_again():
    """Never a 2xx, never a fault of the sender."""
    assert not_caught().status == 503
    assert not_caught().get(b"retry-after") == b"30"


def test_the_app_gets_what_was_sent_and_the_time_it_came_at():
    """Order, case and duplicates stay: a signature may cover them. A forged time does not."""
    original = head(
        b"POST",
        b"/hook?a=1",
        (b"Stripe-Signature", b"t=1,v1=2"),
        (b"x-Dup", b"1"),
        (b"X-dup", b"2"),
        (b"hookloop-caught-at", b"forged"),
    )

    delivered = as_delivered(original, received_at=1_767_225_600.9)

    assert delivered == head(
        b"POST",
        b"/hook?a=1",
        *original.headers[:3],
        (b"Hookloop-Caught-At", b"2026-01-01T00:00:00Z"),
    )


@pytest.mark.parametrize(
    ("status", "settles"),
    [
        (200, True),
        (204, True),
        (302, True),
        (400, True),
        (410, True),
        (408, False),
        (425, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_what_settles_a_request(status, settles):
    """What would be answered in the same way for ever, and nothing else."""
    assert is_final(status) is settles


def test_retries_slow_down_and_never_stop():
    """Thirty seconds at most, after however many nights."""
    assert [retry_seconds(n) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert retry_seconds(10_000) == LONGEST_RETRY_SECONDS
