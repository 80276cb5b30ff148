"""
Who is told what the sandbox does, while it does it.

The observer's duty: each method returns at once and never raises, because it
runs on the path of requests and deliveries.
"""

from dataclasses import dataclass
from typing import Protocol

from .authentication import AccountKey
from .store import Json

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "DeliveryObserver",
    "EventObserver",
    "RequestAnswered",
    "RequestObserver",
    "nobody",
]


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """A client got its answer."""

    method: str
    path: str
    """Without the query, which may hold what logs should not."""
    status: int
    request_id: str
    duration_seconds: float
    """From the whole request read to the answer made."""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An event is about to be posted to an endpoint."""

    event_id: str
    event_type: str
    endpoint_id: str
    url: str
    number: int
    """1 for the first attempt of the delivery."""
    signature: str
    """The ``Stripe-Signature`` sent: no two attempts share it, so it marks one on its way."""
    started: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The endpoint answered, or did not."""

    event_id: str
    event_type: str
    endpoint_id: str
    url: str
    number: int
    signature: str
    started: float
    """Monotonic seconds, as `ended` is."""
    ended: float
    status: int | None
    """The response's status; None where none came."""
    error: str | None
    """Why none came, in a few words."""
    delivered: bool
    """Whether the endpoint took the event: a 2xx."""
    retry_seconds: float | None
    """How long until the next attempt; None where there is none."""
    endpoint_disabled: bool = False
    """Whether it was one failure too many for the endpoint, which gets nothing more."""


class RequestObserver(Protocol):
    """Told of every request."""

    def request_answered(self, request: RequestAnswered) -> None: ...


class DeliveryObserver(Protocol):
    """Told of every attempt."""

    def attempt_started(self, attempt: AttemptStarted) -> None: ...

    def attempt_ended(self, attempt: AttemptEnded) -> None: ...


class EventObserver(Protocol):
    """Told of every event, once it is kept."""

    def event_happened(self, account: AccountKey, event: Json) -> None: ...


class _Nobody:
    def event_happened(self, account: AccountKey, event: Json) -> None:
        """Pay no heed."""

    def request_answered(self, request: RequestAnswered) -> None:
        """Pay no heed."""

    def attempt_started(self, attempt: AttemptStarted) -> None:
        """Pay no heed."""

    def attempt_ended(self, attempt: AttemptEnded) -> None:
        """Pay no heed."""


nobody = _Nobody()
"""The observer of those who look at nothing."""
