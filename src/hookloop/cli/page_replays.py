"""Carries out what the inspector's pages replay, to the tunnels that are open or to another app."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hookloop.errors import ConfigError, StoreError
from hookloop.inspector import Captured, CaptureStore, Redaction
from hookloop.inspector.replay_plan import Shot

from .replayer import Replayer

if TYPE_CHECKING:
    from hookloop.tunnel.agent import Tunnel
    from hookloop.tunnel.agent.config import TunnelConfig

__all__ = ["PageReplays"]


class PageReplays:
    """Sends into *store*; *tunnels* are those that are open now."""

    def __init__(
        self,
        tunnels: "Callable[[], Sequence[Tunnel]]",
        store: CaptureStore,
        redaction: Redaction,
    ) -> None:
        self._tunnels = tunnels
        self._store = store
        self._redaction = redaction

    async def send(self, shots: Sequence[Shot], upstream: str | None) -> tuple[Captured, ...]:
        """Send *shots*, and return what came of them. Raises `ConfigError`, `StoreError`."""
        config_of = self._config_of if upstream is None else _another(upstream)
        replayer = Replayer(config_of, self._store, redaction=self._redaction)
        try:
            return await replayer.run(shots)
        except* StoreError as group:
            failure = str(group.exceptions[0])
        raise StoreError(failure)  # one for all: a page has room for one

    def _config_of(self, name: str) -> "TunnelConfig | None":
        """Return the tunnel of *name*; where one alone is open, that: yesterday's had another."""
        found = [tunnel for tunnel in self._tunnels() if tunnel.config.protocol == "http"]
        for tunnel in found:
            if name in {tunnel.name, tunnel.label}:
                return tunnel.config
        return found[0].config if len(found) == 1 else None


def _another(upstream: str) -> "Callable[[str], TunnelConfig | None]":
    from hookloop.tunnel.agent.address import parse_upstream
    from hookloop.tunnel.agent.options import TunnelOptions

    if upstream.startswith("unix:"):
        # Whoever has an account on this machine reaches the pages, but not each of its sockets.
        raise ConfigError("a page sends to a port or an address: a socket needs hookloop requests")
    config = TunnelOptions(upstream=upstream, host_header="rewrite").config(
        parse_upstream(upstream)
    )
    return lambda _: config
