"""Raw streams: a caller's connection that nobody reads as HTTP. SPEC.md section 3.2."""

import re
from dataclasses import dataclass
from typing import Self

from hookloop.errors import LocalError, ProtocolError

__all__ = ["Connect"]

CONNECT_BYTES_MAX = 1024  # a tunnel's name, an address and a server name: 63, 48 and 253

# Each part stands in logs and addresses: printable ASCII, without a space.
_CONNECT = re.compile(rb"([\x21-\x7e]+)\0([\x21-\x7e]+)\0([\x21-\x7e]*)")


@dataclass(frozen=True, slots=True)
class Connect:
    """A caller connected to a tunnel that carries bytes: where, who, and whom it wanted."""

    tunnel: str
    remote: str
    """The caller's address as the relay saw it, ``host:port``."""
    server_name: str = ""
    """What the caller's TLS handshake asked for; empty where there is none."""

    def encode(self) -> bytes:
        """Raises `LocalError` for what this wire cannot carry."""
        parts = (self.tunnel, self.remote, self.server_name)
        payload = "\0".join(parts).encode("utf-8", "surrogatepass")
        if not _is_connect(payload):
            raise LocalError("a raw stream of a name or address that is not ASCII cannot be opened")
        return payload

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Raise `ProtocolError` for anything but a valid CONNECT."""
        if not _is_connect(payload):
            raise ProtocolError("CONNECT is not a tunnel, a remote and a server name")
        tunnel, remote, server_name = payload.decode("ascii").split("\0")
        return cls(tunnel, remote, server_name)


def _is_connect(payload: bytes) -> bool:
    return len(payload) <= CONNECT_BYTES_MAX and _CONNECT.fullmatch(payload) is not None
