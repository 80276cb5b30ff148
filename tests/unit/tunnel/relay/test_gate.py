"""Tokens given in the clear and those of the file, together."""

from random import Random

import pytest

from hookloop.clock import SystemClock
from hookloop.tunnel.relay.config import RelayConfig
from hookloop.tunnel.relay.gate import Gate
from hookloop.tunnel.relay.refusal import Refusal
from hookloop.tunnel.relay.token_file import editing
from hookloop.tunnel.relay.tokens import Token, given_token, new_token

SECRET = new_token(Random(1))
OTHER = new_token(Random(2))


def filed(secret: str, **settings) -> Token:
    known = given_token(secret)
    return Token(id=known.id, sha256=known.sha256, **settings)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "tokens.json"
    with editing(path) as tokens:
        tokens += [filed(SECRET, names=("shop",), own_names_only=True), filed(OTHER)]
    return path


def test_a_token_given_and_in_the_file_is_the_files(path):
    """HOOKLOOP_TOKEN was set for an agent, and the relay ended with `is there twice`."""
    gate = Gate(RelayConfig(domain="tun.test", tokens=(SECRET,), tokens_file=path), SystemClock())

    token = gate.check(SECRET)

    assert len(gate.tokens) == 2
    assert isinstance(token, Token)
    assert token.own_names_only


def test_what_the_file_revokes_is_not_let_in_because_it_was_given(path):
    """Else a token that leaked would have more after its end than before."""
    gate = Gate(RelayConfig(domain="tun.test", tokens=(SECRET,), tokens_file=path), SystemClock())

    with editing(path) as tokens:
        tokens[:] = [token for token in tokens if token.id != given_token(SECRET).id]

    assert isinstance(gate.check(SECRET), Refusal)
    assert isinstance(gate.check(OTHER), Token)


def test_a_file_that_gains_a_given_token_is_read(path):
    """It says no more than it did, and the tokens beside it are new."""
    third = new_token(Random(3))
    gate = Gate(RelayConfig(domain="tun.test", tokens=(third,), tokens_file=path), SystemClock())
    assert isinstance(gate.check(third), Token)

    with editing(path) as tokens:
        tokens.append(filed(third, names=("own",)))

    token = gate.check(third)
    assert gate.is_file_valid
    assert isinstance(token, Token)
    assert token.names == ("own",)
