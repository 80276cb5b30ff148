"""What is let in and what is passed on; the corpus has the cases as bytes."""

import pytest

from hookloop.exchange import RequestHead
from hookloop.tunnel.end_to_end import end_to_end, lower_names
from hookloop.tunnel.relay.forwarded import Proxies, forwarded
from hookloop.tunnel.relay.http_head import (
    DEFAULTS,
    Admitted,
    RawRequest,
    admit,
    is_within_limits,
    passable_trailers,
)
from hookloop.tunnel.relay.limits import RelayLimits
from hookloop.tunnel.relay.refusal import Refusal

HEAD_BYTES_MAX = DEFAULTS.head_bytes_max
HEADERS_MAX = DEFAULTS.head_fields_max
FIELD_BYTES_MAX = DEFAULTS.field_bytes_max
TARGET_BYTES_MAX = DEFAULTS.target_bytes_max

HOST = (b"Host", b"Shop.tun.test:80")


def raw(*headers, target=b"/", method=b"GET", version="1.1", host=HOST):
    return RawRequest(method, target, version, (host, *headers))


def test_a_plain_request_is_admitted():
    """Its host is ready to be looked up, its head as it was."""
    head = RequestHead(b"GET", b"/", (HOST,))

    assert admit(raw()) == Admitted("shop.tun.test", HOST[1], head, has_body=False, claims=())


@pytest.mark.parametrize(
    ("header", "has_body"),
    [
        ((b"content-LENGTH", b"1"), True),
        ((b"Content-Length", b" 0 "), False),
        ((b"Transfer-Encoding", b" CHUNKED "), True),
        ((b"Expect", b"100-continue"), False),
    ],
)
def test_the_framing_says_whether_a_body_follows(header, has_body):
    """Without a length or chunks there is none."""
    assert admit(raw(header)).has_body is has_body


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (raw(target=b"/" + b"a" * TARGET_BYTES_MAX), 414, "target_too_long"),
        (raw(*[(b"A", b"b")] * HEADERS_MAX), 431, "head_too_large"),
        (raw((b"A", b"b" * FIELD_BYTES_MAX)), 431, "head_too_large"),
        (raw(*[(b"A", b"b" * (FIELD_BYTES_MAX - 1))] * 4), 431, "head_too_large"),
        (raw((b"Hookloop-Hops", b"8")), 508, "loop"),
        (raw((b"hookloop-hops", b"x"), (b"HOOKLOOP-HOPS", b"99")), 508, "loop"),
        (raw(version="2.0"), 505, "bad_version"),
        (raw(version="0.9"), 505, "bad_version"),
        (raw(method=b"CONNECT"), 501, "method_refused"),
        (raw((b"Transfer-Encoding", b"chunked"), version="1.0"), 400, "bad_request"),
        (raw((b"Transfer-Encoding", b"gzip")), 501, "bad_transfer_encoding"),
        (raw(*[(b"Transfer-Encoding", b"chunked")] * 2), 501, "bad_transfer_encoding"),
        (raw(HOST), 400, "bad_request"),
        (raw(host=(b"A", b"b")), 400, "bad_request"),
        (raw(target=b"shop"), 400, "bad_request"),
        (raw(target=b"ws://shop.tun.test:80/"), 400, "bad_request"),
        (raw(target=b"http://other/"), 400, "bad_request"),
    ],
)
def test_what_cannot_be_passed_on_is_refused(request_, status, code):
    """With a status that says whose fault it is."""
    verdict = admit(request_)

    assert isinstance(verdict, Refusal)
    assert (verdict.status, verdict.code) == (status, code)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"A.b", "a.b"),
        (b"a.b.", "a.b"),
        (b"a:1", "a"),
        (b"a:", "a"),
        (b"[::1]", "[::1]"),
        (b"[::1]:443", "[::1]"),
        (b"a" * 253, "a" * 253),
        (b"", None),
        (b".", None),
        (b":80", None),
        (b"a" * 254, None),
        (b"a:123456", None),
        (b"a:b", None),
        (b"a\x7f", None),
        (b"a\xff", None),
        (b"a b", None),
        *((b"a%cb" % char, None) for char in b'@,/\\?#"<>:[]'),
    ],
)
def test_a_host_is_a_name_and_nothing_else(host, name):
    """Lower case, without port and final dot."""
    verdict = admit(raw(host=(b"Host", host)))

    assert (verdict.host if isinstance(verdict, Admitted) else None) == name


@pytest.mark.parametrize(
    ("target", "passed_on"),
    [
        (b"*", b"*"),
        (b"http://shop.tun.test:80", b"/"),
        (b"HTTPS://SHOP.tun.test:80/a?b", b"/a?b"),
        (b"http://shop.tun.test:80?b=/", b"/?b=/"),
    ],
)
def test_a_target_is_passed_on_in_origin_form(target, passed_on):
    """The upstream is no proxy."""
    assert admit(raw(target=target, method=b"OPTIONS")).head.target == passed_on


def test_fields_of_one_connection_are_dropped():
    """With all that any Connection field names, but for what gives the message its meaning."""
    headers = (
        (b"Connection", b"close, X-Hop ,content-length"),
        (b"x-hop", b"1"),
        (b"CONNECTION", b"Host"),
        (b"Host", b"a"),
        (b"Content-Length", b"1"),
        (b"Te", b"trailers"),
        (b"Upgrade", b"a"),
        (b"Kept", b"1"),
    )

    assert [name for name, _ in end_to_end(headers, lower_names(headers))] == [
        b"Host",
        b"Content-Length",
        b"Kept",
    ]


def test_trailers_that_would_change_the_message_are_dropped():
    """Framing, routing, credentials, and what only the relay may say."""
    trailers = (
        (b"X-Sum", b"1"),
        (b"HOST", b"a"),
        (b"Connection", b"b"),
        (b"x-forwarded-for", b"c"),
    )

    assert passable_trailers(trailers) == ((b"X-Sum", b"1"),)
    assert passable_trailers(()) == ()


def test_limits_are_of_bytes_and_of_fields():
    """Both are reached by what just fits."""
    assert is_within_limits(((b"", b""),) * HEADERS_MAX)
    assert not is_within_limits(((b"", b""),) * (HEADERS_MAX + 1))
    assert is_within_limits((), more_bytes=HEAD_BYTES_MAX)
    assert not is_within_limits((), more_bytes=HEAD_BYTES_MAX + 1)


def test_the_relay_says_where_a_request_came_from():
    """In place of whatever the caller said."""
    claims = ((b"X-FORWARDED-For", b"9"), (b"Forwarded", b"for=9"))
    admitted = admit(raw(*claims, host=HOST))

    passed = forwarded(admitted, peer="192.0.2.1", scheme="https", proxies=Proxies(())).head

    assert admitted.claims == claims
    assert passed.headers == (
        HOST,
        (b"X-Forwarded-For", b"192.0.2.1"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"Shop.tun.test:80"),
        (b"Hookloop-Hops", b"1"),
    )


def test_limits_are_settings():
    """Each of them."""
    limits = RelayLimits(
        head_bytes_max=1800, head_fields_max=3, field_bytes_max=900, target_bytes_max=10
    )
    field = (b"A", b"b" * 899)

    assert isinstance(admit(raw(field, field), limits), Refusal)
    assert isinstance(admit(raw(*[(b"A", b"b")] * 3), limits), Refusal)
    assert isinstance(admit(raw((b"A", b"b" * 900)), limits), Refusal)
    assert isinstance(admit(raw(target=b"/" * 11), limits), Refusal)
    assert isinstance(admit(raw(field, (b"A", b"b"), target=b"/" * 10), limits), Admitted)


@pytest.mark.parametrize(
    ("said", "hops"), [(b"1", 1), (b"7", 7), (b"", 0), (b"-1", 0), (b"1" * 400, 0), (b"x", 0)]
)
def test_a_request_counts_the_relays_it_has_passed(said, hops):
    """All else that begins like a field of ours is taken off."""
    admitted = admit(raw((b"hookloop-hops", said), (b"Hookloop-Caught-At", b"1")))
    head = forwarded(admitted, peer="192.0.2.1", scheme="http", proxies=Proxies(())).head

    ours = [header for header in head.headers if header[0].lower().startswith(b"hookloop-")]
    assert ours == [(b"Hookloop-Hops", b"%d" % (hops + 1))]


def test_a_field_that_only_begins_like_a_claim_is_none():
    """It is the caller's own, and is passed on."""
    own = (b"Forwarded-Mail", b"1")

    assert own in admit(raw(own)).head.headers
