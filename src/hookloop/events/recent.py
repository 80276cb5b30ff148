"""
A bounded memory of events seen lately, so that a duplicate runs no handler twice.

It keeps, for each event, which handlers are done: a failed event that comes again runs
the others only. It is this process's own and dies with it; what must survive that, or
be shared by several workers, belongs in an inbox.
"""

# What `threading.Lock` is; `threading` itself costs 1 ms to import.
from _thread import allocate_lock
from collections.abc import Hashable
from itertools import islice

from .outcomes import Reply
from .router import Handler

__all__ = ["LEASE_SECONDS", "RECENT_MAX", "Claim", "RecentEvents"]

RECENT_MAX = 10_000  # events; about 3 MB, and a day of a busy shop
LEASE_SECONDS = 600.0  # a run that takes longer is taken for hung, and the event may run again


class Claim:
    """
    An event that has come, taken for some handlers.

    The first claim of an event stays, as all that is remembered of it: there are thousands.
    """

    __slots__ = ("_first", "_others", "done", "handlers", "reply", "until")

    def __init__(
        self, handlers: tuple[Handler, ...], until: float = 0.0, first: "Claim | None" = None
    ) -> None:
        self.handlers = handlers
        """Those still to run; empty where they have ended, and for a duplicate."""
        self.until = until
        """When they are taken for hung, and may run again."""
        self.done: tuple[Handler, ...] = ()
        """Those that need not run again."""
        self.reply: Reply | None = None
        """What the event's sender was told, where it asked for an answer."""
        self._first = first
        self._others: tuple[Claim, ...] = ()
        """Later claims: of a failed event that came again, or of a twin with handlers of its
        own, which need not wait."""

    def again(self, handlers: tuple[Handler, ...], now: float) -> "Claim | None":
        """Claim the event of this first claim for those that have not done it; None if busy."""
        left = tuple(handler for handler in handlers if handler not in self.done)
        self._others = tuple(claim for claim in self._others if claim.until > now)
        for claim in (self, *self._others):
            if claim.until > now and any(handler in claim.handlers for handler in left):
                return None
        claim = Claim(left, now + LEASE_SECONDS, self)
        claim.reply = self.reply
        if left:
            self._others += (claim,)
        return claim

    def settle(self, done: tuple[Handler, ...], reply: Reply | None) -> None:
        first = self._first
        self.handlers = ()
        if first is None:
            first = self
        else:
            first._others = tuple(claim for claim in first._others if claim is not self)
        first.done += done
        if reply is not None:
            first.reply = reply


class RecentEvents:
    """
    Who claims an event must settle it, whatever happens in between.

    Times are monotonic seconds. Safe to use from several threads.
    """

    def __init__(self, events_max: int = RECENT_MAX) -> None:
        self._events_max = events_max
        self._firsts: dict[Hashable, Claim] = {}
        self._lock = allocate_lock()

    def claim(self, key: Hashable, handlers: tuple[Handler, ...], now: float) -> Claim | None:
        """
        Take the event *key* for those of *handlers* that have not done it yet.

        Return None where another request is at it this very moment.
        """
        claim = Claim(handlers, now + LEASE_SECONDS)
        first = self._firsts.setdefault(key, claim)  # one step: of two threads, one is first
        if first is not claim:
            with self._lock:
                return first.again(handlers, now)
        if len(self._firsts) > self._events_max:
            self._forget_oldest()
        return claim

    def settle(self, claim: Claim, done: tuple[Handler, ...], reply: Reply | None = None) -> None:
        """End *claim*; those of its handlers that are *done* need not run again."""
        with self._lock:
            claim.settle(done, reply)

    def clear(self) -> None:
        """Forget everything, as a new process would."""
        with self._lock:
            self._firsts.clear()

    def __len__(self) -> int:
        return len(self._firsts)

    def _forget_oldest(self) -> None:
        # Some at once: each time, a dict looks for its oldest key from where its first once was.
        with self._lock:
            for key in list(islice(self._firsts, max(1, self._events_max // 50))):
                self._firsts.pop(key, None)
