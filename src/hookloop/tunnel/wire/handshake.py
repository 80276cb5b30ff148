"""How a session opens: an HTTP/1.1 Upgrade on the relay's public port. SPEC.md section 1."""

from hookloop.exchange import RequestHead, ResponseHead

__all__ = [
    "SESSION_PATH",
    "VERSION",
    "accepts_version",
    "bearer_token",
    "is_session_request",
    "session_request",
    "switching_protocols",
]

SESSION_PATH = b"/_hookloop/session"
VERSION = b"hookloop/1"


def session_request(host: str, token: str) -> bytes:
    """Return the bytes an agent sends first."""
    lines = (
        b"GET %b HTTP/1.1" % SESSION_PATH,
        b"Host: %b" % host.encode(),
        b"Connection: Upgrade",
        b"Upgrade: %b" % VERSION,
        b"Authorization: Bearer %b" % token.encode(),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


def switching_protocols() -> bytes:
    """Return the relay's yes; frames follow at once."""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % VERSION
    )


def is_session_request(head: RequestHead) -> bool:
    """Say whether an agent, of whatever version, asks for a session."""
    return head.target == SESSION_PATH and any(
        protocol.startswith(b"hookloop/") for protocol in _offers(head)
    )


def accepts_version(head: RequestHead | ResponseHead) -> bool:
    """Say whether the Upgrade field offers, or grants, the version we speak."""
    return VERSION in _offers(head)


def bearer_token(head: RequestHead) -> str | None:
    """Return the token of the Authorization field, or None."""
    scheme, _, token = (head.get(b"authorization") or b"").partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        return None
    return token.decode("latin-1")


def _offers(head: RequestHead | ResponseHead) -> list[bytes]:
    offers = (head.get(b"upgrade") or b"").split(b",")
    return [offer.strip().lower() for offer in offers]
