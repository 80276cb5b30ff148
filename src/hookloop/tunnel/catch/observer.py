"""Who is told what catch mode does: one frozen value for each thing that happens."""

from dataclasses import dataclass
from typing import Protocol

from hookloop.exchange import RequestHead

__all__ = [
    "CatchEvent",
    "CatchObserver",
    "Caught",
    "Delivered",
    "Delivering",
    "Left",
    "NotCaught",
    "Postponed",
    "nobody",
]


@dataclass(frozen=True, slots=True)
class Left:
    """At the start: requests are on the disk since the last time."""

    waiting: int


@dataclass(frozen=True, slots=True)
class Caught:
    """A request is on the disk, and its sender is told so."""

    tunnel: str
    head: RequestHead
    waiting: int
    """All that wait for the app now, this one too."""


@dataclass(frozen=True, slots=True)
class NotCaught:
    """A request could not be kept: its sender is told to come again."""

    tunnel: str
    head: RequestHead
    reason: str


@dataclass(frozen=True, slots=True)
class Delivering:
    """The app is there: what waits is on its way, oldest first."""

    waiting: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """The app has answered a caught request for good."""

    tunnel: str
    head: RequestHead
    status: int
    received_at: float
    """Unix seconds."""
    age_seconds: float
    """How long it waited."""
    waiting: int
    """What still does."""

    @property
    def is_taken(self) -> bool:
        """Whether the app was content with it; a 4xx is final too, and nobody's success."""
        return self.status < 400


@dataclass(frozen=True, slots=True)
class Postponed:
    """The app could not take a caught request: it stays the first, and is tried again."""

    tunnel: str
    head: RequestHead
    reason: str
    retry_seconds: float | None
    """None: when the app's port is open again."""
    waiting: int


CatchEvent = Left | Caught | NotCaught | Delivering | Delivered | Postponed


class CatchObserver(Protocol):
    """Must return at once and never raise."""

    def catch_event(self, event: CatchEvent) -> None: ...


class _Nobody:
    def catch_event(self, event: CatchEvent) -> None: ...


nobody: CatchObserver = _Nobody()
