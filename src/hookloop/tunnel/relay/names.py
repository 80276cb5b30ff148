"""
Tunnel names and the hosts they stand for. Pure.

An agent asks for ``shop``, a name below the main domain; for a whole host, below any of the
domains or one that its token owns; or, with ``*.`` before either, for all hosts below it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from hookloop.ids import RandomSource

__all__ = [
    "HOST_CHARS_MAX",
    "Namespace",
    "Place",
    "is_pattern",
    "is_valid_name",
    "matches",
    "random_name",
    "wildcards_of",
]

HOST_CHARS_MAX = 253  # RFC 1035 section 2.3.4, as text
# RFC 1123 label, lower case; `--` in the third place would be an IDNA label.
_LABEL = re.compile(r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# A host that belongs to somebody may have any labels that DNS has.
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,63}", re.ASCII)
_RESERVED = frozenset({"www", "relay", "admin", "api", "status", "localhost"})
WILDCARD = "*."

_FIRST = ["amber", "brave", "calm", "clear", "cosy", "early", "fair", "gentle", "keen", "kind"]
_FIRST += ["light", "lucky", "mellow", "neat", "quick", "quiet", "round", "sunny", "warm", "wise"]
_SECOND = ["acorn", "beacon", "canyon", "comet", "fern", "finch", "harbor", "heron", "island"]
_SECOND += ["lantern", "maple", "meadow", "otter", "pebble", "river", "robin", "sparrow", "tide"]
_TAIL = "abcdefghijkmnpqrstuvwxyz23456789"  # without 0 o 1 l
_TAIL_CHARS = 8  # 40 bits: a public URL should not be found by trying


def is_valid_name(name: str) -> bool:
    """Say whether *name* may be bound: a lower-case DNS label that is not reserved."""
    return bool(_LABEL.fullmatch(name)) and name not in _RESERVED


def random_name(random: RandomSource) -> str:
    """Return a name such as ``brave-otter-k3w9x2pa``."""
    words = random.choices(_FIRST, k=1) + random.choices(_SECOND, k=1)
    return "-".join([*words, "".join(random.choices(_TAIL, k=_TAIL_CHARS))])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tunnel is."""

    host: str
    """The whole host, or ``*.`` and what all its hosts are below."""
    name: str
    """What agent and relay call it: the part before the main domain, or else the host."""
    family: str
    """
    The host whose owner decides: ``shop.tun.example`` for itself and all below it. So nobody
    sets cookies for a name by binding another one below it.
    """
    label: str | None
    """The first label below a domain of the relay; None for a host of somebody's own."""


class Namespace:
    """The names of a relay with one or more domains."""

    def __init__(self, *domains: str, reserved: tuple[str, ...] = ()) -> None:
        """The first of *domains* is the main one."""
        self._main = domains[0]
        self._domains = sorted(domains, key=len, reverse=True)  # eu.tun.example before tun.example
        self._reserved = frozenset(reserved)

    def place(self, name: str) -> Place | None:
        """Return where the tunnel *name* is; None where no tunnel can be."""
        is_wildcard = name.startswith(WILDCARD)
        rest = name.removeprefix(WILDCARD)
        host = rest if "." in rest else f"{rest}.{self._main}"
        prefix = WILDCARD if is_wildcard else ""
        if len(prefix + host) > HOST_CHARS_MAX or host in self._domains:
            return None
        domain = self.domain_of(host)
        if domain is None:
            return Place(prefix + host, prefix + host, host, None) if _is_host(host) else None
        labels = host.removesuffix("." + domain).split(".")
        label = labels[-1]
        is_valid = all(map(_LABEL.fullmatch, labels)) and is_valid_name(label)
        if not is_valid or label in self._reserved:
            return None
        is_short = domain == self._main and len(labels) == 1
        return Place(
            prefix + host, prefix + label if is_short else prefix + host, f"{label}.{domain}", label
        )

    def domain_of(self, host: str) -> str | None:
        """Return the domain of ours that *host* is below, or None."""
        return next((domain for domain in self._domains if host.endswith("." + domain)), None)

    def name_of(self, host: str) -> str:
        """Return what a person would ask for to get *host*."""
        label = host.removesuffix("." + self._main)
        return host if "." in label else label

    def random_place(self, random: RandomSource) -> Place:
        """Return a name below the main domain that is easy to say."""
        while True:
            place = self.place(random_name(random))
            if place is not None:  # a domain of ours might have such a name
                return place


def wildcards_of(host: str) -> Iterator[str]:
    """Return the wildcards that *host* is below, the nearest first."""
    while "." in host:
        host = host.partition(".")[2]
        yield WILDCARD + host


def matches(pattern: str, place: Place) -> bool:
    """
    Say whether *pattern* of a token covers *place*.

    A pattern without a dot, ``shop`` or ``ci-*``, is held against the label below the relay's
    domains; one with a dot against the host whose owner decides. A ``*`` stands for any
    characters of one label; ``*.customer.com`` covers all below it, at any depth.
    """
    if pattern == place.host:
        return True
    if "." not in pattern:
        return place.label is not None and bool(_glob(pattern).fullmatch(place.label))
    if pattern.startswith(WILDCARD):
        return place.family.endswith(pattern[1:])
    return bool(_glob(pattern).fullmatch(place.family))


def is_pattern(text: str) -> bool:
    """Say whether *text* can be a pattern of a token."""
    sample = text.removeprefix(WILDCARD).replace("*", "a")
    return bool(_LABEL.fullmatch(sample) or _is_host(sample))


def _is_host(host: str) -> bool:
    # An address is nobody's name: its last label would be a number (RFC 3696 section 2).
    return bool(_HOST.fullmatch(host)) and not host.rpartition(".")[2].isdigit()


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile("[a-z0-9-]*".join(map(re.escape, pattern.split("*"))), re.ASCII)
