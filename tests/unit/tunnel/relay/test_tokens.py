"""Who may open a session, and have which names."""

from random import Random

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.relay.names import Namespace
from hookloop.tunnel.relay.tokens import Token, Tokens, given_token, new_token, token_id

ONE, TWO = "hlt_one-long-enough", "hlt_two-long-enough"
NAMES = Namespace("tun.test", "eu.test")
HASH = "0" * 64


def tokens(*secrets):
    return Tokens([given_token(secret) for secret in secrets])


def token(id_="a", *names, **settings):
    return Token(id=id_, sha256=id_.encode().hex().zfill(64), names=names, **settings)


def test_each_token_has_an_id_of_its_own():
    """The same one every time, and nothing of the token in it."""
    known = tokens(ONE, TWO)
    ids = [known.check(secret, now=0.0).id for secret in (ONE, TWO, ONE)]

    assert ids[0] == ids[2] != ids[1]
    assert ONE[4:] not in str(ids) + repr(known) + repr(known.find(ids[0]))


@pytest.mark.parametrize("secret", [None, "", ONE[:-1], ONE + " ", ONE.upper(), "hlt_ünknown"])
def test_no_other_token_is_accepted(secret):
    """Nearly right is wrong."""
    assert tokens(ONE).check(secret, now=0.0) is None


@pytest.mark.parametrize("secret", ["", "short", "é" * 20, "a\nb" * 10])
def test_tokens_that_protect_nothing_are_refused(secret):
    """Or that could not be sent in a field."""
    with pytest.raises(ConfigError):
        given_token(secret)


def test_a_new_token_is_accepted_and_never_the_same():
    """190 bits of it; its id may be shown."""
    random = Random(3)
    secret = new_token(random)
    found = tokens(secret).check(secret, now=0.0)

    assert found.id == token_id(secret)
    assert secret.startswith(f"hlt_{found.id}_")
    assert len(secret.rpartition("_")[2]) == 32
    assert secret != new_token(random)


def test_an_expired_token_is_not_accepted():
    """From the very second on."""
    known = given_token(ONE)
    expiring = Tokens([Token(id=known.id, sha256=known.sha256, expires=100)])

    assert expiring.check(ONE, now=99.9) is not None
    assert expiring.check(ONE, now=100.0) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"id": ""},
        {"id": "a b"},
        {"sha256": "00"},
        {"label": "a\nb"},
        {"label": "a" * 65},
        {"names": ("Shop",)},
        {"names": ("a..b",)},
        {"names": ("a",) * 1001},
        {"sessions_max": 0},
        {"tunnels_max": -1},
    ],
)
def test_what_cannot_be_a_token_is_refused(settings):
    """The file is edited by hand."""
    with pytest.raises(ConfigError):
        Token(**{"id": "a", "sha256": HASH, **settings})


def test_a_token_is_there_once():
    """Else which one's limits would hold?"""
    with pytest.raises(ConfigError, match="twice"):
        tokens(ONE, ONE)


OURS = token("o", "shop", "ci-*", "hooks.customer.test", "*.wild.test", "api2.eu.test")
THEIRS = token("t", "ci-main", "docs", "pay.wild.test")
KNOWN = Tokens([OURS, THEIRS, token("p")])


@pytest.mark.parametrize(
    "name",
    [
        "shop",
        "shop.eu.test",
        "*.shop",
        "a.shop.tun.test",
        "ci-1",
        "hooks.customer.test",
        "*.hooks.customer.test",
        "a.b.wild.test",
        "*.wild.test",
        "api2.eu.test",
    ],
)
def test_a_name_of_ones_own_may_be_bound_by_nobody_else(name):
    """By name, by pattern, with all that is below it."""
    place = NAMES.place(name)

    assert KNOWN.may_have(OURS, place) is None
    assert KNOWN.may_have(token("p"), place).code == "name_reserved"
    assert KNOWN.is_reserved(place)


@pytest.mark.parametrize("name", ["ci-main", "pay.wild.test"])
def test_a_name_goes_before_a_pattern(name):
    """Whoever reserved it in full meant it."""
    place = NAMES.place(name)

    assert KNOWN.may_have(THEIRS, place) is None
    assert KNOWN.may_have(OURS, place).code == "name_reserved"


@pytest.mark.parametrize("name", ["free", "shopping", "a.shops.eu.test", "api2"])
def test_names_that_nobody_reserved_are_everybodys(name):
    """Below the relay's domains."""
    place = NAMES.place(name)

    assert KNOWN.may_have(OURS, place) is KNOWN.may_have(THEIRS, place) is None
    assert not KNOWN.is_reserved(place)


def test_a_host_of_nobody_is_not_for_the_asking():
    """Who points DNS at a relay decides who gets it, by the token."""
    assert KNOWN.may_have(THEIRS, NAMES.place("www.customer.test")).code == "name_reserved"


def test_a_token_may_be_kept_to_its_own_names():
    """As one that is used by a CI job."""
    kept = token("k", "ci-*", own_names_only=True)
    known = Tokens([kept])

    assert known.may_have(kept, NAMES.place("ci-7")) is None
    assert "ci-*" in known.may_have(kept, NAMES.place("free")).message
