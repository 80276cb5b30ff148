"""Tickets for lanes: how a further connection of an agent proves whose it is."""

from typing import Generic, TypeVar

from hookloop.clock import Clock
from hookloop.ids import RandomSource, new_id

__all__ = ["TICKET_SECONDS", "LaneTickets"]

TICKET_SECONDS = 15.0  # for the agent to dial; a ticket that somebody found later opens nothing

LinkT = TypeVar("LinkT")


class LaneTickets(Generic[LinkT]):
    """Each is good once, soon, and for one lane of one session. None is ever logged."""

    def __init__(self, clock: Clock, random: RandomSource) -> None:
        self._clock = clock
        self._random = random
        self._issued: dict[str, tuple[LinkT, int, float]] = {}

    def issue(self, link: LinkT, lane: int) -> str:
        """Return a new ticket."""
        self._forget_late()
        ticket = new_id("tkt_", self._random, length=32)
        self._issued[ticket] = (link, lane, self._clock.monotonic() + TICKET_SECONDS)
        return ticket

    def redeem(self, ticket: str | None) -> tuple[LinkT, int] | None:
        """Return what *ticket* is for, and take it in; None if it is not, or no longer, good."""
        self._forget_late()
        link, lane, _ = self._issued.pop(ticket or "", (None, 0, 0.0))
        return None if link is None else (link, lane)

    def forget(self, link: LinkT) -> None:
        """The session has ended."""
        self._issued = {key: value for key, value in self._issued.items() if value[0] is not link}

    def _forget_late(self) -> None:
        now = self._clock.monotonic()
        # Oldest first, and all good for as long: what is late stands in front.
        for ticket, (_, _, until) in list(self._issued.items()):
            if until > now:
                return
            del self._issued[ticket]
