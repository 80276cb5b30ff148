"""The relay's settings for tunnels that carry bytes: TCP ports, and TLS that is passed through."""

import re
from dataclasses import dataclass

from hookloop.errors import ConfigError

__all__ = ["RawSettings"]

PORT_MAX = 65535
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RawSettings:
    """Raises `ConfigError` for settings that cannot work."""

    tcp_ports: str = ""
    """The ports that TCP tunnels are given, as in ``20000-20999``; empty for no TCP tunnels."""
    idle_seconds: float = 0.0
    """
    The longest silence of a connection, both ways; 0: any, since databases idle for days. Peers
    that vanish are noticed by TCP's keepalive.
    """
    stall_seconds: float = 60.0
    """
    For a caller to take anything at all of what waits for it: what it holds up is shared with the
    agent's other callers. 0: as long as it likes.
    """
    connections_per_tunnel_max: int = 256
    """At once; more are reset. Each counts against `RelayLimits.streams_per_agent_max` too."""

    def __post_init__(self) -> None:
        for name in ("idle_seconds", "stall_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"raw.{name} is {getattr(self, name)}: give seconds, or 0")
        if self.connections_per_tunnel_max < 1:
            raise ConfigError("raw.connections_per_tunnel_max is below 1: no caller could connect")
        _ = self.ports

    @property
    def ports(self) -> range:
        """The ports as numbers."""
        if not self.tcp_ports:
            return range(0)
        match = _RANGE.fullmatch(self.tcp_ports.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if not 0 < first <= last <= PORT_MAX:
            raise ConfigError(
                f"{self.tcp_ports!r} is no range of ports: give --tcp-ports 20000-20999"
            )
        return range(first, last + 1)
