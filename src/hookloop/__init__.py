"""
Hook and loop: fastens webhooks to your loopback.

    from hookloop import Hooks

    hooks = Hooks(secrets="whsec_...")

    @hooks.on("customer.updated")
    def renamed(event): ...

This door stands on the standard library alone. The relay, the agent and the
sandbox are behind ``hookloop[standard]`` and the ``hookloop`` command.
"""

from typing import TYPE_CHECKING, Any

from .errors import ConfigError, HookloopError, RemoteError, SignatureError
from .events import Drop, Event, Handlers, Hooks, Reject, Reply, Result, Retry
from .version import __version__

if TYPE_CHECKING:
    from . import tunnel
    from .events import ProviderHooks

__all__ = [
    "ConfigError",
    "Drop",
    "Event",
    "Handlers",
    "HookloopError",
    "Hooks",
    "ProviderHooks",
    "Reject",
    "RemoteError",
    "Reply",
    "Result",
    "Retry",
    "SignatureError",
    "__version__",
    "tunnel",
]


def __getattr__(name: str) -> Any:
    # Not every process needs it (PEP 562).
    if name == "ProviderHooks":
        from .events import ProviderHooks

        return ProviderHooks
    if name == "tunnel":
        from importlib import import_module

        return import_module(".tunnel", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
