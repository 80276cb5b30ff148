"""
The handler library: receive a webhook, verify it, run the handlers of its event.

Read `hooks` first: it is the door, and `receiver` the path a request takes. `receive`
judges a request, `router` finds its handlers and `attempts` runs them; `event` is what
they are given, `outcomes` what they may answer. Each face is a module of its own
(`asgi`, `wsgi`, `django`, `flask`, `fastapi`, `aws_lambda`), imported only when it is
asked for.
"""

from typing import TYPE_CHECKING, Any

from .event import Event, Related
from .handlers import Handlers
from .hooks import Hooks
from .incoming import Incoming
from .outcomes import Drop, Reject, Reply, Retry
from .result import Result

if TYPE_CHECKING:
    from .observer import Answered, Observer
    from .provider_hooks import ProviderHooks

__all__ = [
    "Answered",
    "Drop",
    "Event",
    "Handlers",
    "Hooks",
    "Incoming",
    "Observer",
    "ProviderHooks",
    "Reject",
    "Related",
    "Reply",
    "Result",
    "Retry",
]

# What not every process needs is imported when it is asked for (PEP 562).
_LATER = {
    "Answered": "observer",
    "Observer": "observer",
    "ProviderHooks": "provider_hooks",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATER[name]}", __name__), name)
