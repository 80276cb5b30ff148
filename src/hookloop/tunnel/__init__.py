"""
A public URL for a local service: `relay` (public side), `agent` (local side), `wire` between.

`connect` opens one inside your own program; it needs ``hookloop[standard]``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .embedded import ConnectedTunnel, Connection, connect

__all__ = ["ConnectedTunnel", "Connection", "connect"]


def __getattr__(name: str) -> Any:
    # Whoever runs a relay or an agent alone needs not both (PEP 562).
    if name in __all__:
        from . import embedded

        return getattr(embedded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
