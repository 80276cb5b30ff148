"""
Deliveries as the network has them on a bad day: twice, late, out of order, not at all.

Nothing here is outside of what Stripe warns of; see
https://docs.stripe.com/webhooks#handle-duplicate-events and #event-ordering.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple, Protocol

from hookloop.errors import ConfigError

__all__ = ["Chaos", "ChaosRandom", "Fate"]

REORDER_SECONDS = 1.0
"""How long a delivery may be held back for later ones to overtake it."""


class ChaosRandom(Protocol):
    """What we need of `random.Random`."""

    def random(self) -> float: ...


class Fate(NamedTuple):
    """What befalls one delivery."""

    is_dropped: bool
    """It is never sent, unless somebody asks for it again."""
    delay_seconds: float
    """Before its first attempt."""
    is_doubled: bool
    """It is sent a second time, whatever the first was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """How likely each mishap is, from 0 to 1. Raises `ConfigError` for any other figure."""

    duplicate: float = 0.0
    """To be sent twice."""
    delay: float = 0.0
    """To be late, by up to `delay_seconds`."""
    reorder: float = 0.0
    """To be held back so that what comes within the next second may overtake it."""
    drop: float = 0.0
    """To be lost: recorded as failed, and not tried again."""
    delay_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in ("duplicate", "delay", "reorder", "drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"chaos: {name} is {getattr(self, name)}: give how likely it is, from 0 to 1"
                )
        if not 0 <= self.delay_seconds < float("inf"):
            raise ConfigError(
                f"chaos: delay_seconds is {self.delay_seconds}: it must be a number, 0 or more"
            )

    @classmethod
    def parse(cls, text: str) -> "Chaos":
        """Read ``duplicate=0.2,drop=0.01``. Raises `ConfigError` for what is not so."""
        known = [field.name for field in fields(cls)]
        chaos = cls()
        for part in text.split(","):
            name, equals, figure = (piece.strip() for piece in part.partition("="))
            if name not in known or not equals:
                raise ConfigError(
                    f"chaos has the part {part.strip()!r}: write NAME=FIGURE, with a comma between "
                    f"two; the names are {', '.join(known)}"
                )
            try:
                number = float(figure)
            except ValueError:
                raise ConfigError(f"chaos: {name} is {figure!r}: give a number") from None
            chaos = replace(chaos, **{name: number})
        return chaos

    def fate(self, random: ChaosRandom) -> Fate:
        """Throw the dice for one delivery."""
        late = random.random() < self.delay
        seconds = random.random() * self.delay_seconds if late else 0.0
        if random.random() < self.reorder:
            seconds += random.random() * REORDER_SECONDS
        return Fate(
            is_dropped=random.random() < self.drop,
            delay_seconds=seconds,
            is_doubled=random.random() < self.duplicate,
        )
