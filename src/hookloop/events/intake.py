"""
The seam to what keeps events until they are handled; `hookloop.inbox` is what stands behind it.

This library never imports it: an inbox is handed to `Hooks`, or named by a URL and loaded at
the first event.
"""

from typing import TYPE_CHECKING, Any, Protocol

from .event import Event
from .incoming import Incoming
from .receive import Rejected
from .result import Result
from .router import Handler
from .running import Runner, Waiting

if TYPE_CHECKING:
    from .receiver import Receiver

__all__ = ["Database", "Intake", "intake_at"]


class Database(Protocol):
    """Where an inbox keeps events, in place of a URL: see `hookloop.inbox.backend`."""

    name: str
    """For messages: never with a password in it."""


class Intake(Protocol):
    """Keeps events for the handlers of the receivers that are attached to it."""

    def attach(self, receiver: "Receiver") -> None:
        """Take events of *receiver* from now on, and run its handlers."""
        ...

    def start(self) -> None:
        """Begin to work off what is owed, where this process is to; a second call does nothing."""
        ...

    def stop(self) -> None:
        """End the work in this process. Blocks, some seconds at most; never from an event loop."""
        ...

    def accept(
        self,
        receiver: "Receiver",
        event: Event[Any],
        request: Incoming | None,
        handlers: tuple[Handler, ...],
        runner: Runner,
        *,
        is_changed: bool,
    ) -> Result | Rejected | Waiting:
        """
        Keep *event* for *handlers*, and return what to answer, or a `Waiting` for it.

        2xx only once it is kept; 503, within seconds, where it may not be. Raises `ConfigError` for
        an event that cannot be kept, such as one of many megabytes.
        *is_changed* says that a filter has handed on another event than the request's.
        """
        ...


def intake_at(where: str | Database) -> Intake:
    """Return the inbox at *where*. Raises `ConfigError` where it names no database."""
    from importlib import import_module

    inbox: Intake = import_module("hookloop.inbox.inbox").Inbox(where)
    return inbox
