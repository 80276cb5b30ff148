"""
A bounded memory of events seen lately, so that a duplicate runs no handler twice.

It keeps, for each event, which handlers are done: a failed event that comes again runs
the others only. It is this process's own and dies with it; what must survive that, or
be shared by several workers, belongs in an inbox.
"""

# What `threading.Lock` is; `threading` itself costs 1 ms to import.
from _thread import allocate_lock
from collections import OrderedDict
from collections.abc import Hashable

from .outcomes import Reply
from .router import Handler

__all__ = ["LEASE_SECONDS", "RECENT_MAX", "Claim", "RecentEvents"]

RECENT_MAX = 10_000  # events; about 3 MB, and a day of a busy shop
LEASE_SECONDS = 600.0  # a run that takes longer is taken for hung, and the event may run again


class Claim:
    """What to do about an event that has come."""

    __slots__ = ("handlers", "is_busy", "reply")

    def __init__(
        self, handlers: tuple[Handler, ...], *, is_busy: bool = False, reply: Reply | None = None
    ) -> None:
        self.handlers = handlers
        """Those still to run; empty for a duplicate of what is done."""
        self.is_busy = is_busy
        """Whether another request is at it this very moment."""
        self.reply = reply
        """What its sender was told, where the event asked for an answer."""


class _Seen:
    __slots__ = ("done", "leases", "reply")

    def __init__(self, leases: dict[Handler, float]) -> None:
        self.done: set[Handler] = set()
        self.leases = leases
        """Who is at it, and until when nobody else may be. Per handler: the twin of an event
        has handlers of its own, which need not wait."""
        self.reply: Reply | None = None


class RecentEvents:
    """
    Who claims an event must settle it, whatever happens in between.

    Times are monotonic seconds. Safe to use from several threads.
    """

    def __init__(self, events_max: int = RECENT_MAX) -> None:
        self._events_max = events_max
        self._seen: OrderedDict[Hashable, _Seen] = OrderedDict()
        self._lock = allocate_lock()

    def claim(self, key: Hashable, handlers: tuple[Handler, ...], now: float) -> Claim:
        """Take the event *key* for those of *handlers* that have not done it yet."""
        with self._lock:
            seen = self._seen.get(key)
            if seen is None:
                self._seen[key] = _Seen(dict.fromkeys(handlers, now + LEASE_SECONDS))
                self._forget_oldest()
                return Claim(handlers)
            left = tuple(handler for handler in handlers if handler not in seen.done)
            if any(seen.leases.get(handler, now) > now for handler in left):
                return Claim((), is_busy=True)
            for handler in left:
                seen.leases[handler] = now + LEASE_SECONDS
            return Claim(left, reply=seen.reply)

    def settle(
        self, key: Hashable, claim: Claim, done: tuple[Handler, ...], reply: Reply | None = None
    ) -> None:
        """End *claim*; those of its handlers that are *done* need not run again for *key*."""
        with self._lock:
            seen = self._seen.get(key)
            if seen is None:
                return
            for handler in claim.handlers:
                seen.leases.pop(handler, None)
            seen.done.update(done)
            seen.reply = reply or seen.reply

    def clear(self) -> None:
        """Forget everything, as a new process would."""
        with self._lock:
            self._seen.clear()

    def __len__(self) -> int:
        return len(self._seen)

    def _forget_oldest(self) -> None:
        while len(self._seen) > self._events_max:
            self._seen.popitem(last=False)
