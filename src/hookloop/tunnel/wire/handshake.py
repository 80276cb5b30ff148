"""How a session opens: an HTTP/1.1 Upgrade on the relay's public port. SPEC.md section 1."""

import base64
import hashlib
from enum import Enum

from hookloop.exchange import Headers, RequestHead, ResponseHead

__all__ = [
    "DATA_PATH",
    "SESSION_PATH",
    "VERSION",
    "Carriage",
    "accepts_version",
    "bearer_token",
    "carriage_of",
    "grants",
    "session_request",
    "switching_protocols",
]

SESSION_PATH = b"/_hookloop/session"
DATA_PATH = b"/_hookloop/data"
VERSION = b"hookloop/1"
SUBPROTOCOL = b"hookloop.1"
_WEBSOCKET_VERSION = b"13"
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


class Carriage(Enum):
    """How the frames of a session travel once HTTP is left."""

    UPGRADE = "upgrade"
    """As they are."""
    WEBSOCKET = "websocket"
    """Inside binary messages: for proxies that pass no other upgrade."""


def session_request(
    host: str, token: str, *, path: bytes = SESSION_PATH, websocket_key: bytes = b""
) -> bytes:
    """
    Return the bytes an agent sends first, for a session or, with its ticket, for a lane.

    With a *websocket_key* (16 random bytes in base64) it asks for that carriage.
    """
    lines = [
        b"GET %b HTTP/1.1" % path,
        b"Host: %b" % host.encode(),
        b"Connection: Upgrade",
        b"Authorization: Bearer %b" % token.encode(),
    ]
    if websocket_key:
        lines += (
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: " + _WEBSOCKET_VERSION,
            b"Sec-WebSocket-Key: " + websocket_key,
            b"Sec-WebSocket-Protocol: " + SUBPROTOCOL,
        )
    else:
        lines.append(b"Upgrade: " + VERSION)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def switching_protocols(upgrade: RequestHead) -> bytes:
    """Return the relay's yes to a request that `accepts_version`; frames follow at once."""
    fields: Headers = ((b"Upgrade", VERSION),)
    if carriage_of(upgrade) is Carriage.WEBSOCKET:
        key = upgrade.get(b"sec-websocket-key") or b""
        fields = (
            (b"Upgrade", b"websocket"),
            (b"Sec-WebSocket-Accept", _accept(key)),
            (b"Sec-WebSocket-Protocol", SUBPROTOCOL),
        )
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade"]
    lines += [name + b": " + value for name, value in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def carriage_of(upgrade: RequestHead) -> Carriage | None:
    """Say which carriage an agent, of whatever version, asks for; None if it is no agent."""
    if upgrade.target not in (SESSION_PATH, DATA_PATH):
        return None
    offers = _listed(upgrade, b"upgrade")
    if any(offer.startswith(b"hookloop/") for offer in offers):
        return Carriage.UPGRADE
    spoken = _listed(upgrade, b"sec-websocket-protocol")
    if b"websocket" in offers and any(offer.startswith(b"hookloop.") for offer in spoken):
        return Carriage.WEBSOCKET
    return None


def accepts_version(upgrade: RequestHead) -> bool:
    """Say whether an agent's request offers the version we speak, by either carriage."""
    if carriage_of(upgrade) is Carriage.WEBSOCKET:
        is_whole = upgrade.get(b"sec-websocket-version") == _WEBSOCKET_VERSION
        has_key = bool(upgrade.get(b"sec-websocket-key"))
        return is_whole and has_key and SUBPROTOCOL in _listed(upgrade, b"sec-websocket-protocol")
    return VERSION in _listed(upgrade, b"upgrade")


def grants(head: ResponseHead, *, websocket_key: bytes = b"") -> bool:
    """Say whether a 101 grants what `session_request` asked for with the same arguments."""
    if not websocket_key:
        return VERSION in _listed(head, b"upgrade")
    return (
        _listed(head, b"upgrade") == [b"websocket"]
        and head.get(b"sec-websocket-accept") == _accept(websocket_key)
        and head.get(b"sec-websocket-protocol") == SUBPROTOCOL
    )


def bearer_token(head: RequestHead) -> str | None:
    """Return the token of the Authorization field, or None."""
    scheme, _, token = (head.get(b"authorization") or b"").partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        return None
    return token.decode("latin-1")


def _accept(key: bytes) -> bytes:
    digest = hashlib.sha1(key + _WEBSOCKET_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest)


def _listed(head: RequestHead | ResponseHead, name: bytes) -> list[bytes]:
    offers = (head.get(name) or b"").split(b",")
    return [offer.strip().lower() for offer in offers]
