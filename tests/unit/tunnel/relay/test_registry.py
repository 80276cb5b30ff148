"""Which agent has which name, and for how long."""

from random import Random

import pytest

from hookloop.tunnel.relay.registry import (
    HOLD_SECONDS,
    TUNNELS_PER_AGENT_MAX,
    Granted,
    NotGranted,
    Owner,
    Registry,
)

OURS = Owner("token", "agt_1")
OTHERS = (Owner("token", "agt_2"), Owner("another", "agt_1"))


def bind(registry, name, owner=OURS, link="link", now=0.0):
    return registry.bind(name, owner, link, now=now, random=Random(1))


def code_of(answer):
    assert isinstance(answer, NotGranted)
    return answer.code


def test_a_name_leads_to_its_link():
    """And no other name does."""
    registry = Registry()

    assert bind(registry, "shop") == Granted("shop", None)
    assert registry.find("shop") == "link"
    assert registry.find("other") is None
    assert len(registry) == 1


def test_a_random_name_is_a_free_one():
    """One that is bound or held is not given away."""
    registry = Registry()
    names = [bind(registry, None).name for _ in range(2)]
    registry.release("link", now=0.0)
    names += [bind(registry, None).name for _ in range(2)]

    assert len(set(names)) == 4


@pytest.mark.parametrize("other", OTHERS)
def test_a_bound_name_is_taken_for_everybody_else(other):
    """Another agent of the same token too."""
    registry = Registry()
    bind(registry, "shop")

    assert code_of(bind(registry, "shop", other, "theirs")) == "name_taken"
    assert registry.find("shop") == "link"


def test_the_same_agent_takes_its_name_over():
    """And is told which link had it."""
    registry = Registry()
    bind(registry, "shop")

    assert bind(registry, "shop", link="newer") == Granted("shop", "link")
    assert bind(registry, "shop", link="newer") == Granted("shop", None)
    assert registry.find("shop") == "newer"


def test_a_lost_link_takes_nothing_from_its_successor():
    """The old session may end long after the new one has begun."""
    registry = Registry()
    bind(registry, "shop")
    bind(registry, "shop", link="newer")

    registry.release("link", now=0.0)
    registry.unbind("shop", "link")

    assert registry.find("shop") == "newer"
    assert not registry.is_held("shop", now=0.0)


@pytest.mark.parametrize("other", OTHERS)
def test_a_lost_name_is_held_for_its_owner(other):
    """For a minute, and then for nobody."""
    registry = Registry()
    bind(registry, "shop")
    registry.release("link", now=100.0)

    assert registry.find("shop") is None
    assert registry.is_held("shop", now=100.0)
    assert code_of(bind(registry, "shop", other, now=100.0 + HOLD_SECONDS - 1)) == "name_taken"
    assert registry.is_held("shop", now=100.0 + HOLD_SECONDS - 1)
    assert not registry.is_held("shop", now=100.0 + HOLD_SECONDS)
    assert bind(registry, "shop", other, now=100.0 + HOLD_SECONDS) == Granted("shop", None)


def test_whoever_is_refused_a_held_name_is_told_when_it_is_free():
    """It is not in use, so waiting helps: a killed agent's next start comes here."""
    registry = Registry()
    bind(registry, "shop")
    registry.release("link", now=100.0)

    refused = bind(registry, "shop", OTHERS[0], now=110.5)

    assert "held for an agent that was lost" in refused.message
    assert "free again in 50 s" in refused.message


def test_the_owner_has_its_held_name_back():
    """Whose hold ends with that."""
    registry = Registry()
    bind(registry, "shop")
    registry.release("link", now=0.0)

    assert bind(registry, "shop", link="back", now=1.0) == Granted("shop", None)
    assert not registry.is_held("shop", now=1.0)


def test_a_name_given_back_is_free_at_once():
    """Nobody is expected back."""
    registry = Registry()
    bind(registry, "shop")
    registry.unbind("shop", "link")

    assert bind(registry, "shop", OTHERS[0]) == Granted("shop", None)


@pytest.mark.parametrize("name", ["", "Shop", "a.b", "-a", "a-", "www", "a" * 64, "xn--a"])
def test_a_name_that_cannot_be_a_host_is_refused(name):
    """As are the relay's own."""
    assert code_of(bind(Registry(), name)) == "bad_name"


def test_an_agent_has_so_many_tunnels_and_no_more():
    """But it may take over one it has, and others are not touched by its limit."""
    registry = Registry()
    for number in range(TUNNELS_PER_AGENT_MAX):
        bind(registry, f"t{number}")

    assert code_of(bind(registry, "more")) == "too_many_tunnels"
    assert bind(registry, "t0", link="newer") == Granted("t0", "link")
    assert bind(registry, "more", OTHERS[0]) == Granted("more", None)
