"""One exchange as a value: what both ends say of its bodies."""

import pytest

from hookloop.exchange import Exchange, RequestHead

EXCHANGE = Exchange(
    hop="agent",
    tunnel="shop",
    remote="192.0.2.7:50000",
    request=RequestHead(b"POST", b"/", ()),
    response=None,
    request_body_bytes=2,
    response_body_bytes=0,
    started=1.0,
    responded=None,
    ended=1.5,
    failure=None,
    request_digest=b"a",
)


@pytest.mark.parametrize(
    ("told", "is_exact"), [(b"a", True), (b"b", False), (b"", None)], ids=["same", "other", "none"]
)
def test_a_body_is_exact_where_both_ends_say_the_same(told, is_exact):
    """And nobody claims what the other side did not say."""
    assert EXCHANGE._replace(request_digest_told=told).is_exact is is_exact


def test_one_body_that_differs_is_enough():
    """Of the two that an exchange has."""
    exchange = EXCHANGE._replace(
        request_digest_told=b"a", response_digest=b"c", response_digest_told=b"d"
    )

    assert exchange.is_exact is False
