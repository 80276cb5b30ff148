"""Answers, addresses, secrets and messages of an outbox: values in, values out."""

import base64

import pytest

from hookloop.errors import ConfigError
from hookloop.outbox.endpoint import (
    Endpoint,
    Secret,
    check_secret,
    headers_of,
    rotated,
    secret_from,
    wants,
)
from hookloop.outbox.guard import AddressGuard
from hookloop.outbox.judgement import (
    RETRY_AFTER_SECONDS_MAX,
    STANDARD_SCHEDULE,
    Delivered,
    Disable,
    GiveUp,
    Reply,
    TryAgain,
    judged,
)
from hookloop.outbox.message import BODY_BYTES_MAX, OutboxMessage, body_of

NOW = 1_700_000_000.0
SECRET = secret_from(bytes(32))


def judge(status, *, failures=0, holds=0, retry_after=None, dice=0.5):
    reply = Reply(status, "cut" if status is None else "", retry_after=retry_after)
    return judged(reply, STANDARD_SCHEDULE, failures=failures, holds=holds, now=NOW, dice=dice)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_delivers(status):
    assert isinstance(judge(status), Delivered)


@pytest.mark.parametrize("status", [None, 301, 307, 400, 404, 500, 503])
def test_everything_else_is_tried_again(status):
    assert isinstance(judge(status), TryAgain)


def test_waits_are_those_of_the_standard_and_shaken_by_a_fifth():
    assert [judge(500, failures=n).wait_seconds for n in range(9)] == [
        5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400,
    ]  # fmt: skip
    assert judge(500, dice=0.0).wait_seconds == 4.0
    assert judge(500, dice=1.0).wait_seconds == 6.0
    assert isinstance(judge(500, failures=9), GiveUp)


def test_410_disables():
    assert isinstance(judge(410), Disable)


@pytest.mark.parametrize("status", [429, 502, 504])
def test_an_overloaded_endpoint_is_held_longer_each_time(status):
    assert [judge(status, holds=n).seconds for n in (0, 1, 2, 20)] == [5, 10, 20, 3600]
    assert judge(status, holds=10_000).seconds == 3600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("315360000", RETRY_AFTER_SECONDS_MAX),  # ten years
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2000 22:14:20 GMT", 5.0),  # in the past
        ("-1", 5.0),
        ("soon", 5.0),
        ("9" * 400, 5.0),
        ("", 5.0),
    ],
)
def test_retry_after_is_believed_up_to_a_day(header, seconds):
    assert judge(503, retry_after=header).wait_seconds == seconds
    assert judge(429, retry_after=header).seconds == seconds


def test_an_endpoint_that_always_asks_for_a_second_is_not_believed_for_ever():
    assert judge(429, holds=0, retry_after="1").seconds == 1
    assert judge(429, holds=5, retry_after="1").seconds == 160


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
        "fc00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "::127.0.0.1", "nonsense",
    ],
)  # fmt: skip
def test_an_address_inside_is_refused_however_it_is_spelt(address):
    assert AddressGuard().refusal(address) is not None


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822"])
def test_a_public_address_is_not(address):
    assert AddressGuard().refusal(address) is None


def test_an_allowed_network_opens_itself_and_no_other():
    guard = AddressGuard(["10.1.0.0/16"])

    assert guard.refusal("10.1.2.3") is guard.refusal("::ffff:10.1.2.3") is None
    assert guard.refusal("10.2.0.1") is not None
    with pytest.raises(ConfigError):
        AddressGuard(["10.1.0.0/77"])


def test_an_endpoint_wants_its_account_and_its_types():
    endpoint = Endpoint("ep_1", "https://x", (), "acme", ("invoice.*", "a.b"))

    assert wants(endpoint, account="acme", type_="invoice.paid")
    assert wants(endpoint, account="acme", type_="a.b")
    assert not wants(endpoint, account="acme", type_="invoices.paid")
    assert not wants(endpoint, account="", type_="a.b")


def test_a_rotated_secret_signs_along_until_its_time():
    endpoint = Endpoint("ep_1", "https://x", (Secret(SECRET),))
    new = secret_from(b"n" * 32)
    rolled = rotated(endpoint, new, now=NOW, overlap_seconds=60)

    def signatures(now):
        return headers_of(rolled, b"{}", message_id="m", now=now)["webhook-signature"].split()

    assert len(signatures(NOW + 59)) == 2
    assert len(signatures(NOW + 61)) == 1
    for n in range(2):
        rolled = rotated(rolled, secret_from(bytes([n + 1]) * 32), now=NOW, overlap_seconds=60)
    with pytest.raises(ConfigError, match="4 secrets"):
        rotated(rolled, secret_from(b"z" * 32), now=NOW, overlap_seconds=60)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_" + base64.b64encode(b"short").decode(), "abc", "whsec_%%%"]
)
def test_a_secret_that_cannot_sign_is_refused_and_not_shown(secret):
    with pytest.raises(ConfigError) as caught:
        check_secret(secret)
    assert secret == "" or secret == "whsec_" or secret not in str(caught.value)


def test_what_cannot_be_sent_is_refused_when_it_is_appended():
    for bad in ({"type": ""}, {"type": "a b"}, {"type": "a", "id": "x.y"}, {"type": "a" * 201}):
        with pytest.raises(ConfigError):
            OutboxMessage(**bad)
    with pytest.raises(ConfigError, match="JSON"):
        body_of(OutboxMessage("a", {"x": object()}), now=NOW)
    with pytest.raises(ConfigError, match="most"):
        body_of(OutboxMessage("a", body=bytes(BODY_BYTES_MAX + 1)), now=NOW)
    assert body_of(OutboxMessage("a", {"n": 1}), now=NOW) == (
        b'{"type": "a", "timestamp": "2023-11-14T22:13:20Z", "data": {"n": 1}}'
    )
