"""The agent's settings."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hookloop.errors import ConfigError
from hookloop.tunnel.catch.config import CatchConfig
from hookloop.tunnel.wire.handshake import Carriage

from .address import Upstream, parse_upstream
from .policy import Policy
from .proxy_header import VERSIONS
from .trust import Trust

__all__ = ["PROTOCOLS", "AgentConfig", "TunnelConfig", "Upstream", "parse_upstream"]

PROTOCOLS = ("http", "tcp", "tls")
PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class TunnelConfig:
    """One tunnel: what callers reach, and how. Raises `ConfigError` for what cannot work."""

    upstream: Upstream
    name: str | None = None
    """The name asked of the relay, or None for any."""
    label: str = ""
    """What this agent calls it, unique among its tunnels; without one its name, or ``tunnel``."""
    protocol: str = "http"
    """``http``, ``tcp`` or ``tls``: what the relay passes on."""
    connect_seconds: float = 10.0
    """How long the upstream may take to accept a connection; as ngrok."""
    response_seconds: float = 300.0
    """How long the upstream may take to begin its answer: time for a breakpoint."""
    remote_port: int = 0
    """The public port asked of the relay for a tcp tunnel, or 0 for any."""
    proxy_protocol: str | None = None
    """``v1`` or ``v2``: begin each connection of a tcp or tls tunnel with the caller's address."""
    idle_seconds: float = 0.0
    """The longest silence of such a connection, both ways; 0: any."""
    policy: Policy = field(default_factory=Policy)
    """What passes, and what changes on the way; of http tunnels alone."""
    catch: CatchConfig | None = None
    """Catch mode: what comes while the upstream is down is kept for it; None for a 502."""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name or "tunnel")  # the way of frozen ones
        if self.protocol not in PROTOCOLS:
            raise ConfigError(
                f"the tunnel {self.label!r} has the protocol {self.protocol!r}: "
                f"use one of {', '.join(PROTOCOLS)}"
            )
        if self.catch is not None and self.protocol != "http":
            raise ConfigError(
                f"the tunnel {self.label!r} is {self.protocol}: only http requests can be caught"
            )
        if not 0 <= self.remote_port <= PORT_MAX:
            raise ConfigError(f"{self.remote_port} is no public port: use 1 to {PORT_MAX}")
        if self.proxy_protocol is not None and self.proxy_protocol not in VERSIONS:
            raise ConfigError(
                f"{self.proxy_protocol!r} is no version of the PROXY protocol: use v1 or v2"
            )


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Raises `ConfigError` for settings that cannot work."""

    relay_url: str
    """``http://host:port`` or ``https://host``."""
    token: str = field(repr=False)
    tunnels: tuple[TunnelConfig, ...]
    """Those it starts with; more may be added while it runs."""
    connect_seconds: float = 10.0
    """How long the relay may take to accept a session; as ngrok."""
    via: Carriage | None = None
    """How its frames travel; None for the first way that passes."""
    trust: Trust = field(default_factory=Trust)
    """Which certificate a relay may show, by https."""

    def __post_init__(self) -> None:
        if not _is_relay_url(self.relay_url):
            raise ConfigError(
                f"{self.relay_url!r} is not a relay's address: give it as https://host or http://host:port"
            )
        if not self.token:
            raise ConfigError(
                "the relay wants a token: pass --token, or set HOOKLOOP_TOKEN, to what "
                "`hookloop relay` printed"
            )
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise ConfigError("the token has characters no relay token has: copy it again")
        for what, values in (
            ("label", [tunnel.label for tunnel in self.tunnels]),
            ("name", [tunnel.name for tunnel in self.tunnels if tunnel.name is not None]),
        ):
            if len(set(values)) < len(values):
                again = next(value for value in values if values.count(value) > 1)
                raise ConfigError(f"two tunnels have the {what} {again!r}: give each its own")


def _is_relay_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port over 65535 or that is no number, a bracket left open
        return False
    is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
    return is_web and not parts.path.strip("/")
