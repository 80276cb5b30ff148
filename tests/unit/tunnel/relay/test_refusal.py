"""The relay's own answers."""

import json

import pytest

from hookloop.tunnel.relay.refusal import Refusal, refusal_for_reset, render_refusal
from hookloop.tunnel.wire.messages import ResetCode


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        (ResetCode.CANCELLED, 502, "internal"),
        (ResetCode.UPSTREAM_REFUSED, 502, "upstream_refused"),
        (ResetCode.UPSTREAM_TIMEOUT, 504, "upstream_timeout"),
        (ResetCode.UPSTREAM_BROKEN, 502, "upstream_broken"),
        (ResetCode.OVERLOADED, 503, "overloaded"),
        (ResetCode.INTERNAL, 502, "internal"),
    ],
)
def test_a_reset_never_blames_the_caller(code, status, name):
    """The table of SPEC.md section 3."""
    refusal = refusal_for_reset(code, "why")

    assert (refusal.status, refusal.code, refusal.message) == (status, name, "why")
    assert (refusal.retry_after is not None) is (status == 503)


def test_a_reset_without_a_word_is_given_one():
    """Nobody should have to guess at an empty message."""
    assert refusal_for_reset(ResetCode.INTERNAL, "").message


@pytest.mark.parametrize("accept", [None, b"*/*", b"application/json"])
def test_programs_get_json(accept):
    """With the code in a field too, so that it need not be parsed."""
    head, body = render_refusal(Refusal(404, "gone", 'a "quoted" name'), accept=accept)

    assert json.loads(body) == {"error": {"code": "gone", "message": 'a "quoted" name'}}
    assert head.status == 404
    assert head.reason == b"Not Found"
    assert head.get(b"hookloop-error") == b"gone"
    assert head.get(b"content-length") == b"%d" % len(body)
    assert head.get(b"cache-control") == b"no-store"
    assert head.get(b"retry-after") is None


def test_browsers_get_a_page_with_nothing_of_the_message_in_its_markup():
    """The message may come from an agent."""
    head, body = render_refusal(Refusal(502, "x", "<script>"), accept=b"text/html, */*")

    assert head.get(b"content-type") == b"text/html; charset=utf-8"
    assert b"&lt;script&gt;" in body
    assert b"<script>" not in body


def test_a_refusal_may_say_when_to_come_back_and_what_to_speak():
    """Retry-After, and the Upgrade of a 426."""
    refusal = Refusal(426, "x", "y", retry_after=5, upgrade="hookloop/1")

    head, _ = render_refusal(refusal, accept=None)

    assert head.get(b"retry-after") == b"5"
    assert head.get(b"upgrade") == b"hookloop/1"
    assert head.get(b"connection") == b"Upgrade"
