"""What the upstream is sent."""

import pytest

from hookloop.errors import ProtocolError
from hookloop.exchange import RequestHead
from hookloop.tunnel.agent.request_head import RequestWriter

HOST = (b"Host", b"shop.tun.test")
LENGTH = (b"Content-Length", b"2")
START = b"POST /a?b HTTP/1.1\r\nHost: shop.tun.test\r\n"


def writer(*headers, has_body=True):
    return RequestWriter(RequestHead(b"POST", b"/a?b", (HOST, *headers)), has_body=has_body)


def whole(out, *bodies, trailers=()):
    return out.head() + b"".join(b"".join(out.data(body)) for body in bodies) + out.end(trailers)


def test_nothing_is_added_to_a_request_of_known_length():
    """Order, case and duplicates are the caller's."""
    out = writer((b"x", b"1"), LENGTH, (b"X", b"\xe9"))

    written = whole(out, b"h", b"", b"i", trailers=((b"Dropped", b"1"),))

    assert written == START + b"x: 1\r\nContent-Length: 2\r\nX: \xe9\r\n\r\nhi"


def test_a_body_of_unknown_length_is_chunked():
    """With its trailers behind it."""
    written = whole(writer(), b"hi", b"", b"!", trailers=((b"T", b"1"),))

    chunks = b"2\r\nhi\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n"
    assert written == START + b"Transfer-Encoding: chunked\r\n\r\n" + chunks


@pytest.mark.parametrize("headers", [(), ((b"Content-Length", b"0"),)])
def test_a_request_without_a_body_ends_with_its_head(headers):
    """A length of zero stays: some upstreams want one."""
    written = whole(writer(*headers, has_body=False))

    assert written == START + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n"


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"2, 2", b"1" * 19, b"1" * 5000])
def test_a_length_that_is_none_is_refused(value):
    """Before anything of it reaches the upstream."""
    with pytest.raises(ProtocolError):
        writer((b"content-length", value))


def test_two_lengths_are_refused():
    """Equal ones too."""
    with pytest.raises(ProtocolError):
        writer(LENGTH, LENGTH)


def test_a_length_without_a_body_is_refused():
    """The upstream would take the next request for it."""
    with pytest.raises(ProtocolError, match="no body"):
        writer(LENGTH, has_body=False)


def test_a_body_longer_than_its_length_is_refused():
    """Its surplus would be the next request."""
    with pytest.raises(ProtocolError, match="longer"):
        whole(writer(LENGTH), b"hi!")


def test_a_body_shorter_than_its_length_has_no_end():
    """Half a webhook is no webhook."""
    with pytest.raises(ProtocolError, match="shorter"):
        whole(writer(LENGTH), b"h")


def test_data_without_a_body_is_refused():
    """There is no framing it could have."""
    with pytest.raises(ProtocolError):
        writer(has_body=False).data(b"x")
