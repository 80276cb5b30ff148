"""How an answer is framed for a caller."""

import pytest

from hookloop.errors import ProtocolError
from hookloop.exchange import ResponseHead
from hookloop.tunnel.relay.response import ResponseWriter


def writer(method=b"GET", *, version="1.1", keep_alive=True):
    return ResponseWriter(method=method, version=version, keep_alive=keep_alive)


def head(*headers, status=200, reason=b"OK"):
    return ResponseHead(status, reason, headers)


def whole(out, answer, *bodies, trailers=()):
    """Return all bytes of one response."""
    written = out.head(answer)
    for body in bodies:
        written += b"".join(out.data(body))
    return written + out.end(trailers)


LENGTH = (b"Content-Length", b"2")
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("out", "answer", "bodies", "expected"),
    [
        (writer(), head(LENGTH), (b"hi",), SIZED + b"hi"),
        (
            writer(),
            head(LENGTH),
            (b"h", b"", b"i"),
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (writer(), head(), (b"hi", b"", b"!"), CHUNKS + b"2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"),
        (writer(), head(), (), CHUNKS + b"0\r\n\r\n"),
        (writer(b"HEAD"), head(LENGTH), (), SIZED),
        (writer(b"HEAD"), head(), (b"ignored",), b"HTTP/1.1 200 OK\r\n\r\n"),
        (
            writer(),
            head(LENGTH, status=304, reason=b"Not Modified"),
            (),
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
        ),
        (
            writer(),
            head(LENGTH, status=204, reason=b""),
            (b"ignored",),
            b"HTTP/1.1 204 \r\n\r\n",
        ),
        (
            writer(keep_alive=False),
            head(LENGTH),
            (b"hi",),
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        ),
        (
            writer(version="1.0"),
            head(LENGTH),
            (b"hi",),
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
        ),
        (
            writer(version="1.0"),
            head(),
            (b"hi",),
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi",
        ),
    ],
)
def test_an_answer_is_framed_for_its_caller(out, answer, bodies, expected):
    """By the method, the version, the status and what is known of the length."""
    assert whole(out, answer, *bodies) == expected


def test_order_case_and_duplicates_are_kept():
    """Set-Cookie is never joined."""
    headers = ((b"b", b"1"), (b"Set-Cookie", b"a"), (b"A", b"\xe9"), (b"set-cookie", b"b"), LENGTH)

    written = writer().head(head(*headers))

    assert written.split(b"\r\n")[1:-2] == [b"%b: %b" % header for header in headers]


def test_what_belongs_to_another_connection_or_to_us_is_dropped():
    """From heads, interim heads and trailers."""
    odd = (
        (b"Transfer-Encoding", b"x"),
        (b"connection", b"y"),
        (b"Y", b"1"),
        (b"hookloop-error", b"z"),
    )
    out = writer()

    written = out.interim(head(*odd, LENGTH, status=103, reason=b"E"))
    written += whole(out, head(*odd), trailers=(*odd, (b"Set-Cookie", b"a"), (b"T", b"1")))

    assert written == b"HTTP/1.1 103 E\r\n\r\n" + CHUNKS + b"0\r\nT: 1\r\n\r\n"


def test_our_own_answers_keep_our_own_fields():
    """And what belongs to this very connection, as the Upgrade of a 426."""
    fields = ((b"Hookloop-Error", b"x"), (b"Upgrade", b"y"), (b"Content-Length", b"0"))

    written = writer().head(head(*fields), is_own=True)

    assert written.count(b"\r\n") == 5


def test_http_1_0_knows_no_interim_answers():
    """It would take them for the answer."""
    assert writer(version="1.0").interim(head(status=103)) == b""


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"+1", b"1,1", b"1" * 19])
def test_a_length_that_is_none_is_refused(value):
    """Also where no body follows: the caller would read it."""
    for method in (b"GET", b"HEAD"):
        with pytest.raises(ProtocolError):
            writer(method).head(head((b"content-length", value)))


def test_two_lengths_are_refused():
    """Equal ones too."""
    with pytest.raises(ProtocolError):
        writer().head(head(LENGTH, LENGTH))


def test_a_body_longer_than_its_length_is_refused_before_it_is_written():
    """Its surplus would be the next answer."""
    out = writer()
    out.head(head(LENGTH))

    with pytest.raises(ProtocolError, match="longer"):
        out.data(b"hi!")


def test_a_body_shorter_than_its_length_has_no_end():
    """The caller must not take it for whole."""
    out = writer()
    out.head(head(LENGTH))
    out.data(b"h")

    with pytest.raises(ProtocolError, match="shorter"):
        out.end()


@pytest.mark.parametrize(
    ("version", "headers", "is_visible"),
    [("1.1", (), True), ("1.1", (LENGTH,), True), ("1.0", (LENGTH,), True), ("1.0", (), False)],
)
def test_a_cut_shows_where_the_framing_has_an_end(version, headers, is_visible):
    """Where only the end of the connection ends a body, a cut must look different."""
    out = writer(version=version)
    out.head(head(*headers))

    assert out.is_cut_visible is is_visible
