"""What is kept and never changed: a message, and the receipt its sender gets for it."""

from dataclasses import dataclass, field

from hookloop.errors import ConfigError

__all__ = ["DEDUPE_SECONDS", "MESSAGE_BYTES_MAX", "Message", "NewMessage", "Receipt"]

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""Head and body together. Stripe's events stay under 1 MB, GitHub's payloads under 25 MB; what is
larger holds the one writer up, and belongs into a file that the message names."""

DEDUPE_SECONDS = 35 * 24 * 3600.0
"""How long a key is known: Stripe retries for 3 days, and resends by hand for 30."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """
    Something that is owed to somebody. Raises `ConfigError` for an impossible one.

    The bytes are kept as they are: a signature over them can be checked again years later.
    """

    source: str
    """Whose message it is: the name space of `key`, such as an account or a tunnel."""
    body: bytes = field(repr=False)
    targets: tuple[str, ...]
    """Who is owed it: one delivery for each name."""
    head: bytes = field(default=b"", repr=False)
    """What came with the body, in the source's own encoding; the ledger never looks into it."""
    type: str = ""
    """For searching, such as ``invoice.paid``."""
    key: str | None = None
    """What makes it the same message as an earlier one of its source; None is never the same."""
    order_key: str | None = None
    """Deliveries of one target that share it are made one at a time, in the order of their
    messages; None waits for nobody."""
    ordered_targets: frozenset[str] | None = None
    """Whose deliveries `order_key` is for; None: all of them."""
    rank: float = 0.0
    """Which goes first of those that wait for one order key: the lower rank, then the older one.
    One that is being attempted is not interrupted; one that waits for a retry gives way."""

    def order_key_of(self, target: str) -> str | None:
        """Return the order key of the delivery to *target*."""
        is_ordered = self.ordered_targets is None or target in self.ordered_targets
        return self.order_key if is_ordered else None

    def __post_init__(self) -> None:
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise ConfigError(
                f"a message of {self.source!r} has the targets {self.targets}: name at least one, "
                "and each of them once"
            )
        if len(self.head) + len(self.body) > MESSAGE_BYTES_MAX:
            raise ConfigError(
                f"a message of {self.source!r} has {len(self.head) + len(self.body)} bytes: "
                f"{MESSAGE_BYTES_MAX} is the most a ledger takes; keep the bytes in a file, and "
                "name it in the message"
            )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one `NewMessage`."""

    message: int
    """The id it is kept under; for a duplicate, that of the first one. Ids grow, and are never
    given twice."""
    is_duplicate: bool = False
    """Its key was known: nothing new is owed to anybody."""
    is_altered: bool = False
    """A duplicate whose body is not that of the first one. A sender's fault, or a field that
    counts its own retries (Stripe's ``pending_webhooks`` does); the first body stays."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is kept."""

    id: int
    source: str
    type: str
    key: str | None
    received_at: float
    """Unix seconds of the store's clock, when it was written."""
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)
