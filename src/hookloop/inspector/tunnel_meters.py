"""How much passes through each tunnel, measured as ngrok's agent measures it."""

from collections.abc import Callable

from hookloop.clock import Clock
from hookloop.exchange import Exchange
from hookloop.meter import Meter, Reading

__all__ = ["TunnelMeters"]

NAMES_MAX = 1_000  # meters that are kept; an agent's tunnels are a few dozen


class TunnelMeters:
    """A `CaptureSink` with a meter a tunnel; an exchange costs it some microseconds."""

    def __init__(self, clock: Clock, random: Callable[[], float]) -> None:
        self._clock = clock
        self._random = random
        self._exchanges: dict[str, Meter] = {}
        self._connections: dict[str, Meter] = {}

    def captured(self, exchange: Exchange) -> None:
        seconds = (exchange.ended - exchange.started,)
        now = self._clock.monotonic()
        self._meter(self._exchanges, exchange.tunnel).ended(1, seconds, now)
        # The relay keeps the callers' connections; here each exchange arrives by itself.
        self._meter(self._connections, exchange.tunnel).ended(1, seconds, now)

    def connection_ended(self, tunnel: str, seconds: float) -> None:
        """A connection of a tcp or tls tunnel has ended."""
        now = self._clock.monotonic()
        self._meter(self._connections, tunnel).ended(1, (seconds,), now)

    def exchanges(self, tunnel: str) -> Reading:
        """Return what has passed by the name the relay gave the *tunnel*."""
        return self._reading(self._exchanges, tunnel, 0)

    def connections(self, tunnel: str, *, open_now: int) -> Reading:
        return self._reading(self._connections, tunnel, open_now)

    def _reading(self, meters: dict[str, Meter], tunnel: str, open_now: int) -> Reading:
        return self._meter(meters, tunnel).reading(self._clock.monotonic(), open_now=open_now)

    def _meter(self, meters: dict[str, Meter], tunnel: str) -> Meter:
        meter = meters.get(tunnel)
        if meter is None:
            if len(meters) >= NAMES_MAX:
                del meters[next(iter(meters))]  # of the tunnel that was opened first
            meter = meters[tunnel] = Meter(self._clock.monotonic(), self._random)
        return meter
