"""The PROXY protocol: both versions, byte by byte, and nothing else."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.errors import ProtocolError
from hookloop.tunnel.relay.proxy_protocol import (
    HEADER_BYTES_MAX,
    ProxyHeader,
    read_proxy_header,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
REST = b"GET / HTTP/1.1\r\n"


def version_2(command=0x21, family=0x11, body=b""):
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


V4 = bytes([203, 0, 113, 9, 10, 0, 0, 1]) + struct.pack("!HH", 5555, 80)
V6 = bytes.fromhex("20010db8" + "0" * 23 + "1") + bytes(16) + struct.pack("!HH", 5555, 80)

GOOD = [
    (b"PROXY TCP4 203.0.113.9 10.0.0.1 5555 80\r\n", ("203.0.113.9", 5555)),
    (b"PROXY TCP6 2001:db8::1 ::1 5555 80\r\n", ("2001:db8::1", 5555)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    (version_2(body=V4), ("203.0.113.9", 5555)),
    (version_2(body=V4 + b"\x03\x00\x04abcd"), ("203.0.113.9", 5555)),
    (version_2(family=0x21, body=V6), ("2001:db8::1", 5555)),
    (version_2(command=0x20, family=0x00), None),
    (version_2(family=0x31, body=bytes(216)), None),
]


@pytest.mark.parametrize(("header", "source"), GOOD)
def test_a_header_says_who_calls(header, source):
    """What comes behind it is kept."""
    assert read_proxy_header(header + REST) == ProxyHeader(source, REST)


@pytest.mark.parametrize(("header", "_source"), GOOD)
def test_a_header_may_come_in_pieces(header, _source):
    """Nothing is said before its last byte."""
    assert {read_proxy_header(header[:length]) for length in range(len(header))} == {None}


@pytest.mark.parametrize(
    "data",
    [
        REST,
        b"PROXYTCP4",
        b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n",
        b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
        b"PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY " + b"x" * 101,
        b"\x16\x03\x01",
        version_2(command=0x11, body=V4),
        version_2(command=0x22, body=V4),
        version_2(body=V4[:-1]),
        version_2(family=0x21, body=V4),
        SIGNATURE + b"\x21\x11" + struct.pack("!H", HEADER_BYTES_MAX),
    ],
)
def test_what_is_no_header_is_refused(data):
    """A caller that reached the port without the proxy, or an attack."""
    with pytest.raises(ProtocolError):
        read_proxy_header(data)


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE]), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(start, data):
    """And nothing else is raised."""
    try:
        header = read_proxy_header(start + data)
    except ProtocolError:
        return
    assert header is None or data.endswith(header.rest)
