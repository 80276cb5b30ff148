"""Tunnel names: DNS labels, easy to say and hard to guess, and the hosts they stand for."""

from random import Random

import pytest

from hookloop.tunnel.relay.names import (
    Namespace,
    Place,
    is_pattern,
    is_valid_name,
    random_name,
    wildcards_of,
)

NAMES = Namespace("tun.test", "eu.tun.test", "other.test", reserved=("ours",))


@pytest.mark.parametrize("name", ["a", "shop", "a-b", "0", "a" * 63, "a--b"])
def test_a_label_in_lower_case_is_valid(name):
    """Up to the 63 characters of DNS."""
    assert is_valid_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "xn--a", "a\n", "é", "www", "api"]
)
def test_all_else_is_not(name):
    """Nor are IDNA's own labels, or the relay's."""
    assert not is_valid_name(name)


def test_random_names_are_valid_and_differ():
    """Two words and eight characters that nobody confuses."""
    random = Random(7)
    names = {random_name(random) for _ in range(500)}

    assert len(names) == 500
    assert all(is_valid_name(name) for name in names)
    assert not any(set(name.rpartition("-")[2]) & set("01lo") for name in names)
    assert NAMES.random_place(random).host.endswith(".tun.test")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("shop", Place("shop.tun.test", "shop", "shop.tun.test", "shop")),
        ("shop.tun.test", Place("shop.tun.test", "shop", "shop.tun.test", "shop")),
        ("*.shop", Place("*.shop.tun.test", "*.shop", "shop.tun.test", "shop")),
        ("shop.other.test", Place("shop.other.test", "shop.other.test", "shop.other.test", "shop")),
        ("a.eu.tun.test", Place("a.eu.tun.test", "a.eu.tun.test", "a.eu.tun.test", "a")),
        ("a.b.tun.test", Place("a.b.tun.test", "a.b.tun.test", "b.tun.test", "b")),
        ("hooks.cust.test", Place("hooks.cust.test", "hooks.cust.test", "hooks.cust.test", None)),
        ("xn--bcher-kva.test", Place(*["xn--bcher-kva.test"] * 3, None)),
    ],
)
def test_a_name_stands_for_a_host(name, place):
    """Below the main domain, below another, or somebody's own; its name leads there again."""
    assert NAMES.place(name) == NAMES.place(place.name) == place


@pytest.mark.parametrize(
    "name",
    [
        "eu",  # a domain of the relay
        "tun.test",
        "*.tun.test",
        "www",
        "www.other.test",
        "a.www.tun.test",
        "ours",
        "ours.eu.tun.test",
        "*",
        "*.",
        "*.*.shop",
        "a.*.tun.test",
        "Shop.tun.test",
        "shop.tun.test.",
        "-.tun.test",
        "xn--a.tun.test",
        "127.0.0.1",
        "a..cust.test",
        "a_b.cust.test",
        "a." * 126 + "test",
        "cust.test:80",
        "cust.test/x",
        "",
    ],
)
def test_where_no_tunnel_can_be_there_is_none(name):
    """Whatever an agent asks for."""
    assert NAMES.place(name) is None


def test_the_wildcards_of_a_host_come_nearest_first():
    """The most specific tunnel wins."""
    assert list(wildcards_of("a.b.c")) == ["*.b.c", "*.c"]


@pytest.mark.parametrize(
    ("host", "domain", "name"),
    [
        ("shop.tun.test", "tun.test", "shop"),
        ("a.eu.tun.test", "eu.tun.test", "a.eu.tun.test"),
        ("a.b.tun.test", "tun.test", "a.b.tun.test"),
        ("tun.test", None, "tun.test"),
        ("xtun.test", None, "xtun.test"),
    ],
)
def test_a_host_is_called_what_one_asks_for(host, domain, name):
    """As the page for an unknown tunnel does."""
    assert (NAMES.domain_of(host), NAMES.name_of(host)) == (domain, name)


@pytest.mark.parametrize("text", ["shop", "ci-*", "*", "*.cust.test", "a.b.c", "x-*.cust.test"])
def test_patterns_of_a_token(text):
    """What may stand in its names."""
    assert is_pattern(text)


@pytest.mark.parametrize("text", ["", "Shop", "a..b", "*.", ".a", "a b", "[a]", "a.b/c"])
def test_what_is_no_pattern(text):
    """It would match nothing, or not what was meant."""
    assert not is_pattern(text)
