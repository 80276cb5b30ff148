"""What strangers sent is shown, and steers nothing."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hookloop.cli.console_line import cut
from hookloop.cli.console_text import event_type, outcome, path_of, printable
from hookloop.exchange import Exchange, RequestHead, ResponseHead


def head(target: bytes = b"/", **headers: bytes) -> RequestHead:
    fields = tuple((name.replace("_", "-").encode(), value) for name, value in headers.items())
    return RequestHead(b"POST", target, fields)


def exchange(response: ResponseHead | None, failure: str | None = None) -> Exchange:
    return Exchange("agent", "shop", "1.2.3.4:5", head(), response, 0, 0, 0.0, None, 1.0, failure)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J\x1b[31m", r"\x1b[2J\x1b[31m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\r\nSession Status  online", r"a\x0d\x0aSession Status  online"),
        ("\x9b31m", r"\x9b31m"),
        ("/user/\u202egpj.exe", r"/user/\u202egpj.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("caf\u00e9 \u2192 ok", "caf\u00e9 \u2192 ok"),
    ],
)
def test_controls_are_escaped_and_letters_are_not(hostile, shown):
    """ANSI, titles, new lines, C1, and marks that turn the writing round or hide."""
    assert printable(hostile) == shown


@given(st.text())
def test_nothing_that_steers_is_left(text):
    """Whatever comes, what is shown is visible characters and spaces."""
    shown = printable(text)

    assert shown.isprintable()
    assert not any(unicodedata.category(c).startswith("C") for c in shown)


@given(st.binary(max_size=200))
def test_any_target_has_a_path(target):
    """Bytes that are no text neither raise nor steer."""
    assert path_of(head(target)).isprintable()


def test_a_query_is_named_and_not_shown():
    """Tokens travel in it, and lines end in logs."""
    assert path_of(head(b"/reset?token=sk_live_1")) == "/reset?…"


def test_a_target_of_eight_kilobytes_is_shown_in_part():
    """No line shows more, and no frame should work on it."""
    assert len(path_of(head(b"/" + b"a" * 8000))) < 2010


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({"X-GitHub-Event": b"pull_request"}, "pull_request"),
        ({"x-shopify-topic": b"orders/create"}, "orders/create"),
        ({"X-Event-Key": b"\x1b[31mrepo:push"}, r"\x1b[31mrepo:push"),
        ({"Content-Type": b"application/json"}, ""),
    ],
)
def test_the_event_type_is_what_the_sender_says(headers, shown):
    """In a header of its own; in whatever case."""
    assert event_type(exchange(None)._replace(request=head(**headers))) == shown


@pytest.mark.parametrize(
    ("headers", "body", "shown"),
    [
        ({"Stripe-Signature": b"t=1,v1=x"}, b'{"data":{"type":"card"},"type":"a.b"}', "a.b"),
        ({"webhook-signature": b"v1,x"}, b'{"type": "user.created"}', "user.created"),
        ({"svix-signature": b"v1,x"}, b'{"type":"user.created"}', "user.created"),
        ({}, b'{"type":"a.b"}', ""),
        ({"Stripe-Signature": b"x"}, b"", ""),
        ({"Stripe-Signature": b"x"}, b"[" * 10_000, ""),
        ({"Stripe-Signature": b"x"}, b'["type"]', ""),
        ({"Stripe-Signature": b"x"}, b'{"type":7}', ""),
        ({"Stripe-Signature": b"x"}, b'{"type":"\\u001b[2J"}', ""),
        ({"Stripe-Signature": b"x"}, b'{"type":"a person\'s own words"}', ""),
    ],
)
def test_the_event_type_may_stand_in_a_signed_body(headers, body, shown):
    """Stripe's does; of anything else in it not a word is shown."""
    told = exchange(None)._replace(request=head(**headers), request_body=body)

    assert event_type(told) == shown


@pytest.mark.parametrize(
    ("response", "failure", "told"),
    [
        (ResponseHead(200, b"", ()), None, "200 OK"),
        (ResponseHead(299, b"\x1b[2JFine", ()), None, r"299 \x1b[2JFine"),
        (ResponseHead(200, b"OK", ()), "broke off", "200 OK, cut short"),
        (None, "cannot reach it", "cannot reach it"),
        (None, None, "no answer"),
    ],
)
def test_an_outcome_is_the_status_or_the_reason(response, failure, told):
    """One text for the screen and for lines."""
    assert outcome(exchange(response, failure)) == told


@given(st.text(), st.integers(0, 50))
def test_a_column_is_exactly_as_wide_as_it_should_be(text, cells):
    """Also with characters that take two columns."""
    assert cell_len(cut(printable(text), cells)) == cells
