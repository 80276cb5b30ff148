"""
Signals for what arrives; every one carries ``event`` (None where it was refused) and ``result``.

The sender of a signal is the `Hooks`. Receivers run in the request, and must be quick.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.dispatch import Signal

if TYPE_CHECKING:
    from hookloop.events.event import Event
    from hookloop.events.observer import Answered
    from hookloop.events.receiver import Receiver

__all__ = ["SignalObserver", "event_failed", "event_handled", "event_received", "event_refused"]

event_received = Signal()
"""A verified event, before each of its handlers; ``handler`` is the handler's name."""
event_handled = Signal()
"""Answered with success: handled, ignored, or a duplicate."""
event_failed = Signal()
"""Answered with an error: its sender will try again."""
event_refused = Signal()
"""No event at all: ``reason`` says why, in one word."""


class SignalObserver:
    """Sends the signals of one `Hooks`."""

    def __init__(self, receiver: "Receiver") -> None:
        self._receiver = receiver

    @contextmanager
    def attempt(self, event: "Event[Any]", handler: str) -> Iterator[None]:
        event_received.send_robust(self._receiver, event=event, handler=handler, result=None)
        yield

    def answered(self, answered: "Answered") -> None:
        signal = event_refused if answered.event is None else _by_success(answered)
        signal.send_robust(
            self._receiver, event=answered.event, result=answered.result, reason=answered.reason
        )


def _by_success(answered: "Answered") -> Signal:
    return event_handled if answered.result.is_success else event_failed
