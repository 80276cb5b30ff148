"""
Lists: how many, from where, and the object that carries a page.

Newest first, ten by default. See https://docs.stripe.com/api/pagination.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .arguments import Arguments, Fields, Hash, Integer, ListOf, Text
from .errors import bad_reference, exclusive_parameters
from .params import Value
from .store import Json, PageRequest, Store

__all__ = ["LIMIT_DEFAULT", "LIMIT_MAX", "LIST_FIELDS", "CreatedField", "Span", "list_page"]

LIMIT_DEFAULT = 10  # Both are Stripe's.
LIMIT_MAX = 100

EXPANSIONS_MAX = 100  # More paths than any object has.

EXPAND_FIELD = ListOf(Text(unsettable=False), items_max=EXPANSIONS_MAX)

LIST_FIELDS: Fields = {
    "limit": Integer(minimum=1, maximum=LIMIT_MAX),
    "starting_after": Text(unsettable=False),
    "ending_before": Text(unsettable=False),
    "expand": EXPAND_FIELD,
}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in whole Unix seconds, both ends included; None is open."""

    first: int | None = None
    last: int | None = None

    def __contains__(self, created: int) -> bool:
        return (self.first is None or self.first <= created) and (
            self.last is None or created <= self.last
        )


@dataclass(frozen=True, slots=True)
class CreatedField:
    """The ``created`` filter: a second, or a hash of ``gt``, ``gte``, ``lt`` and ``lte``."""

    required: bool = False

    def read(self, value: Value, param: str) -> Span:
        if not isinstance(value, dict):
            second = Integer().read(value, param)
            return Span(second, second)
        bounds = Hash({name: Integer() for name in ("gt", "gte", "lt", "lte")}).read(value, param)
        assert bounds is not None  # noqa: S101 - only an empty string reads as None
        lower = [bounds[name] + above for name, above in (("gte", 0), ("gt", 1)) if name in bounds]
        upper = [bounds[name] - below for name, below in (("lte", 0), ("lt", 1)) if name in bounds]
        return Span(max(lower, default=None), min(upper, default=None))


def list_page(
    store: Store,
    kind: str,
    arguments: Arguments,
    *,
    url: str,
    matches: Callable[[Json], bool] | None = None,
) -> dict[str, Any]:
    """Return the list object that *arguments* (of `LIST_FIELDS`) ask for. Raises `ApiError`."""
    after, before = arguments.get("starting_after"), arguments.get("ending_before")
    if after and before:
        raise exclusive_parameters("starting_after", "ending_before")
    limit = arguments.get("limit", LIMIT_DEFAULT)
    page = store.page(kind, PageRequest(limit, after, before, matches))
    if page is None:
        cursor = "starting_after" if after else "ending_before"
        raise bad_reference(kind, str(after or before), cursor)
    return {"object": "list", "data": page.objects, "has_more": page.has_more, "url": url}
