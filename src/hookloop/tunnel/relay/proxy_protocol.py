"""
The PROXY protocol, versions 1 and 2: a load balancer says whose connection it passes on. Pure.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from hookloop.errors import ProtocolError

__all__ = ["HEADER_BYTES_MAX", "ProxyHeader", "read_proxy_header"]

HEADER_BYTES_MAX = 16 + 2048  # of version 2: addresses take 36 bytes, a certificate's name hundreds
_LINE_BYTES_MAX = 107  # of version 1, as its section 2.1 says
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LINE = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ([0-9]{1,5}) ([0-9]{1,5})")
_HEAD = struct.Struct("!12sBBH")
_ADDRESSES = {0x11: struct.Struct("!4s4sHH"), 0x21: struct.Struct("!16s16sHH")}
_LOCAL, _PROXY = 0x20, 0x21


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a connection began with."""

    source: tuple[str, int] | None
    """The caller's address and port; None: it is the proxy's own connection, as a health check."""
    rest: bytes
    """What came behind it."""


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """
    Return the header that *data* begins with, or None while it is not complete.

    Raises `ProtocolError` if it does not begin with one.
    """
    if data[: len(_SIGNATURE)] == _SIGNATURE:
        return _version_2(data)
    if data[:6] == b"PROXY ":
        return _version_1(data)
    if _SIGNATURE.startswith(data) or b"PROXY ".startswith(data):
        return None
    raise ProtocolError("the connection does not begin with a PROXY header")


def _version_1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _LINE_BYTES_MAX)
    if end < 0:
        if len(data) >= _LINE_BYTES_MAX:
            raise ProtocolError("the PROXY line has no end")
        return None
    line, rest = data[:end], data[end + 2 :]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(None, rest)
    match = _LINE.fullmatch(line)
    if match is None:
        raise ProtocolError("the PROXY line cannot be read")
    source, port = _address(match[2].decode(), int(match[1])), int(match[4])
    _address(match[3].decode(), int(match[1]))
    if port > 65535 or int(match[5]) > 65535:
        raise ProtocolError("the PROXY line has a port over 65535")
    return ProxyHeader((source, port), rest)


def _version_2(data: bytes) -> ProxyHeader | None:
    if len(data) < _HEAD.size:
        return None
    _, command, family, length = _HEAD.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise ProtocolError("the PROXY header is of a version or command that is not known")
    if _HEAD.size + length > HEADER_BYTES_MAX:
        raise ProtocolError("the PROXY header is too long")
    if len(data) < _HEAD.size + length:
        return None
    rest = data[_HEAD.size + length :]
    addresses = _ADDRESSES.get(family)
    if command == _LOCAL or addresses is None:  # of a family that is no address of ours
        return ProxyHeader(None, rest)
    if length < addresses.size:
        raise ProtocolError("the PROXY header is too short for its addresses")
    source, _, port, _ = addresses.unpack_from(data, _HEAD.size)
    return ProxyHeader((str(ip_address(source)), port), rest)


def _address(text: str, version: int) -> str:
    kind = IPv4Address if version == 4 else IPv6Address
    try:
        return str(kind(text))
    except ValueError:
        raise ProtocolError("the PROXY line has an address that is none") from None
