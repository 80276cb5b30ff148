"""What a payload says, and what it may not say."""

import json
from contextlib import suppress
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.errors import LocalError, ProtocolError
from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.wire.messages import (
    FIELDS_BYTES_MAX,
    FIELDS_MAX,
    Bind,
    Bound,
    CatchWish,
    Goaway,
    Hello,
    Refused,
    Request,
    ResetCode,
    Unbind,
    decode_credit,
    decode_reset,
    decode_response,
    decode_trailers,
    encode_credit,
    encode_reset,
    encode_response,
    encode_trailers,
)

HELLO = Hello("id", "hookloop/0.1", stream_credit=16384, session_credit=2**31 - 1, streams_max=1)
JSON_MESSAGES = [
    HELLO,
    Bind(0, "shop"),
    Bind(2**31 - 1, None, protocol="tcp"),
    Bind(1, ""),
    Bind(1, "shop", catch=CatchWish(202, ("/hooks/*", "/stripe"))),
    Bound(7, "shop", "https://shop.tun.example"),
    Refused(7, "name_taken", "someone else has it"),
    Unbind("shop"),
    Goaway("shutdown", ""),
]

NAMES = st.from_regex(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", fullmatch=True)
VALUES = st.binary(max_size=30).map(lambda v: bytes(b for b in v if b not in b"\0\r\n"))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8).map(tuple)
TARGETS = st.from_regex(rb"/[\x21-\x7e]*", fullmatch=True)
REQUESTS = st.builds(
    Request,
    tunnel=st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True),
    remote=st.sampled_from(["192.0.2.1:1", "[2001:db8::1]:65535", ""]),
    head=st.builds(RequestHead, method=NAMES, target=TARGETS, headers=FIELDS),
)
RESPONSES = st.builds(
    ResponseHead,
    status=st.integers(100, 599),
    reason=VALUES,
    headers=FIELDS,
)
ANY_FIELDS = st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4)), max_size=3)
ANY_REQUESTS = st.builds(
    Request,
    tunnel=st.text(max_size=4),
    remote=st.text(max_size=4),
    head=st.builds(
        RequestHead,
        method=st.binary(max_size=4),
        target=st.binary(max_size=4),
        headers=ANY_FIELDS.map(tuple),
    ),
)
ANY_RESPONSES = st.builds(
    ResponseHead,
    status=st.integers(-1, 1000),
    reason=st.binary(max_size=4),
    headers=ANY_FIELDS.map(tuple),
)


# --- JSON -------------------------------------------------------------------------------


@pytest.mark.parametrize("message", JSON_MESSAGES, ids=repr)
def test_a_json_message_comes_back_as_it_was(message):
    """What one side encodes the other decodes."""
    assert type(message).decode(message.encode()) == message


@pytest.mark.parametrize("message", JSON_MESSAGES, ids=repr)
def test_unknown_members_are_ignored(message):
    """A later version may say more."""
    members = asdict(message) | {"later": [1, {"a": None}]}

    assert type(message).decode(json.dumps(members).encode()) == message


@pytest.mark.parametrize("message", JSON_MESSAGES, ids=repr)
def test_every_member_is_needed(message):
    """None has a default, but what a BIND leaves to the relay."""
    left_out = {"name", "port", "catch"} if isinstance(message, Bind) else set()
    for key in asdict(message).keys() - left_out:
        members = {name: value for name, value in asdict(message).items() if name != key}
        with pytest.raises(ProtocolError, match=key):
            type(message).decode(json.dumps(members).encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b"1" * 5000,
        b"[" * 100_000,
        '{"name":"shop"}'.encode("utf-16"),
        '{"name":"shop"}'.encode("utf-8-sig"),
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_what_is_no_json_object_in_utf_8_is_refused(payload):
    """A payload is an object, and nothing else is read into it."""
    with pytest.raises(ProtocolError, match="UNBIND is not"):
        Unbind.decode(payload)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", ""),
        ("id", "x" * 65),
        ("id", 7),
        ("id", None),
        ("software", "a\nlog line of the attacker's own"),
        ("software", "\x1b[2J"),
        ("software", "\ud800"),
        ("software", "h\u043e\u043ekloop/1"),
        ("stream_credit", 16383),
        ("stream_credit", 2**31),
        ("session_credit", True),
        ("session_credit", 1e6),
        ("session_credit", "65536"),
        ("streams_max", 0),
        ("streams_max", 1_000_001),
    ],
)
def test_a_member_outside_its_limits_is_refused(key, value):
    """The message names the member."""
    payload = json.dumps(asdict(HELLO) | {key: value}).encode()

    with pytest.raises(ProtocolError, match=key):
        Hello.decode(payload)


def test_a_name_that_is_no_text_is_refused():
    """Whether it is a good name is for the relay to say in words; that it is a text is not."""
    with pytest.raises(ProtocolError, match="name"):
        Bind.decode(b'{"ref":1,"name":7,"protocol":"http"}')


@pytest.mark.parametrize(
    "wish",
    [
        [],
        "yes",
        {},
        {"status": 199},
        {"status": 300},
        {"status": "202"},
        {"status": 202, "paths": "/hooks"},
        {"status": 202, "paths": [7]},
        {"status": 202, "paths": ["/a\n"]},
        {"status": 202, "paths": ["/a"] * 33},
    ],
    ids=repr,
)
def test_a_wish_to_be_caught_for_is_whole_or_refused(wish):
    """What a relay would answer senders is no place for guesses."""
    members = {"ref": 1, "name": "shop", "protocol": "http", "catch": wish}

    with pytest.raises(ProtocolError, match=r"catch|status|paths"):
        Bind.decode(json.dumps(members).encode())


@pytest.mark.parametrize("message", [Refused(1, "bad_name", ""), Goaway("shutdown", "")])
def test_a_sentence_is_cut_and_cleaned_on_either_side(message):
    """A long or odd explanation is no protocol error, and is safe to print."""
    odd = {"message": "no\n\ud800" + "\U0001f511" * 2000}
    ours = type(message)(**asdict(message) | odd)

    from_us = type(message).decode(ours.encode())
    from_others = type(message).decode(json.dumps(asdict(message) | odd).encode())

    assert from_us.message == "no\ufffd\ufffd" + "\U0001f511" * 1020
    assert from_others == from_us


def test_a_sentence_that_is_no_text_is_refused():
    """It may be empty, and not missing."""
    with pytest.raises(ProtocolError, match="message"):
        Goaway.decode(b'{"code":"shutdown","message":null}')


# --- fields -----------------------------------------------------------------------------


@given(REQUESTS)
def test_a_request_comes_back_as_it_was(request):
    """Order, case and duplicates stay."""
    assert Request.decode(request.encode()) == request


@given(RESPONSES)
def test_a_response_comes_back_as_it_was(head):
    """An empty reason is a reason too."""
    assert decode_response(encode_response(head)) == head


@given(FIELDS)
def test_trailers_come_back_as_they_were(trailers):
    """None at all are an empty payload."""
    assert decode_trailers(encode_trailers(trailers)) == trailers


@given(st.one_of(ANY_REQUESTS, ANY_RESPONSES, ANY_FIELDS.map(tuple)))
def test_what_we_encode_is_never_a_protocol_error(head):
    """One odd head is an error of one stream here; at the other side it would end them all."""
    if isinstance(head, Request):
        encode, decode = Request.encode, Request.decode
    elif isinstance(head, ResponseHead):
        encode, decode = encode_response, decode_response
    else:
        encode, decode = encode_trailers, decode_trailers

    try:
        payload = encode(head)
    except LocalError:
        return

    assert decode(payload) == head


@pytest.mark.parametrize(
    ("method", "target", "tunnel", "headers"),
    [
        (b"", b"/", "shop", ()),
        (b"GE T", b"/", "shop", ()),
        (b"GET", b"", "shop", ()),
        (b"GET", b"/caf\xe9", "shop", ()),
        (b"GET", b"/a b", "shop", ()),
        (b"GET", b"/", "caf\xe9", ()),
        (b"GET", b"/", "shop", ((b"a\0b", b""),)),
        (b"GET", b"/", "shop", ((b"a", b"1\r\nb: 2"),)),
        (b"GET", b"/", "shop", ((b"a", b"1\nb: 2"),)),
        (b"GET", b"/", "shop", ((b"", b"1"),)),
        (b"GET", b"/", "shop", ((b"a ", b"1"),)),
        (b"GET", b"/", "shop", ((b"a", b"x" * FIELDS_BYTES_MAX),)),
        (b"GET", b"/", "shop", ((b"a", b"1"),) * (FIELDS_MAX + 1)),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_request_this_wire_cannot_carry_is_not_encoded(method, target, tunnel, headers):
    """It fails where it came from."""
    request = Request(tunnel, "192.0.2.1:1", RequestHead(method, target, headers))

    with pytest.raises(LocalError):
        request.encode()


def test_fields_may_reach_their_limits():
    """128 fields, 65,536 bytes: both at once."""
    headers = ((b"a", 509 * b"b"),) * (FIELDS_MAX - 1) + ((b"a", 510 * b"b"),)

    payload = encode_trailers(headers)

    assert len(payload) == FIELDS_BYTES_MAX
    assert decode_trailers(payload) == headers


@pytest.mark.parametrize("status", [99, 600, -1])
def test_a_status_this_wire_cannot_carry_is_not_encoded(status):
    """Three digits that HTTP gives a meaning."""
    with pytest.raises(LocalError, match=str(status)):
        encode_response(ResponseHead(status, b"", ()))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"shop\0remote\0GET",
        b"shop\0remote\0GET\0/\0name",
        b"shop\0remote\0G T\0/",
        b"shop\0remote\0GET\0/a b",
        b"shop\0remote\0GET\0",
        b"caf\xe9\0remote\0GET\0/",
        b"shop\0r\xe9mote\0GET\0/",
        b"shop\0remote\0GET\0/\0name\0a\rb",
        b"shop\0remote\0GET\0/\0name\0a\nb",
        b"shop\0remote\0GET\0/\0na me\0a",
        b"shop\0remote\0GET\0/\0\0a",
        b"shop\0remote\0GET\0/" + b"\0a\0" * (FIELDS_MAX + 1),
        b"shop\0remote\0GET\0/\0a\0" + b"x" * FIELDS_BYTES_MAX,
    ],
    ids=lambda payload: repr(payload[:40]),
)
def test_a_request_that_breaks_the_rules_is_refused(payload):
    """The other side is not trusted to have checked."""
    with pytest.raises(ProtocolError, match="REQUEST"):
        Request.decode(payload)


@pytest.mark.parametrize(
    "payload", [b"", b"200", b"20\0", b"2000\0", b"600\0", b"2\xb20\0", b"200\0OK\0a"]
)
def test_a_response_that_breaks_the_rules_is_refused(payload):
    """A status is three digits from 100 to 599."""
    with pytest.raises(ProtocolError, match="RESPONSE"):
        decode_response(payload)


@pytest.mark.parametrize("payload", [b"\0", b"name", b"name\0value\0", b"na\x01me\0value"])
def test_trailers_that_break_the_rules_are_refused(payload):
    """Names are tokens, and each has a value."""
    with pytest.raises(ProtocolError, match="TRAILERS"):
        decode_trailers(payload)


# --- numbers ----------------------------------------------------------------------------


@given(st.integers(1, 2**31 - 1))
def test_credit_comes_back_as_it_was(granted):
    """Four bytes, big-endian."""
    assert decode_credit(encode_credit(granted)) == granted


@pytest.mark.parametrize("payload", [b"", bytes(3), bytes(5), bytes(4), b"\x80\0\0\0"])
def test_credit_of_nothing_or_too_much_is_refused(payload):
    """A grant is 1 to 2^31-1 bytes."""
    with pytest.raises(ProtocolError, match="CREDIT"):
        decode_credit(payload)


@given(st.sampled_from(ResetCode), st.text(max_size=100))
def test_a_reset_comes_back_as_it_was(code, message):
    """What cannot be shown is replaced, the rest stays."""
    decoded = decode_reset(encode_reset(code, message))

    assert decoded == (code, "".join(c if c.isprintable() else "\ufffd" for c in message))


def test_an_unknown_reset_code_is_internal():
    """A later version may know more reasons."""
    assert decode_reset(b"\xff\xffwhy") == (ResetCode.INTERNAL, "why")


def test_a_long_message_is_cut_on_either_side():
    """Nobody holds more than 1,024 characters of it."""
    assert len(encode_reset(ResetCode.INTERNAL, "x" * 5000)) == 2 + 1024
    assert len(decode_reset(b"\0\1" + b"x" * 5000)[1]) == 1024


def test_a_message_from_outside_is_safe_to_print():
    """Broken UTF-8, line breaks and escape sequences are replaced."""
    assert decode_reset(b"\0\1a\xff\nb\x1b[2J")[1] == "a\ufffd\ufffdb\ufffd[2J"


@pytest.mark.parametrize("payload", [b"", b"\0"])
def test_a_reset_without_a_code_is_refused(payload):
    """The code is two bytes."""
    with pytest.raises(ProtocolError, match="RESET"):
        decode_reset(payload)


@given(st.binary(max_size=40))
def test_any_payload_is_a_message_or_a_protocol_error(payload):
    """No payload raises anything else."""
    for decode in (
        *(type(message).decode for message in JSON_MESSAGES),
        Request.decode,
        decode_response,
        decode_trailers,
        decode_credit,
        decode_reset,
    ):
        with suppress(ProtocolError):
            decode(payload)
