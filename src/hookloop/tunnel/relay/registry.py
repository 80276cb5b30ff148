"""Which agent has which name. Pure: the time and the randomness are arguments."""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from hookloop.ids import RandomSource

from .names import Namespace, Place, wildcards_of

__all__ = ["HOLD_SECONDS", "Found", "Granted", "NotGranted", "Owner", "Registry"]

HOLD_SECONDS = 60.0  # SPEC.md section 5: a laptop that wakes finds its name again
TUNNELS_PER_AGENT_MAX = 32

LinkT = TypeVar("LinkT")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a name is: the token it came with and the process that asked."""

    token: str
    """The id of the token, as in `Tokens`."""
    agent: str
    """The id of the agent's HELLO."""


@dataclass(frozen=True, slots=True)
class Granted(Generic[LinkT]):
    place: Place
    replaced: LinkT | None
    """The link that had the name until now: an older session of the same agent."""


@dataclass(frozen=True, slots=True)
class NotGranted:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Found(Generic[LinkT]):
    """Where a host leads."""

    name: str
    link: LinkT | None
    """None: its agent was lost and is expected back."""
    protocol: str = "http"
    """``http``, or ``tls`` where its bytes are passed through."""


@dataclass(slots=True)
class _Tunnel(Generic[LinkT]):
    place: Place
    owner: Owner
    found: Found[LinkT]
    held_until: float = math.inf


class Registry(Generic[LinkT]):
    """
    Names and the links they lead to.

    All is kept in dictionaries by what it is asked for: after a restart of the relay thousands
    of agents bind their names within a second.
    """

    def __init__(
        self,
        namespace: Namespace,
        *,
        hold_seconds: float = HOLD_SECONDS,
        tunnels_per_agent_max: int = TUNNELS_PER_AGENT_MAX,
    ) -> None:
        self._namespace = namespace
        self._hold_seconds = hold_seconds
        self._tunnels_per_agent_max = tunnels_per_agent_max
        self._tunnels: dict[str, _Tunnel[LinkT]] = {}
        self._held: OrderedDict[str, float] = OrderedDict()
        """Hosts and when they are free again; all wait equally long, so the first is the next."""
        self._of_family: dict[str, set[str]] = {}
        self._of_token: dict[str, set[str]] = {}
        self._of_agent: dict[Owner, set[str]] = {}
        self._of_link: dict[LinkT, set[str]] = {}
        self._wildcards = 0

    def __len__(self) -> int:
        """Return how many lead to a link: those that are held do not."""
        return len(self._tunnels) - len(self._held)

    def bind(
        self,
        name: str | None,
        owner: Owner,
        link: LinkT,
        *,
        now: float,
        random: RandomSource,
        may_have: "Callable[[Place], NotGranted | None]" = lambda _: None,
        tunnels_max: int | None = None,
        protocol: str = "http",
    ) -> Granted[LinkT] | NotGranted:
        """
        Lead *name*, or a random one, to *link*.

        *may_have* says what the token may bind at all; *tunnels_max* is for all its agents.
        """
        self.forget_expired(now)
        place = self._free_place(random, may_have) if name is None else self._namespace.place(name)
        if place is None:
            return NotGranted(
                "bad_name",
                f"{(name or '')[:80]!r} cannot be a tunnel's name: use 1 to 63 of a-z, 0-9 and "
                "'-', not at an end, and not a reserved word such as 'www'",
            )
        refused = (
            may_have(place)
            or self._taken(place, owner, now)
            or self._too_many(place, owner, tunnels_max)
        )
        if refused:
            return refused
        current = self._tunnels.get(place.host)
        replaced = current.found.link if current else None
        self._forget(place.host)
        self._keep(place, owner, Found(place.name, link, protocol), link)
        return Granted(place, None if replaced is link else replaced)

    def unbind(self, name: str, link: LinkT) -> Place | None:
        """Free *name* at once, if it leads to *link*, and return where it was."""
        place = self._namespace.place(name)
        if place is None or place.host not in self._of_link.get(link, ()):
            return None
        self._forget(place.host)
        return place

    def release(self, link: LinkT, *, now: float, is_held: bool = True) -> list[Place]:
        """
        The link is lost: hold its names for their owner, or free them at once.

        Returns where they were.
        """
        places = [self._tunnels[host].place for host in self._of_link.get(link, ())]
        for host in [place.host for place in places]:
            tunnel = self._tunnels[host]
            self._forget(host)
            if is_held and self._hold_seconds:
                until = now + self._hold_seconds
                self._tunnels[host] = _Tunnel(
                    tunnel.place, tunnel.owner, replace(tunnel.found, link=None), until
                )
                self._held[host] = until
                self._index(tunnel.place, tunnel.owner)
        return places

    def find(self, host: str, *, now: float) -> Found[LinkT] | None:
        """Return where *host* leads, the most specific tunnel first; None: nowhere."""
        tunnel = self._tunnels.get(host)
        if tunnel is None and self._wildcards:
            candidates = (self._tunnels.get(wildcard) for wildcard in wildcards_of(host))
            tunnel = next(filter(None, candidates), None)
        if tunnel is None or (tunnel.found.link is None and tunnel.held_until <= now):
            return None
        return tunnel.found

    def forget_expired(self, now: float) -> list[str]:
        """Free the names that were held long enough, and return their hosts."""
        expired = []
        while self._held:
            host, until = next(iter(self._held.items()))
            if now < until:
                break
            self._forget(host)
            expired.append(host)
        return expired

    def items(self) -> list[tuple[Place, Found[LinkT]]]:
        """Return all names, and where each leads."""
        return [(tunnel.place, tunnel.found) for tunnel in self._tunnels.values()]

    def count_of(self, token: str) -> int:
        """Return how many names a token has, those that are held for it too."""
        return len(self._of_token.get(token, ()))

    # --- inside ---------------------------------------------------------------------------

    def _free_place(
        self, random: RandomSource, may_have: "Callable[[Place], NotGranted | None]"
    ) -> Place | None:
        for _ in range(100):  # a token that may have its own names only gets none
            place = self._namespace.random_place(random)
            if place.family not in self._of_family and may_have(place) is None:
                return place
        return self._namespace.random_place(random)  # which is refused, and in whose words

    def _taken(self, place: Place, owner: Owner, now: float) -> NotGranted | None:
        current = self._tunnels.get(place.host)
        if current is not None and current.found.link is not None and current.owner != owner:
            whose = "of your token" if current.owner.token == owner.token else "of another token"
            return NotGranted(
                "name_taken", f"the name {place.name!r} is in use by another agent, {whose}"
            )
        # Whoever has a name decides on what is below it, and while it is held for them too.
        for tunnel in self._family_of(place):
            if tunnel.owner.token == owner.token:
                continue
            name = tunnel.place.name
            if tunnel.found.link is not None:
                message = f"the name {name!r} is in use by another token"
            else:
                message = (
                    f"the name {name!r} is held for an agent that was lost; it is free again in "
                    f"{math.ceil(tunnel.held_until - now)} s, unless that agent comes back"
                )
            return NotGranted("name_taken", message)
        return None

    def _family_of(self, place: Place) -> "Iterator[_Tunnel[LinkT]]":
        for host in self._of_family.get(place.family, ()):
            yield self._tunnels[host]

    def _too_many(self, place: Place, owner: Owner, tunnels_max: int | None) -> NotGranted | None:
        # A name it has already, as one that comes back on a new session, is not one more.
        current = self._tunnels.get(place.host)
        is_more_of_agent = current is None or current.owner != owner
        of_agent = len(self._of_agent.get(owner, ())) if is_more_of_agent else 0
        if of_agent >= self._tunnels_per_agent_max:
            return NotGranted(
                "too_many_tunnels",
                f"this agent has {self._tunnels_per_agent_max} tunnels, the limit",
            )
        is_more_of_token = current is None or current.owner.token != owner.token
        of_token = self.count_of(owner.token) if is_more_of_token else 0
        if tunnels_max is not None and of_token >= tunnels_max:
            return NotGranted(
                "too_many_tunnels", f"this token has {tunnels_max} tunnels, the limit"
            )
        return None

    def _keep(self, place: Place, owner: Owner, found: Found[LinkT], link: LinkT) -> None:
        self._tunnels[place.host] = _Tunnel(place, owner, found)
        self._of_link.setdefault(link, set()).add(place.host)
        self._of_agent.setdefault(owner, set()).add(place.host)
        self._index(place, owner)

    def _index(self, place: Place, owner: Owner) -> None:
        self._of_family.setdefault(place.family, set()).add(place.host)
        self._of_token.setdefault(owner.token, set()).add(place.host)
        self._wildcards += place.host.startswith("*")

    def _forget(self, host: str) -> None:
        tunnel = self._tunnels.pop(host, None)
        if tunnel is None:
            return
        self._held.pop(host, None)
        place, owner = tunnel.place, tunnel.owner
        _discard(self._of_family, place.family, host)
        _discard(self._of_token, owner.token, host)
        _discard(self._of_agent, owner, host)
        if tunnel.found.link is not None:
            _discard(self._of_link, tunnel.found.link, host)
        self._wildcards -= place.host.startswith("*")


KeyT = TypeVar("KeyT")


def _discard(index: "dict[KeyT, set[str]]", key: KeyT, host: str) -> None:
    hosts = index.get(key)
    if hosts is not None:
        hosts.discard(host)
        if not hosts:
            del index[key]
