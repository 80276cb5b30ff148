"""What is read of a caller's first message, by the ClientHellos that Python's own TLS makes."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.tunnel.relay.client_hello import (
    CLIENT_HELLO_BYTES_MAX,
    ClientHello,
    NotTls,
    read_client_hello,
)


def hello_for(server_name: str | None) -> bytes:
    """Return what a real client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


HELLO = hello_for("Shop.tun.example")


def in_records(message: bytes, size: int) -> bytes:
    """Spread a handshake message over records of *size* bytes."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)


def test_the_server_name_is_read_in_lower_case():
    """As names are compared."""
    assert read_client_hello(HELLO) == ClientHello("shop.tun.example")


def test_a_caller_may_name_no_server():
    """As one that connects to an address."""
    assert read_client_hello(hello_for(None)) == ClientHello(None)
    assert read_client_hello(hello_for("127.0.0.1")) == ClientHello(None)


@given(st.integers(0, len(HELLO) - 1))
def test_a_hello_that_has_not_all_come_needs_more(length):
    """And is never taken for something else."""
    assert read_client_hello(HELLO[:length]) is None


@given(st.integers(1, 600))
def test_a_hello_may_be_spread_over_records(size):
    """RFC 8446 section 5.1 allows it, and large ones are."""
    assert read_client_hello(in_records(HELLO[5:], size)) == ClientHello("shop.tun.example")


def test_what_comes_after_it_does_not_matter():
    """Some clients send more in the same packet."""
    assert read_client_hello(HELLO + b"\x14\x03\x03\x00\x01\x01") == ClientHello("shop.tun.example")


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\n", b"P", b"OPTIONS"])
def test_plain_http_is_told_apart(request_):
    """It deserves an answer it can read."""
    assert read_client_hello(request_) is NotTls.HTTP


@pytest.mark.parametrize("data", [b"\0", b"\x80\x2e\x01\x00\x02", b"ssh-2.0", b"\xff" * 50])
def test_anything_else_is_not_tls(data):
    """SSL 2 among it."""
    assert read_client_hello(data) is NotTls.OTHER


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x02\x00\x00\x05hello",  # another protocol version
        b"\x16\x03\x01\x00\x00",  # an empty record: one could send them for ever
        b"\x16\x03\x01\x40\x01",  # a record over the limit
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",  # a ServerHello
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",  # a message that would never end
        b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",  # too short to be one
        HELLO[:5] + b"\x01" + HELLO[6:9] + b"\xff" * (len(HELLO) - 9),  # lengths past the end
    ],
)
def test_a_broken_hello_is_refused(data):
    """At once, not after a timeout."""
    assert read_client_hello(data) is NotTls.BROKEN


def test_a_hello_that_goes_on_and_on_is_refused():
    """In records of one byte it would be five times its limit."""
    message = b"\x01" + CLIENT_HELLO_BYTES_MAX.to_bytes(3) + b"\0" * CLIENT_HELLO_BYTES_MAX

    assert read_client_hello(in_records(message, 1)) is NotTls.BROKEN


@given(st.binary(max_size=300), st.integers(0, len(HELLO)))
def test_any_bytes_are_judged_without_an_error(noise, at):
    """From the first byte, or from the middle of a real one on."""
    for data in (noise, b"\x16\x03\x01" + noise, HELLO[:at] + noise):
        verdict = read_client_hello(data)
        assert verdict is None or isinstance(verdict, ClientHello | NotTls)
