"""
What changed between two versions of an object, as ``previous_attributes`` tells it.

Only keys that changed are named, each with its **old** value. Hashes are
compared inside, lists and scalars as wholes; a key that is new has the old value
null. See https://docs.stripe.com/api/events/object#event_object-data-previous_attributes.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["previous_attributes"]


def previous_attributes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the old values of all that differs in *new*; empty when nothing does."""
    previous: dict[str, Any] = {}
    for key, before in old.items():
        after = new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            if inner := previous_attributes(before, after):
                previous[key] = inner
        elif before != after:
            previous[key] = before
    previous.update((key, None) for key in new if key not in old and new[key] is not None)
    return previous
