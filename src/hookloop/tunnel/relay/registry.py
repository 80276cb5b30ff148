"""Which agent has which name. Pure: the time and the randomness are arguments."""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from hookloop.ids import RandomSource

from .names import is_valid_name, random_name

__all__ = ["HOLD_SECONDS", "TUNNELS_PER_AGENT_MAX", "Granted", "NotGranted", "Owner", "Registry"]

HOLD_SECONDS = 60.0  # SPEC.md section 5: a laptop that wakes finds its name again
TUNNELS_PER_AGENT_MAX = 32  # one per service of a large project

LinkT = TypeVar("LinkT")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a name is: the token it came with and the process that asked."""

    token: str
    """The label of `Tokens.owner_of`."""
    agent: str
    """The id of the agent's HELLO."""


@dataclass(frozen=True, slots=True)
class Granted(Generic[LinkT]):
    name: str
    replaced: LinkT | None
    """The link that had the name until now: an older session of the same agent."""


@dataclass(frozen=True, slots=True)
class NotGranted:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Holding:
    owner: Owner
    until: float


class Registry(Generic[LinkT]):
    """Names and the links they lead to."""

    def __init__(self) -> None:
        self._links: dict[str, tuple[Owner, LinkT]] = {}
        self._held: dict[str, _Holding] = {}

    def __len__(self) -> int:
        return len(self._links)

    def bind(
        self, name: str | None, owner: Owner, link: LinkT, *, now: float, random: RandomSource
    ) -> Granted[LinkT] | NotGranted:
        """Lead *name*, or a random one, to *link*."""
        self._forget_expired(now)
        # A name it has already, as one that comes back on a new session, is not one more.
        others = sum(known == owner for key, (known, _) in self._links.items() if key != name)
        if others >= TUNNELS_PER_AGENT_MAX:
            return NotGranted(
                "too_many_tunnels", f"this agent has {TUNNELS_PER_AGENT_MAX} tunnels, the limit"
            )
        if name is None:
            name = self._free_name(random)
        elif not is_valid_name(name):
            return NotGranted(
                "bad_name",
                f"{name[:80]!r} cannot be a tunnel's name: use 1 to 63 of a-z, 0-9 and '-', not "
                "at an end, and not a reserved word such as 'www'",
            )
        current, replaced = self._links.get(name, (None, None))
        if current not in (None, owner):
            return NotGranted("name_taken", f"the name {name!r} is in use by another agent")
        held = self._held.get(name)
        if held and held.owner != owner:
            return NotGranted(
                "name_taken",
                f"the name {name!r} is held for an agent that was lost; it is free again in "
                f"{math.ceil(held.until - now)} s, unless that agent comes back",
            )
        self._held.pop(name, None)
        self._links[name] = (owner, link)
        return Granted(name, None if replaced is link else replaced)

    def unbind(self, name: str, link: LinkT) -> None:
        """Free *name* at once, if it leads to *link*."""
        if self._links.get(name, (None, None))[1] is link:
            del self._links[name]

    def release(self, link: LinkT, *, now: float) -> None:
        """The link is lost: hold its names for their owner."""
        for name, (owner, current) in list(self._links.items()):
            if current is link:
                del self._links[name]
                self._held[name] = _Holding(owner, now + HOLD_SECONDS)

    def find(self, name: str) -> LinkT | None:
        """Return the link of *name*, or None."""
        entry = self._links.get(name)
        return entry[1] if entry else None

    def is_held(self, name: str, *, now: float) -> bool:
        """Say whether the agent of *name* is expected back."""
        held = self._held.get(name)
        return held is not None and now < held.until

    def _free_name(self, random: RandomSource) -> str:
        while True:
            name = random_name(random)
            if name not in self._links and name not in self._held:
                return name

    def _forget_expired(self, now: float) -> None:
        self._held = {name: held for name, held in self._held.items() if now < held.until}
