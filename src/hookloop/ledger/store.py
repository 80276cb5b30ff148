"""
The seam between the ledger and what keeps it: each docstring is a guarantee.

Three stores keep it: memory, SQLite, and, with the same tables, Postgres. One contract suite
runs on every store (tests/contract/), so that what holds here holds on each.

What a store promises of all its methods:

- **Durable.** A method that changes something returns once the change would outlive what
  `Store.durability` says it outlives. Nothing is promised of a call that raised or was
  cancelled: it may have happened. Append again with the same key, and it is a duplicate.
- **Atomic.** A call happens as a whole, or not at all; calls happen one after the other.
- **Fenced.** Only the latest lease of a delivery is heard (`delivery.is_held`).
- **Timed by the store.** Waits and leases are durations, and the store's one clock turns them
  into times: no two workers need to agree on what time it is.
- `StoreError` where the disk or the database cannot do it now: tell the sender to come again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .delivery import Attempt, Delivery, LeaseId, Outcome, State
from .message import DEDUPE_SECONDS, Message, NewMessage, Receipt

__all__ = [
    "CLAIM_MAX",
    "FIND_MAX",
    "Durability",
    "Lease",
    "Retention",
    "Selection",
    "Store",
    "Tally",
]

CLAIM_MAX = 256
"""Deliveries of one claim: their bodies are in memory together."""

FIND_MAX = 1000
"""Rows of one page."""


@dataclass(frozen=True, slots=True)
class Durability:
    """What an accepted message outlives, as proved when the store was opened."""

    outlives_kill: bool
    """``kill -9`` of this process."""
    outlives_power_loss: bool
    """Of the machine, on a disk that keeps what it says it has flushed."""
    loss_window: str
    """What is lost otherwise, in a sentence for a person; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A delivery in the hands of one worker, with all it needs to attempt it."""

    delivery: Delivery
    message: Message

    @property
    def id(self) -> LeaseId:
        return self.delivery.lease


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries are meant: all that fit every field that is not None."""

    target: str | None = None
    state: State | None = None
    source: str | None = None
    type: str | None = None
    message: int | None = None
    received_from: float | None = None
    """Unix seconds, inclusive."""
    received_before: float | None = None
    """Unix seconds, exclusive."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one target is owed, and was."""

    waiting: int = 0
    ready: int = 0
    leased: int = 0
    done: int = 0
    dead: int = 0
    owed_bytes: int = 0
    """Heads and bodies of what is not settled."""
    oldest_received_at: float | None = None
    """Of what is not settled; None where nothing is owed."""

    @property
    def owed(self) -> int:
        return self.waiting + self.ready + self.leased


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is settled is kept."""

    done_seconds: float = 7 * 24 * 3600.0
    """For replays of what a bug of yours took wrongly."""
    dead_seconds: float = DEDUPE_SECONDS
    """For a person to look at; as long as its sender could send it again."""


class Store(Protocol):
    """Messages, the deliveries they are owed to, and each attempt made of them."""

    @property
    def durability(self) -> Durability:
        """What is promised of everything below; known once the store is open."""
        ...

    # --- the way of a delivery --------------------------------------------------------------

    async def append(self, messages: Sequence[NewMessage]) -> list[Receipt]:
        """
        Keep *messages* with a delivery to each of their targets, and return their receipts.

        Durable when it returns, and only then may a sender be told so. One transaction: all of
        them or none. A key that is known for its source since less than the store's
        ``dedupe_seconds`` makes a duplicate: nothing is written, the receipt names the first
        one. Of the same key twice in *messages*, the second is the duplicate.
        """
        ...

    async def claim(
        self, room: Mapping[str, int], *, limit: int, lease_seconds: float
    ) -> list[Lease]:
        """
        Lease what is due of the targets in *room*: at most as many of each as it says.

        No two claims get the same delivery, unless the first one's lease has run out. The
        attempt is counted, durably, before this returns: one that kills its worker was counted.
        At most one delivery of a target and order key is leased at any time, the oldest that
        is not settled. A delivery whose lease ran out before comes alone (`choice.chosen`).
        *limit* is cut to `CLAIM_MAX`.
        """
        ...

    async def extend(self, leases: Collection[LeaseId], *, lease_seconds: float) -> set[LeaseId]:
        """
        Let *leases* run for *lease_seconds* from now, and return those that are still held.

        Whose lease is missing must stop: somebody else has the delivery.
        """
        ...

    async def settle(self, outcomes: Mapping[LeaseId, Outcome]) -> set[LeaseId]:
        """
        Record what became of the attempts, and return the leases that were heard.

        Durable when it returns, and atomic with the attempt's record and with the advance of
        the next one of the order key. An outcome of a lease that is not held changes nothing.
        """
        ...

    async def forfeit(self, targets: Collection[str]) -> int:
        """
        Take back every lease on *targets* and return how many there were; each is a crash.

        The caller's duty: to know that their holders are dead, as the only process that works
        on these targets does when it starts. Being wrong costs a second delivery, no loss.
        """
        ...

    # --- what a person asks for -------------------------------------------------------------

    async def replay(self, where: Selection, *, per_second: float | None = None) -> int:
        """
        Owe what is settled in *where* anew, oldest first, and return how many that are.

        Due at once, or spread so that *per_second* of them become due; atomic as a whole.
        """
        ...

    async def find(self, where: Selection, *, limit: int, after: int = 0) -> list[Delivery]:
        """Return deliveries in *where* with ids above *after*, oldest first; at most `FIND_MAX`."""
        ...

    async def message(self, wanted: int) -> Message | None:
        """Return the message, or None where there is none, or none any more."""
        ...

    async def attempts(self, delivery: int) -> list[Attempt]:
        """Return all attempts of *delivery* that have ended, oldest first."""
        ...

    async def tally(self, target: str) -> Tally:
        """Count what *target* is owed, and was within the retention."""
        ...

    # --- housekeeping -----------------------------------------------------------------------

    async def prune(self, retention: Retention, *, limit: int) -> int:
        """
        Forget at most *limit* deliveries settled for longer than *retention* allows.

        With their attempts, with messages nobody else is owed or was, and with expired dedupe
        keys, of which at most *limit* too. A key outlives its message. Returns how many
        deliveries it was; call again while that is *limit*.
        """
        ...

    async def wait_due(self, targets: Collection[str], seconds: float) -> None:
        """
        Return after *seconds*, or sooner when something of *targets* may have become due.

        A hint and no more: it comes from appends, settles and replays that this process sees
        (in Postgres, of every process that listens). Who waits for retries, or for another
        process, is woken by *seconds*: claim then in any case.
        """
        ...

    async def close(self) -> None:
        """Finish what was asked for, and let go of the disk; a second call does nothing."""
        ...
