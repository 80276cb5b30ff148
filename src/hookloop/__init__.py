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
from .events import Event, Hooks

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "Event",
    "HookloopError",
    "Hooks",
    "RemoteError",
    "SignatureError",
    "__version__",
]
