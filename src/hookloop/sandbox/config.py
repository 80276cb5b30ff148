"""All that can be set about a sandbox, checked once."""

from dataclasses import dataclass
from pathlib import Path

from hookloop.errors import ConfigError
from hookloop.schedule import STRIPE_TEST, RetrySchedule

from .chaos import Chaos

__all__ = ["PORT_DEFAULT", "SandboxConfig"]

DAY = 24 * 3600.0

PORT_DEFAULT = 12111
"""Where Stripe's own mock server listens, so that test suites and clients often know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """One sandbox. Raises `ConfigError` for values that make none."""

    host: str = "127.0.0.1"
    """The address to listen on; any other than loopback lets the network in."""
    port: int = PORT_DEFAULT
    """0 takes a free one."""
    unix_socket: Path | None = None
    """A Unix socket to listen on too: what ``STRIPE_CLI_UNIX_SOCKET`` of Stripe's CLI names."""
    stub: bool = False
    """Whether what has no state is answered by its shape, instead of refused."""
    rate_limit: int | None = None
    """Requests a second that an account may make; None for no limit."""
    retry_schedule: RetrySchedule = STRIPE_TEST
    """When failed attempts are tried again."""
    disable_after_seconds: float = 5 * DAY
    """An endpoint that has taken nothing for so long is disabled. Stripe says "several days"."""
    endpoint_rate: float | None = None
    """Attempts a second to each endpoint; None for no limit but those in flight at once."""
    shuffle: bool = False
    """Whether events of one request are sent in any order, as Stripe warns that they may be."""
    chaos: Chaos | None = None
    """How deliveries go wrong; None for not at all."""
    attempt_timeout_seconds: float = 30.0
    """Stripe publishes no figure; its command line waits this long for a forwarded event."""

    def __post_init__(self) -> None:
        if not self.host:
            raise ConfigError("the sandbox's host is empty: give an address, such as 127.0.0.1")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"the sandbox's port is {self.port}: it must be 0 to 65535")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise ConfigError(f"rate_limit is {self.rate_limit}: it must be at least 1")
        if self.endpoint_rate is not None and not 0 < self.endpoint_rate < float("inf"):
            raise ConfigError(f"endpoint_rate is {self.endpoint_rate}: it must be more than 0")
        if not self.disable_after_seconds > 0:
            raise ConfigError(
                f"disable_after_seconds is {self.disable_after_seconds}: it must be more than 0"
            )
        if not 0 < self.attempt_timeout_seconds < float("inf"):
            raise ConfigError(
                f"attempt_timeout_seconds is {self.attempt_timeout_seconds}: it must be more than 0"
            )
