"""Who may open a session: tokens, of which the relay keeps only hashes."""

import hashlib
import hmac
from collections.abc import Iterable

from hookloop.errors import ConfigError
from hookloop.ids import RandomSource, new_id

__all__ = ["TOKEN_CHARS_MIN", "Tokens", "new_token"]

TOKEN_CHARS_MIN = 16  # a shorter one could be guessed over the network


def new_token(random: RandomSource) -> str:
    """Return a fresh token, ``hlt_`` and 190 bits."""
    return new_id("hlt_", random, length=32)


class Tokens:
    """The accepted tokens."""

    def __init__(self, tokens: Iterable[str]) -> None:
        """Raises `ConfigError` if there is none, or one is too short."""
        self._hashes = []
        for token in tokens:
            if len(token) < TOKEN_CHARS_MIN or not token.isascii() or not token.isprintable():
                raise ConfigError(
                    f"a relay token has {len(token)} characters; use at least {TOKEN_CHARS_MIN} "
                    "printable ASCII ones, or leave the setting out to have one made"
                )
            self._hashes.append(_hash(token))
        if not self._hashes:
            raise ConfigError("a relay needs at least one token, or anybody could bind its names")

    def __repr__(self) -> str:
        return f"<Tokens {len(self._hashes)}>"

    def owner_of(self, token: str | None) -> str | None:
        """Return a label for the token's owner, safe to log, or None if it is not accepted."""
        presented = _hash(token or "")
        owner = None
        for known in self._hashes:  # all of them: the time taken tells nothing
            if hmac.compare_digest(known, presented):
                owner = known[:12]
        return owner


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
