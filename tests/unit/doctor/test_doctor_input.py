"""Secrets and messages as users write them down."""

import pytest

from hookloop.doctor import parse_secrets, read_request, read_response
from hookloop.errors import ConfigError


def test_secrets_have_labels_or_get_one():
    """label=whsec_..., and whsec_... by itself."""
    assert parse_secrets(["live=whsec_a", "whsec_b", "whsec_c"]) == {
        "live": "whsec_a",
        "secret": "whsec_b",
        "secret-3": "whsec_c",
    }


@pytest.mark.parametrize("text", ["whsec_YWJj=", "whsec_YQ==", "d2hzZWNfYQ==", '"whsec_YQ=="'])
def test_padding_is_no_label(text: str):
    """Half of a secret must not become what is printed."""
    assert parse_secrets([text]) == {"secret": text}


def test_what_surrounds_a_secret_is_kept():
    """It may be the fault."""
    assert parse_secrets(['live="whsec_a"\n']) == {"live": '"whsec_a"\n'}


@pytest.mark.parametrize(
    "given", [[""], ["a=whsec_1", "a=whsec_2"], [f"l{n}=whsec_{n}" for n in range(17)]]
)
def test_what_cannot_be_meant_is_refused(given: list[str]):
    """Nothing, one label twice, or too many."""
    with pytest.raises(ConfigError):
        parse_secrets(given)


def test_a_request_is_read_with_its_head():
    """The body is every byte behind the blank line."""
    saved = read_request(b"POST /hook?a=1 HTTP/1.1\r\nHost: x\r\nA:  b \r\n\r\n{}\r\n")

    assert (saved.method, saved.url) == ("POST", "/hook?a=1")
    assert saved.headers == (("Host", "x"), ("A", "b"))
    assert saved.body == b"{}\r\n"


def test_a_request_line_may_be_missing():
    """Logs often hold headers and body only, and line feeds only."""
    saved = read_request(b"Stripe-Signature: t=1,v1=2\n\n{}")

    assert (saved.method, saved.headers) == ("POST", (("Stripe-Signature", "t=1,v1=2"),))
    assert saved.body == b"{}"


def test_chunks_are_put_together():
    """As they came off the wire."""
    saved = read_request(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    )

    assert saved.body == b"abcde"


@pytest.mark.parametrize("body", [b"{}", b"5\r\nab", b"zz\r\nab\r\n0\r\n\r\n", b""])
def test_what_only_says_that_it_is_chunked_is_taken_as_it_is(body: bytes):
    """Most tools save the body decoded and the header nonetheless."""
    saved = read_request(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    assert saved.body == body


@pytest.mark.parametrize("message", [b"", b"\n\n", b"hello world\n\n", b"{}"])
def test_what_is_no_request_is_refused(message: bytes):
    """With a sentence on what a request looks like."""
    with pytest.raises(ConfigError):
        read_request(message)


def test_an_answer_is_read_with_its_head():
    """The status line, headers, and how the body begins."""
    answer = read_response(b"HTTP/1.1 301 Moved Permanently\r\nLocation: /a/\r\n\r\nbye")

    assert (answer.status, answer.headers, answer.excerpt) == (301, (("Location", "/a/"),), "bye")


def test_an_answer_without_a_status_is_refused():
    """The file is another one."""
    with pytest.raises(ConfigError):
        read_response(b"POST / HTTP/1.1\r\n\r\n")
