"""
The PROXY header: tells a service whose connection it is, before the first byte of it.

The versions 1 and 2 of HAProxy's protocol. Pure.
"""

import struct
from ipaddress import ip_address

from hookloop.errors import ConfigError

__all__ = ["VERSIONS", "proxy_header"]

VERSIONS = ("v1", "v2")
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY = 0x21  # version 2, on behalf of somebody
_TCP4, _TCP6, _UNSPECIFIED = 0x11, 0x21, 0x00
_AUTHORITY = 0x02  # the type of the extension that holds the server name
PORT_MAX = 65535


def proxy_header(version: str, remote: str, *, port: int, server_name: str = "") -> bytes:
    """
    Return the header for a caller at *remote*, ``host:port``, that came to the public *port*.

    The relay's address is not known here, and stands as the unspecified one.
    """
    if version not in VERSIONS:
        raise ConfigError(f"{version!r} is no version of the PROXY protocol: use v1 or v2")
    host, _, remote_port = remote.rpartition(":")
    try:
        address = ip_address(host.partition("%")[0])
        caller_port = int(remote_port)
    except ValueError:
        return _unknown(version)
    if not 0 <= caller_port <= PORT_MAX:
        return _unknown(version)
    is_v4 = address.version == 4
    if version == "v1":
        kind, here = ("TCP4", "0.0.0.0") if is_v4 else ("TCP6", "::")  # noqa: S104  # said, not bound
        return f"PROXY {kind} {address} {here} {caller_port} {port}\r\n".encode()
    here_packed = bytes(len(address.packed))
    body = address.packed + here_packed + struct.pack("!HH", caller_port, port)
    if server_name:
        name = server_name.encode()
        body += struct.pack("!BH", _AUTHORITY, len(name)) + name
    return _v2(_TCP4 if is_v4 else _TCP6, body)


def _unknown(version: str) -> bytes:
    return b"PROXY UNKNOWN\r\n" if version == "v1" else _v2(_UNSPECIFIED, b"")


def _v2(kind: int, body: bytes) -> bytes:
    return _SIGNATURE + struct.pack("!BBH", _PROXY, kind, len(body)) + body
