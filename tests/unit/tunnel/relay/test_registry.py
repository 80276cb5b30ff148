"""Which agent has which name, and for how long."""

from random import Random

import pytest

from hookloop.tunnel.relay.names import Namespace
from hookloop.tunnel.relay.registry import (
    HOLD_SECONDS,
    TUNNELS_PER_AGENT_MAX,
    Found,
    Granted,
    NotGranted,
    Owner,
    Registry,
)

DOMAIN = "tun.test"
OURS = Owner("token", "agt_1")
TWIN, STRANGER = Owner("token", "agt_2"), Owner("another", "agt_1")
OTHERS = (TWIN, STRANGER)


def new_registry(**settings):
    return Registry(Namespace(DOMAIN, "eu.test", DOMAIN.replace("tun", "more")), **settings)


def bind(registry, name, owner=OURS, link="link", now=0.0, **settings):
    return registry.bind(name, owner, link, now=now, random=Random(1), **settings)


def find(registry, name, now=0.0):
    """Return the link that *name* leads to."""
    found = registry.find(host_of(name), now=now)
    return found and found.link


def is_held(registry, name, now=0.0):
    found = registry.find(host_of(name), now=now)
    return found is not None and found.link is None


def host_of(name):
    return name if "." in name else f"{name}.{DOMAIN}"


def granted(answer):
    """Return the name, and the link that was replaced."""
    assert isinstance(answer, Granted), answer
    return answer.place.name, answer.replaced


def code_of(answer):
    assert isinstance(answer, NotGranted)
    return answer.code


def test_a_name_leads_to_its_link():
    """And no other name does."""
    registry = new_registry()

    assert granted(bind(registry, "shop")) == ("shop", None)
    assert find(registry, "shop") == "link"
    assert find(registry, "other") is None
    assert len(registry) == 1


def test_a_random_name_is_a_free_one():
    """One that is bound or held is not given away."""
    registry = new_registry()
    names = [granted(bind(registry, None))[0] for _ in range(2)]
    registry.release("link", now=0.0)
    names += [granted(bind(registry, None))[0] for _ in range(2)]

    assert len(set(names)) == 4


@pytest.mark.parametrize("other", OTHERS)
def test_a_bound_name_is_taken_for_everybody_else(other):
    """Another agent of the same token too."""
    registry = new_registry()
    bind(registry, "shop")

    assert code_of(bind(registry, "shop", other, "theirs")) == "name_taken"
    assert find(registry, "shop") == "link"


def test_the_same_agent_takes_its_name_over():
    """And is told which link had it."""
    registry = new_registry()
    bind(registry, "shop")

    assert granted(bind(registry, "shop", link="newer")) == ("shop", "link")
    assert granted(bind(registry, "shop", link="newer")) == ("shop", None)
    assert find(registry, "shop") == "newer"


def test_a_lost_link_takes_nothing_from_its_successor():
    """The old session may end long after the new one has begun."""
    registry = new_registry()
    bind(registry, "shop")
    bind(registry, "shop", link="newer")

    registry.release("link", now=0.0)
    registry.unbind("shop", "link")

    assert find(registry, "shop") == "newer"
    assert not is_held(registry, "shop", 0.0)


def test_a_lost_name_is_held_for_its_token():
    """For a minute, and then for nobody."""
    registry = new_registry()
    bind(registry, "shop")
    registry.release("link", now=100.0)
    last = 100.0 + HOLD_SECONDS

    assert find(registry, "shop", 100.0) is None
    assert is_held(registry, "shop", 100.0)
    assert code_of(bind(registry, "shop", STRANGER, now=last - 1)) == "name_taken"
    assert is_held(registry, "shop", last - 1)
    assert not is_held(registry, "shop", last)
    assert granted(bind(registry, "shop", STRANGER, now=last)) == ("shop", None)


def test_a_new_process_of_the_same_token_has_a_lost_name_at_once():
    """After kill -9 the next start has another id; the person with the token is the same."""
    registry = new_registry()
    bind(registry, "shop")
    registry.release("link", now=100.0)

    assert granted(bind(registry, "shop", TWIN, "new", now=100.1)) == ("shop", None)
    assert find(registry, "shop", 100.2) == "new"


def test_whoever_is_refused_a_held_name_is_told_when_it_is_free():
    """It is not in use, so waiting helps."""
    registry = new_registry()
    bind(registry, "shop")
    registry.release("link", now=100.0)

    refused = bind(registry, "shop", STRANGER, now=110.5)

    assert "held for an agent that was lost" in refused.message
    assert "free again in 50 s" in refused.message


def test_the_owner_has_its_held_name_back():
    """Whose hold ends with that."""
    registry = new_registry()
    bind(registry, "shop")
    registry.release("link", now=0.0)

    assert granted(bind(registry, "shop", link="back", now=1.0)) == ("shop", None)
    assert not is_held(registry, "shop", 1.0)


def test_a_name_given_back_is_free_at_once():
    """Nobody is expected back."""
    registry = new_registry()
    bind(registry, "shop")
    registry.unbind("shop", "link")

    assert granted(bind(registry, "shop", OTHERS[0])) == ("shop", None)


@pytest.mark.parametrize(
    "name", ["", "Shop", "a..b", "10.0.0.1", "-a", "a-", "www", "a" * 64, "xn--a"]
)
def test_a_name_that_cannot_be_a_host_is_refused(name):
    """As are the relay's own."""
    assert code_of(bind(new_registry(), name)) == "bad_name"


def test_an_agent_has_so_many_tunnels_and_no_more():
    """But it may take over one it has, and others are not touched by its limit."""
    registry = new_registry()
    for number in range(TUNNELS_PER_AGENT_MAX):
        bind(registry, f"t{number}")

    assert code_of(bind(registry, "more")) == "too_many_tunnels"
    assert granted(bind(registry, "t0", link="newer")) == ("t0", "link")
    assert granted(bind(registry, "more", OTHERS[0])) == ("more", None)


def test_a_token_has_so_many_tunnels_over_all_its_agents():
    """Those that are held for it count too, and have their places again."""
    registry = new_registry()
    bind(registry, "one", tunnels_max=2)
    bind(registry, "two", TWIN, "twin", tunnels_max=2)
    registry.release("twin", now=0.0)

    assert code_of(bind(registry, "three", tunnels_max=2)) == "too_many_tunnels"
    assert granted(bind(registry, "two", tunnels_max=2)) == ("two", None)
    assert granted(bind(registry, "three", STRANGER, tunnels_max=2)) == ("three", None)
    assert registry.count_of("token") == 2


def test_a_whole_host_is_bound_below_any_domain():
    """And called by its whole name, unless it is below the main one."""
    registry = new_registry()

    assert granted(bind(registry, "shop.eu.test"))[0] == "shop.eu.test"
    assert granted(bind(registry, f"shop.{DOMAIN}"))[0] == "shop"
    assert granted(bind(registry, "shop", link="newer")) == ("shop", "link")
    assert find(registry, "shop.eu.test") == "link"


def test_a_wildcard_takes_what_is_below_it_and_the_most_specific_wins():
    """At any depth, but not the name itself."""
    registry = new_registry()
    bind(registry, "*.shop", link="all")
    bind(registry, f"a.shop.{DOMAIN}", link="one")
    bind(registry, f"*.b.shop.{DOMAIN}", link="below b")

    assert registry.find(f"x.shop.{DOMAIN}", now=0.0) == Found("*.shop", "all")
    assert find(registry, f"y.x.shop.{DOMAIN}") == "all"
    assert find(registry, f"a.shop.{DOMAIN}") == "one"
    assert find(registry, f"y.b.shop.{DOMAIN}") == "below b"
    assert find(registry, "shop") is None


@pytest.mark.parametrize("name", ["shop", "*.shop", f"pay.shop.{DOMAIN}"])
@pytest.mark.parametrize("other", ["shop", "*.shop", f"a.b.shop.{DOMAIN}"])
def test_what_is_below_a_name_is_its_owners(name, other):
    """Cookies and trust go up and down between them, so no other token comes in between."""
    registry = new_registry()
    bind(registry, name)

    assert code_of(bind(registry, other, STRANGER)) == "name_taken"
    registry.release("link", now=0.0)
    assert code_of(bind(registry, other, STRANGER)) == "name_taken"
    assert granted(bind(registry, other, TWIN, "twin"))
    assert granted(bind(registry, "shop.eu.test", STRANGER))


def test_what_a_token_may_not_have_is_refused_in_its_words():
    """And random names are drawn until one may be had."""
    registry = new_registry()
    no = NotGranted("name_reserved", "not yours")
    seen = []

    def may_have(place):
        seen.append(place.name)
        return no if len(seen) < 3 else None

    assert bind(registry, "shop", may_have=lambda _: no) == no
    assert granted(bind(registry, None, may_have=may_have))[0] == seen[2]
    assert bind(registry, None, may_have=lambda _: no) == no


def test_a_relay_may_hold_no_names():
    """Or a link whose token was revoked may leave none."""
    registry = new_registry(hold_seconds=0.0)
    bind(registry, "shop")
    registry.release("link", now=0.0)
    bind(registry, "shop", STRANGER, "other")
    registry.release("other", now=0.0, is_held=False)

    assert registry.find(f"shop.{DOMAIN}", now=0.0) is None
    assert len(registry) == registry.count_of("another") == 0


def test_nothing_is_left_of_names_that_were_given_back_or_forgotten():
    """A relay runs for months."""
    registry = new_registry()
    for name in ("a", "*.b", "c"):
        bind(registry, name)
    registry.unbind("a", "link")
    registry.release("link", now=0.0)
    bind(registry, "d", STRANGER, "other", now=HOLD_SECONDS)
    registry.unbind("d", "other")

    left = [value for key, value in vars(registry).items() if isinstance(value, dict)]
    assert not any(left)
    assert registry._wildcards == 0
