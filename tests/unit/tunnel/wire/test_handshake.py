"""How a session is asked for and granted."""

import httptools
import pytest

from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.wire.handshake import (
    SESSION_PATH,
    Carriage,
    accepts_version,
    bearer_token,
    carriage_of,
    grants,
    session_request,
    switching_protocols,
)


def request(*headers, target=SESSION_PATH):
    return RequestHead(b"GET", target, headers)


def test_the_agent_asks_as_the_page_says():
    """The bytes are those of section 1."""
    assert session_request("tun.example", "tok") == (
        b"GET /_hookloop/session HTTP/1.1\r\n"
        b"Host: tun.example\r\n"
        b"Connection: Upgrade\r\n"
        b"Authorization: Bearer tok\r\n"
        b"Upgrade: hookloop/1\r\n"
        b"\r\n"
    )


def test_the_relay_grants_as_the_page_says():
    """Frames follow right after this head."""
    assert switching_protocols(request((b"Upgrade", b"hookloop/1"))) == (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: hookloop/1\r\n\r\n"
    )


def test_an_http_parser_sees_an_upgrade():
    """An independent reader takes the request for what it is."""
    parser = httptools.HttpRequestParser(object())

    with pytest.raises(httptools.HttpParserUpgrade):
        parser.feed_data(session_request("tun.example", "tok"))


@pytest.mark.parametrize(
    "upgrade", [b"hookloop/1", b"hookloop/2, hookloop/1", b"websocket , HookLoop/1", b"hookloop/9"]
)
def test_an_agent_of_any_version_asks_for_a_session(upgrade):
    """A version we do not speak is answered as such, not as an unknown page."""
    assert carriage_of(request((b"Upgrade", upgrade))) is Carriage.UPGRADE


@pytest.mark.parametrize(
    "head",
    [
        request(),
        request((b"Upgrade", b"websocket")),
        request((b"Upgrade", b"websocket"), (b"Sec-WebSocket-Protocol", b"chat, superhookloop.1")),
        request((b"Upgrade", b"h2c"), (b"Sec-WebSocket-Protocol", b"hookloop.1")),
        request((b"Upgrade", b"hookloop/1"), target=b"/"),
    ],
)
def test_anything_else_does_not(head):
    """The path and the protocol are both needed."""
    assert carriage_of(head) is None


@pytest.mark.parametrize(
    ("upgrade", "is_ours"),
    [
        (b"hookloop/1", True),
        (b"hookloop/2, hookloop/1", True),
        (b"hookloop/10", False),
        (b"hookloop/2", False),
    ],
)
def test_only_our_version_is_accepted(upgrade, is_ours):
    """The same question is put to an offer and to a grant."""
    granted = ResponseHead(101, b"", ((b"upgrade", upgrade),))

    assert accepts_version(request((b"Upgrade", upgrade))) is is_ours
    assert grants(granted) is is_ours


def test_an_answer_without_upgrade_grants_nothing():
    """A 101 that names no protocol is not ours."""
    assert not grants(ResponseHead(101, b"", ()))


# --- inside WebSocket ---------------------------------------------------------------------

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455 section 1.3, and its answer
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def websocket(**changes):
    fields = {
        b"Upgrade": b"websocket",
        b"Sec-WebSocket-Version": b"13",
        b"Sec-WebSocket-Key": KEY,
        b"Sec-WebSocket-Protocol": b"hookloop.1",
    }
    fields |= {name.encode(): value for name, value in changes.items()}
    return request(*fields.items())


def test_the_agent_asks_for_websocket_as_the_page_says():
    """The token travels where it always does."""
    assert session_request("tun.example", "tok", websocket_key=KEY) == (
        b"GET /_hookloop/session HTTP/1.1\r\n"
        b"Host: tun.example\r\n"
        b"Connection: Upgrade\r\n"
        b"Authorization: Bearer tok\r\n"
        b"Upgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: hookloop.1\r\n"
        b"\r\n"
    )


def test_the_relay_grants_websocket_as_the_rfc_says():
    """With the answer of its example."""
    assert carriage_of(websocket()) is Carriage.WEBSOCKET
    assert accepts_version(websocket())
    assert switching_protocols(websocket()) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Connection: Upgrade\r\n"
        b"Upgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: hookloop.1\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec-WebSocket-Version": b"8"},
        {"Sec-WebSocket-Key": b""},
        {"Sec-WebSocket-Protocol": b"hookloop.2"},
    ],
)
def test_a_websocket_that_is_not_ours_is_an_agent_of_another_version(changes):
    """It is told what is spoken here."""
    assert carriage_of(websocket(**changes)) is Carriage.WEBSOCKET
    assert not accepts_version(websocket(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {b"Upgrade": b"hookloop/1"},
        {b"Sec-WebSocket-Accept": b"other"},
        {b"Sec-WebSocket-Protocol": b"chat"},
        {b"Sec-WebSocket-Protocol": None},
    ],
)
def test_a_websocket_that_grants_something_else_is_no_session(changes):
    """A cache, or a server that says yes to anything."""
    fields = {
        b"Upgrade": b"websocket",
        b"Sec-WebSocket-Accept": ACCEPT,
        b"Sec-WebSocket-Protocol": b"hookloop.1",
    }
    sound = ResponseHead(101, b"", tuple(fields.items()))
    changed = {name: value for name, value in (fields | changes).items() if value is not None}

    assert grants(sound, websocket_key=KEY)
    assert not grants(ResponseHead(101, b"", tuple(changed.items())), websocket_key=KEY)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer tok", "tok"),
        (b"bearer  tok ", "tok"),
        (b"Bearer t\xff", "t\xff"),
        (b"Basic tok", None),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearer   ", None),
        (b"", None),
    ],
)
def test_the_token_is_read_from_the_bearer_scheme(value, token):
    """No token and an empty one are the same."""
    assert bearer_token(request((b"Authorization", value))) == token


def test_no_authorization_is_no_token():
    """The field may be missing."""
    assert bearer_token(request()) is None
