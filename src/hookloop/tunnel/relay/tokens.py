"""
Who may open a session and have which names. Pure; `token_file` keeps them on disk.

Of a token the relay keeps the SHA-256, and no slow hash: those are for what people choose. A
token has 190 random bits, so nobody finds one by trying hashes, and an agent that comes back
should not cost the relay a tenth of a second.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from hookloop.errors import ConfigError
from hookloop.ids import RandomSource, new_id

from .names import Place, is_pattern, matches
from .registry import NotGranted

__all__ = ["TOKEN_CHARS_MIN", "Token", "Tokens", "given_token", "new_token", "token_id"]

TOKEN_CHARS_MIN = 16  # a shorter one could be guessed over the network
ID_CHARS = 12
SECRET_CHARS = 32
LABEL_CHARS_MAX = 64
NAMES_MAX = 1000  # patterns of one token
_TOKEN = re.compile(rf"hlt_([0-9A-Za-z]{{{ID_CHARS}}})_[0-9A-Za-z]{{{SECRET_CHARS}}}")
_ID = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def new_token(random: RandomSource) -> str:
    """Return a fresh token: ``hlt_``, an id that may be shown, and 190 bits that may not."""
    return new_id(new_id("hlt_", random, length=ID_CHARS) + "_", random, length=SECRET_CHARS)


def token_id(secret: str) -> str | None:
    """Return the part of a token that may be shown; None for one that `new_token` did not make."""
    match = _TOKEN.fullmatch(secret)
    return match[1] if match else None


@dataclass(frozen=True, slots=True)
class Token:
    """
    What the relay knows of one token. Raises `ConfigError` for what cannot be.

    It holds no secret: the hash tells nothing of the token.
    """

    id: str
    """Safe to log."""
    sha256: str
    """Of the whole token, hexadecimal."""
    label: str = ""
    """Whose it is, for people."""
    created: int = 0
    """When, in Unix seconds."""
    expires: int | None = None
    """When it ends, in Unix seconds; None: never."""
    names: tuple[str, ...] = ()
    """Names that are its own and nobody else's; see `names.matches`."""
    own_names_only: bool = False
    """It may bind no other names, and no random ones."""
    sessions_max: int | None = None
    tunnels_max: int | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id) or not _SHA256.fullmatch(self.sha256):
            raise ConfigError(f"the token {self.id[:80]!r} has no valid id and sha256")
        if len(self.label) > LABEL_CHARS_MAX or not (self.label + "-").isprintable():
            raise ConfigError(
                f"the label of token {self.id} is over {LABEL_CHARS_MAX} characters, or has some "
                "that cannot be printed"
            )
        if len(self.names) > NAMES_MAX:
            raise ConfigError(f"the token {self.id} has over {NAMES_MAX} names")
        for name in self.names:
            if not is_pattern(name):
                raise ConfigError(
                    f"{name[:80]!r} cannot be reserved for token {self.id}: give a name such as "
                    "shop, a pattern such as ci-*, or a whole host such as hooks.customer.com"
                )
        for limit in (self.sessions_max, self.tunnels_max):
            if limit is not None and limit < 1:
                raise ConfigError(f"a limit of token {self.id} is {limit}: give 1 or more")

    def is_expired(self, now: float) -> bool:
        """Say whether it has ended, at wall time *now*."""
        return self.expires is not None and self.expires <= now

    def claim(self, place: Place) -> int:
        """Return 2 where *place* is its own by name, 1 by a pattern, 0 not at all."""
        claims = [1 if "*" in name else 2 for name in self.names if matches(name, place)]
        return max(claims, default=0)


def given_token(secret: str) -> Token:
    """
    Return the `Token` of one that is given in the clear, as by ``--token``.

    Raises `ConfigError` if it is too short, or cannot be sent in a header field.
    """
    if len(secret) < TOKEN_CHARS_MIN or not secret.isascii() or not secret.isprintable():
        raise ConfigError(
            f"a relay token has {len(secret)} characters; use at least {TOKEN_CHARS_MIN} "
            "printable ASCII ones, or leave the setting out to have one made"
        )
    digest = _hash(secret)
    return Token(id=token_id(secret) or digest[:ID_CHARS], sha256=digest)


class Tokens:
    """The accepted tokens."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        """Raises `ConfigError` where two have the same id or hash."""
        self._by_id: dict[str, Token] = {}
        self._by_hash: dict[str, Token] = {}
        for token in tokens:
            if token.id in self._by_id or token.sha256 in self._by_hash:
                raise ConfigError(f"the token {token.id} is there twice")
            self._by_id[token.id] = self._by_hash[token.sha256] = token
        self._claimed = [token for token in self._by_id.values() if token.names]

    def __repr__(self) -> str:
        return f"<Tokens {len(self)}>"

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, id_: str) -> Token | None:
        """Return the token of an id, expired or not."""
        return self._by_id.get(id_)

    def check(self, secret: str | None, *, now: float) -> Token | None:
        """Return the token that *secret* is, or None if it is not accepted at wall time *now*."""
        presented = _hash(secret or "")
        # Looked up by its hash: how long that takes says something of a hash that nobody can
        # choose. The comparison that decides takes the same time for every hash.
        known = self._by_hash.get(presented)
        is_known = hmac.compare_digest(known.sha256 if known else "0" * 64, presented)
        if known is None or not is_known or known.is_expired(now):
            return None
        return known

    def may_have(self, token: Token, place: Place) -> NotGranted | None:
        """Say whether *token* may bind *place*, as far as reserved names go."""
        claim = token.claim(place)
        others = (other.claim(place) for other in self._claimed if other.id != token.id)
        if max(others, default=0) > claim:
            return NotGranted(
                "name_reserved",
                f"the name {place.name!r} is reserved for another token: take another name",
            )
        if claim:
            return None
        if place.label is None:
            return NotGranted(
                "name_reserved",
                f"the host {place.host!r} is not below a domain of this relay, and not reserved "
                "for your token: ask the relay's owner for it",
            )
        if token.own_names_only:
            return NotGranted(
                "name_reserved", f"your token may bind only these names: {', '.join(token.names)}"
            )
        return None

    def is_reserved(self, place: Place) -> bool:
        """Say whether some token has *place* for its own."""
        return any(token.claim(place) for token in self._claimed)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
