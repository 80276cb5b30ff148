"""Who a caller is, and who may say so."""

from ipaddress import ip_network

import pytest

from hookloop.tunnel.relay.forwarded import Proxies, forwarded
from hookloop.tunnel.relay.http_head import RawRequest, admit

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
NOBODY = Proxies([])
PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


def admitted(*fields):
    return admit(RawRequest(b"GET", b"/", "1.1", ((b"Host", b"shop.tun.test"), *fields)))


def told(*fields, peer=PROXY, proxies=PROXIES, scheme="http"):
    """Return the caller's address, and the fields about it by their names."""
    caller = forwarded(admitted(*fields), peer=peer, scheme=scheme, proxies=proxies)
    known = [(name.lower(), value) for name, value in caller.head.headers]
    names = {name for name, _ in known if b"forward" in name or name == b"x-real-ip"}
    assert len([name for name, _ in known if name in names]) == len(names)  # each once
    assert dict(known)[b"hookloop-hops"] == b"1"
    return caller.host, {name.decode(): dict(known)[name].decode() for name in names}


LIES = (
    (b"X-Forwarded-For", b"9.9.9.9"),
    (b"x-forwarded-proto", b"https"),
    (b"X-FORWARDED-HOST", b"evil.test"),
    (b"X-Forwarded-Port", b"1"),
    (b"X-Forwarded-Anything", b"x"),
    (b"Forwarded", b"for=9.9.9.9"),
    (b"X-Real-IP", b"9.9.9.9"),
)


@pytest.mark.parametrize(("peer", "proxies"), [(STRANGER, PROXIES), (PROXY, NOBODY)])
def test_what_a_stranger_claims_is_replaced(peer, proxies):
    """All of it."""
    assert told(*LIES, peer=peer, proxies=proxies) == (
        peer,
        {
            "x-forwarded-for": peer,
            "x-forwarded-proto": "http",
            "x-forwarded-host": "shop.tun.test",
        },
    )


@pytest.mark.parametrize(
    ("claimed", "caller", "chain"),
    [
        ("9.9.9.9", "9.9.9.9", "9.9.9.9, 10.0.0.1"),
        ("9.9.9.9, 10.0.0.7", "9.9.9.9", "9.9.9.9, 10.0.0.7, 10.0.0.1"),
        ("1.1.1.1, 9.9.9.9, 10.0.0.7", "9.9.9.9", "9.9.9.9, 10.0.0.7, 10.0.0.1"),
        ("10.0.0.8,10.0.0.7", "10.0.0.8", "10.0.0.8, 10.0.0.7, 10.0.0.1"),
        ("9.9.9.9:1234", "9.9.9.9", "9.9.9.9, 10.0.0.1"),
        ("[2001:db8::1]:1234", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ("9.9.9.9, unknown", "10.0.0.1", "10.0.0.1"),
        ("", "10.0.0.1", "10.0.0.1"),
        ("a\xff, 9.9.9.9", "9.9.9.9", "9.9.9.9, 10.0.0.1"),
    ],
)
def test_the_caller_is_the_last_that_is_no_trusted_proxy(claimed, caller, chain):
    """What stands before it is its own claim, and goes no further."""
    found = told((b"X-Forwarded-For", claimed.encode("latin-1")))

    assert (found[0], found[1]["x-forwarded-for"]) == (caller, chain)


def test_several_fields_are_one_list():
    """As RFC 9110 section 5.3 has it."""
    found = told((b"X-Forwarded-For", b"9.9.9.9"), (b"x-forwarded-for", b"10.0.0.7"))

    assert found[1]["x-forwarded-for"] == "9.9.9.9, 10.0.0.7, 10.0.0.1"


def test_a_trusted_proxy_says_how_it_was_reached():
    """It ended TLS, and knows the host and the port that were asked for."""
    found = told(
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"shop.example.com"),
        (b"X-Forwarded-Port", b"443"),
        (b"Forwarded", b"for=9.9.9.9;proto=https"),
    )[1]

    assert found["x-forwarded-proto"] == "https"
    assert found["x-forwarded-host"] == "shop.example.com"
    assert found["x-forwarded-port"] == "443"
    assert found["forwarded"] == (
        'for=9.9.9.9;proto=https, for=10.0.0.1;host="shop.tun.test";proto=http'
    )


def test_a_scheme_that_is_none_is_not_believed():
    """Apps build URLs from it."""
    assert told((b"X-Forwarded-Proto", b"javascript"))[1]["x-forwarded-proto"] == "http"


def test_a_proxy_with_an_ipv6_address_is_one():
    """Also one that a dual-stack socket shows as IPv6."""
    fields = ((b"X-Forwarded-For", b"9.9.9.9"), (b"Forwarded", b"for=x"))

    assert told(*fields, peer="fd00::1")[1]["forwarded"].endswith(
        'for="[fd00::1]";host="shop.tun.test";proto=http'
    )
    assert told(*fields, peer="::ffff:10.0.0.1")[0] == "9.9.9.9"


def test_a_verdict_is_remembered_within_limits():
    """Anybody can send any address."""
    proxies = Proxies([ip_network("10.0.0.0/8")])
    for number in range(30_000):
        proxies.is_trusted(f"198.51.{number // 256}.{number % 256}")

    assert len(proxies._known) <= 10_000
    assert proxies.is_trusted("10.1.2.3")
    assert not proxies.is_trusted("")
