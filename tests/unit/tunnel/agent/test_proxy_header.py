"""The PROXY header, held against the text of HAProxy's specification."""

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.agent.proxy_header import proxy_header

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def test_version_1_is_a_line():
    """Family, caller, here, the caller's port, ours."""
    line = proxy_header("v1", "192.0.2.7:51000", port=20001)
    assert line == b"PROXY TCP4 192.0.2.7 0.0.0.0 51000 20001\r\n"

    line = proxy_header("v1", "2001:db8::7:51000", port=443)
    assert line == b"PROXY TCP6 2001:db8::7 :: 51000 443\r\n"


def test_version_2_is_binary():
    """The same, packed."""
    header = proxy_header("v2", "192.0.2.7:51000", port=20001)

    assert header == SIGNATURE + bytes.fromhex("2111000c c0000207 00000000 c738 4e21")


def test_version_2_says_the_server_name():
    """What the caller's TLS asked for, as extension 2."""
    header = proxy_header("v2", "2001:db8::7:51000", port=443, server_name="shop.tun.example")

    assert header[:16] == SIGNATURE + bytes.fromhex("2121 0037")
    assert header[16 + 36 :] == b"\x02\x00\x10shop.tun.example"
    assert len(header) == 16 + 0x37


@pytest.mark.parametrize("remote", ["unknown:0", "", "192.0.2.7", "192.0.2.7:x", "1.2.3.4:99999"])
def test_an_address_that_is_none_is_unknown(remote):
    """The relay may not know it either."""
    assert proxy_header("v1", remote, port=1) == b"PROXY UNKNOWN\r\n"
    assert proxy_header("v2", remote, port=1) == SIGNATURE + bytes.fromhex("21000000")


def test_there_are_two_versions():
    """As `--proxy-protocol` says."""
    with pytest.raises(ConfigError, match="use v1 or v2"):
        proxy_header("v3", "192.0.2.7:1", port=1)
