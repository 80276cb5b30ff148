"""What a policy may say."""

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.agent.policy import (
    FIELDS_MAX,
    Policy,
    parse_credential,
    parse_field,
    parse_field_name,
    parse_network,
)


def test_a_field_is_a_name_and_a_value():
    """As in a request; the value is passed on in latin-1, as HTTP has it."""
    assert parse_field("X-Team: payments") == (b"X-Team", b"payments")
    assert parse_field("X-Empty:") == (b"X-Empty", b"")
    assert parse_field("X-Colon: a:b") == (b"X-Colon", b"a:b")
    assert parse_field("X-Name: Zo\u00eb") == (b"X-Name", b"Zo\xeb")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("X-Team", "no colon"),
        (": x", "no name"),
        ("a b: x", "no name"),
        ("X: a\r\nY: b", "no header field can carry"),
        ("X: \u0151", "no header field can carry"),
        ("X: " + "a" * 9000, "over 8192"),
        ("Content-Length: 3", "framed"),
        ("transfer-encoding: chunked", "framed"),
        ("Connection: close", "framed"),
        ("Host: x", "--host-header"),
    ],
)
def test_what_is_no_field_or_frames_the_message_is_refused(text, words):
    """A request of another length than it says is how requests are smuggled."""
    with pytest.raises(ConfigError, match=words):
        parse_field(text)


def test_a_removed_field_is_named_in_any_case():
    """And never one that frames."""
    assert parse_field_name("X-Powered-By") == b"x-powered-by"
    with pytest.raises(ConfigError, match="framed"):
        parse_field_name("Trailer")


@pytest.mark.parametrize("text", ["x", "a:", "ada:short", ":longenough"])
def test_a_credential_has_a_user_and_a_long_password(text):
    """Nobody counts the tries at a public address."""
    with pytest.raises(ConfigError) as refused:
        parse_credential(text)

    assert "short" not in str(refused.value)


def test_a_credential_is_not_printed():
    """Not even as a digest, which could be tried offline."""
    credential = parse_credential("ada:correct:horse")

    assert repr(credential) == "Credential(user='ada')"


def test_a_network_is_an_address_or_a_range():
    """Bits of the host are no fault: people paste their own address."""
    assert str(parse_network("203.0.113.9/24")) == "203.0.113.0/24"
    assert str(parse_network(" 203.0.113.9 ")) == "203.0.113.9/32"
    assert str(parse_network("2001:db8::1/64")) == "2001:db8::/64"
    with pytest.raises(ConfigError, match="no network"):
        parse_network("localhost")


@pytest.mark.parametrize(
    "settings",
    [
        {"host_header": "a b"},
        {"host_header": ""},
        {"host_header": "shop.test/path"},
        {"origin": "https://x"},
        {"request_add": ((b"X", b"1"),) * (FIELDS_MAX + 1)},
    ],
)
def test_what_cannot_work_is_refused(settings):
    """At the start, not at the first request."""
    with pytest.raises(ConfigError):
        Policy(**settings)
