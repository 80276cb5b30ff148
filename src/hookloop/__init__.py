"""
Hook and loop: fastens webhooks to your loopback.

    from hookloop import Hooks

    hooks = Hooks(secrets="whsec_...")

    @hooks.on("customer.updated")
    def renamed(event): ...

This door stands on the standard library alone. The relay, the agent and the
sandbox are behind ``hookloop[standard]`` and the ``hookloop`` command.
"""

from .errors import ConfigError, HookloopError, RemoteError, SignatureError
from .events import Drop, Event, Handlers, Hooks, ProviderHooks, Reject, Reply, Result, Retry
from .version import __version__

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
]
