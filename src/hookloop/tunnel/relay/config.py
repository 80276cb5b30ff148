"""The relay's settings."""

import re
from dataclasses import dataclass, field

from hookloop.errors import ConfigError

__all__ = ["RelayConfig"]

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}", re.ASCII)
PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """Raises `ConfigError` for settings that cannot work."""

    domain: str
    """Tunnels are the names below it: ``tun.example`` serves ``shop.tun.example``."""
    tokens: tuple[str, ...] = field(repr=False)
    """What agents must show; at least one."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 0
    """0: any free port."""
    public_url: str | None = None
    """How callers reach the relay where that differs, as behind a TLS proxy: ``https://tun.example``."""
    head_seconds: float = 10.0
    """How long a request head may take; nginx allows 60, slow-loris attacks live on it."""
    idle_seconds: float = 75.0
    """How long a connection may wait for its next request, or for more of a body; as nginx."""
    drain_seconds: float = 25.0
    """How long exchanges may go on after the relay was told to stop; supervisors wait 30."""

    def __post_init__(self) -> None:
        if not _DOMAIN.fullmatch(self.domain):
            raise ConfigError(
                f"{self.domain!r} is not a domain name: give the relay one in lower case, such as "
                "tun.example.com, or tun.localhost for this machine only"
            )
        if not 0 <= self.port <= PORT_MAX:
            raise ConfigError(f"{self.port} is not a port: use 1 to {PORT_MAX}, or 0 for any free")
        if self.public_url is not None and not re.fullmatch(
            r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?", self.public_url
        ):
            raise ConfigError(
                f"{self.public_url!r} is not a public URL: give scheme and host, and no path"
            )
