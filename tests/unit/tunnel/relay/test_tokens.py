"""Who may open a session."""

from random import Random

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.relay.tokens import Tokens, new_token

ONE, TWO = "hlt_one-long-enough", "hlt_two-long-enough"


def test_each_token_has_an_owner_of_its_own():
    """The same one every time, and nothing of the token in it."""
    tokens = Tokens([ONE, TWO])
    owners = [tokens.owner_of(token) for token in (ONE, TWO, ONE)]

    assert owners[0] == owners[2] != owners[1]
    assert ONE[4:] not in str(owners) + repr(tokens)


@pytest.mark.parametrize("token", [None, "", ONE[:-1], ONE + " ", ONE.upper(), "hlt_ünknown"])
def test_no_other_token_has_one(token):
    """Nearly right is wrong."""
    assert Tokens([ONE]).owner_of(token) is None


@pytest.mark.parametrize("tokens", [[], ["short"], [ONE, ""], ["é" * 20], ["a\nb" * 10]])
def test_tokens_that_protect_nothing_are_refused(tokens):
    """Or that could not be sent in a field."""
    with pytest.raises(ConfigError):
        Tokens(tokens)


def test_a_new_token_is_accepted_and_never_the_same():
    """190 bits of it."""
    random = Random(3)
    token = new_token(random)

    assert Tokens([token]).owner_of(token)
    assert token.startswith("hlt_")
    assert token != new_token(random)
