"""Tunnel names: DNS labels, and random ones that are easy to say."""

import re

from hookloop.ids import RandomSource

__all__ = ["is_valid_name", "random_name"]

# RFC 1123 label, lower case; `--` in the third place would be an IDNA label.
_LABEL = re.compile(r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_RESERVED = frozenset({"www", "relay", "admin", "api", "status", "localhost"})

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
