"""The seam for metrics and traces."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .event import Event
    from .result import Result

__all__ = ["Answered", "Observer"]


class Answered:
    """One request, answered: what a metric needs of it, and nothing of its payload."""

    __slots__ = ("event", "provider", "reason", "result", "seconds")

    def __init__(
        self,
        result: "Result",
        *,
        provider: str,
        event: "Event[Any] | None",
        reason: str | None,
        seconds: float,
    ) -> None:
        self.result = result
        self.provider = provider
        """Such as ``stripe``."""
        self.event = event
        """None where the request was refused."""
        self.reason = reason
        """Why it was refused, in one of a few fixed words."""
        self.seconds = seconds
        """From the complete request to its answer."""


class Observer(Protocol):
    """
    Hears of every attempt and every answer. Give it to `Hooks.observe`.

    The caller's duty: return at once and never raise; this is the path of live requests.
    """

    def attempt(self, event: "Event[Any]", handler: str) -> AbstractContextManager[Any]:
        """
        Return a context to run *handler* in; what the handler raises passes through it.

        A `Retry`, `Reject` or `Drop` that was returned passes through it like one raised.
        """
        ...

    def answered(self, answered: Answered) -> None:
        """Hear of a request that has its answer."""
        ...
