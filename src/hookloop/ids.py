"""Identifiers: a readable prefix and letters nobody can guess."""

from collections.abc import Sequence
from typing import Protocol

__all__ = ["ALPHABET", "RandomSource", "new_id"]

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class RandomSource(Protocol):
    """What we need of `random.Random`; production passes ``SystemRandom()``."""

    def choices(self, population: Sequence[str], *, k: int) -> list[str]: ...


def new_id(prefix: str, random: RandomSource, *, length: int = 24) -> str:
    """Return *prefix* followed by *length* letters and digits drawn from *random*."""
    return prefix + "".join(random.choices(ALPHABET, k=length))
