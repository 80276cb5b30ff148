"""
Which streams of a session go on on lanes, and how many lanes there are. Pure.

A stream waits for a lane where it is: on the session, which goes on carrying it. So
nothing is lost where no lane can be had, as behind a proxy that allows one connection.
"""

from collections.abc import Callable

from hookloop.exchange import ResponseHead
from hookloop.tunnel.wire.lanes import Lanes

from .lane_tickets import TICKET_SECONDS

__all__ = ["LanePool", "is_long_lived"]

LANES_FOR_BULK = 4  # one lane in so many: open pages must not keep a download on the session
LANES_IDLE_MAX = 2  # kept for the next download; none before the first
IDLE_SECONDS = 60.0  # then these go too: an idle agent holds one connection
REFUSED_SECONDS = 60.0  # before asking again, where an invitation came to nothing


def is_long_lived(head: ResponseHead) -> bool:
    """Say whether what follows *head* has no end in sight: an event stream."""
    content_type = head.get(b"content-type") or b""
    return content_type.lower().startswith(b"text/event-stream")


class LanePool:
    """The lanes of one session, as the relay deals them out."""

    def __init__(self, lanes: Lanes, new_ticket: Callable[[int], str], *, lanes_max: int) -> None:
        """*new_ticket* makes the ticket for a lane's number."""
        self._lanes_max = lanes_max
        self._spare = lanes_max // LANES_FOR_BULK
        self._lanes = lanes
        self._new_ticket = new_ticket
        self._bulk: dict[int, None] = {}
        self._long: dict[int, None] = {}
        self._invited: dict[int, float] = {}
        """Lanes that nobody has opened yet, and until when somebody may."""
        self._number = 0
        self._idle_since: dict[int, float] = {}
        self._not_before = 0.0

    def want(self, stream: int, *, is_bulk: bool) -> None:
        """A stream should not stay on the session: it is large already, or will be open long."""
        if is_bulk:
            self._long.pop(stream, None)
            self._bulk[stream] = None
        else:
            self._long[stream] = None

    @property
    def has_waiting(self) -> bool:
        return bool(self._bulk or self._long)

    def opened(self, lane: int) -> None:
        """The agent speaks on *lane*."""
        self._invited.pop(lane, None)

    def settle(self, now: float) -> list[int]:
        """
        Move what waits to lanes that are free, and ask for more lanes where none is.

        Returns the lanes to close. Call it when something is wanted, a lane opens, or a
        stream that moved has ended; and every now and then.
        """
        self._give_up_invitations(now)
        free = self._lanes.free()
        for queue, spare in ((self._bulk, 0), (self._long, self._spare)):
            while queue:
                stream = next(iter(queue))
                if not self._lanes.can_move(stream):
                    del queue[stream]
                    continue
                if not free or self._busy(free) + spare >= self._lanes_max:
                    break
                self._lanes.move(stream, free.pop())
                del queue[stream]
        self._invite(now, len(free))
        return self._superfluous(free, now)

    def _busy(self, free: list[int]) -> int:
        return len(self._lanes) - len(free)

    def _invite(self, now: float, free: int) -> None:
        known = len(self._lanes) + len(self._invited)
        busy = len(self._lanes) - free
        longs = min(len(self._long), max(0, self._lanes_max - self._spare - busy))
        wanted = len(self._bulk) + longs - len(self._invited) - free
        if now < self._not_before:
            return
        for _ in range(min(wanted, self._lanes_max - known)):
            self._number += 1
            self._invited[self._number] = now + TICKET_SECONDS
            self._lanes.invite(self._number, self._new_ticket(self._number))

    def _give_up_invitations(self, now: float) -> None:
        late = [lane for lane, until in self._invited.items() if until <= now]
        for lane in late:
            del self._invited[lane]
            self._not_before = now + REFUSED_SECONDS

    def _superfluous(self, free: list[int], now: float) -> list[int]:
        since = {lane: self._idle_since.get(lane, now) for lane in free}
        # The one that waits longest goes first, and all of them in time.
        surplus = sorted(free, key=lambda lane: since[lane])[: max(0, len(free) - LANES_IDLE_MAX)]
        late = [lane for lane in free if since[lane] + IDLE_SECONDS <= now]
        self._idle_since = since
        return list(dict.fromkeys([*surplus, *late]))
