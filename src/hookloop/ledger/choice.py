"""Which of the due deliveries are claimed: fair to targets, careful with what kills. Pure."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from .delivery import Delivery, State

__all__ = ["chosen"]


def chosen(due: Mapping[str, Sequence[Delivery]], *, limit: int) -> list[Delivery]:
    """
    Return at most *limit* of the deliveries in *due*, which has them by target, oldest first.

    Targets take turns, so that ten thousand owed to a slow one hold up no other. A delivery
    that has cost a worker its life before is chosen alone, once it is the oldest: whoever claims
    it can run it while nothing else is at stake. The innocent that were in the dead worker's
    hands with it lose no more than that.
    """
    turns = [
        delivery for turn in zip_longest(*due.values()) for delivery in turn if delivery is not None
    ]
    if not turns or limit < 1:
        return []
    oldest = min(turns, key=lambda delivery: (delivery.due_at, delivery.id))
    if _is_suspect(oldest):
        return [oldest]
    return [delivery for delivery in turns if not _is_suspect(delivery)][:limit]


def _is_suspect(delivery: Delivery) -> bool:
    """Whether a lease of it has run out; one that is due and still leased just did."""
    return delivery.crashes > 0 or delivery.state is State.LEASED
