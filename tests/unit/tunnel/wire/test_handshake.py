"""How a session is asked for and granted."""

import httptools
import pytest

from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.wire.handshake import (
    SESSION_PATH,
    accepts_version,
    bearer_token,
    is_session_request,
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
        b"Upgrade: hookloop/1\r\n"
        b"Authorization: Bearer tok\r\n"
        b"\r\n"
    )


def test_the_relay_grants_as_the_page_says():
    """Frames follow right after this head."""
    assert switching_protocols() == (
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
    assert is_session_request(request((b"Upgrade", upgrade)))


@pytest.mark.parametrize(
    "head",
    [
        request(),
        request((b"Upgrade", b"websocket")),
        request((b"Upgrade", b"hookloop/1"), target=b"/"),
    ],
)
def test_anything_else_does_not(head):
    """The path and the protocol are both needed."""
    assert not is_session_request(head)


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
    assert accepts_version(granted) is is_ours


def test_an_answer_without_upgrade_grants_nothing():
    """A 101 that names no protocol is not ours."""
    assert not accepts_version(ResponseHead(101, b"", ()))


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
