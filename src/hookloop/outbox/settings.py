"""How an outbox sends."""

from dataclasses import dataclass, field

from hookloop.errors import ConfigError
from hookloop.ledger.store import Retention
from hookloop.schedule import RetrySchedule

from .judgement import STANDARD_SCHEDULE

__all__ = ["OutboxSettings"]


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Raises `ConfigError` for what cannot be."""

    schedule: RetrySchedule = STANDARD_SCHEDULE
    timeout_seconds: float = 15.0
    """From the connect to the last byte of the answer; Standard Webhooks advises 15 to 30."""
    endpoint_attempts_at_once: int = 8
    """To one endpoint that is well; one that fails is tried with one at a time."""
    attempts_at_once: int = 512
    """To all of them: sockets and bodies in memory. Hundreds of dead endpoints fit in beside
    those that are well."""
    disable_after_seconds: float = 5 * 24 * 3600.0
    """Of failures without a success between; 0 is never."""
    allow_http: bool = False
    """URLs without TLS: for development, and for a network of your own."""
    allow_networks: tuple[str, ...] = ()
    """Networks beside the public internet that may be posted to: ``("10.1.0.0/16",)``."""
    lease_seconds: float = 30.0
    """How soon another worker takes over after a crash; a live one extends its leases."""
    look_seconds: float = 0.2
    """How late at most a commit of another process is seen."""
    retention: Retention = field(default_factory=Retention)

    def __post_init__(self) -> None:
        counts = (self.endpoint_attempts_at_once, self.attempts_at_once)
        if min(counts) < 1 or self.timeout_seconds <= 0 or self.look_seconds <= 0:
            raise ConfigError(
                f"{self} sends nothing: its counts must be 1 or more, its times over 0"
            )
        if self.disable_after_seconds < 0:
            raise ConfigError("disable_after_seconds is below 0: give 0 for never")
