"""
``expand[]``: which parts of an object a request wants in full.

Any reference can be expanded, as the official package's classes tell; what Stripe
shows on request only (a customer's sources) is for the object's own file to say.
See https://docs.stripe.com/api/expanding_objects.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hookloop.shapes.object_shape import Nested, Page, Reference, shape_of
from hookloop.shapes.package import class_of
from hookloop.shapes.sample_ids import name_by_id

from .errors import ApiError
from .store import Json
from .transaction import Transaction

__all__ = ["DEPTH_MAX", "Expander", "Expanders", "expanded"]

DEPTH_MAX = 4  # Stripe's.

Expander = Callable[[Transaction, Json], Any]
"""Takes an object and returns what stands at the expanded place of it."""

Expanders = Mapping[tuple[str, str], Expander]
"""By an object's name and its field's."""


def expanded(
    answer: Json, paths: Sequence[str], expanders: Expanders, transaction: Transaction
) -> Json:
    """
    Return *answer* with *paths* in full.

    In a list every path begins with ``data.``. A place that holds nothing stays null.
    Raises `ApiError` for a path that leads nowhere.
    """
    for path in paths:
        if path.count(".") + 1 > DEPTH_MAX:
            raise ApiError(
                400, f"You cannot expand more than {DEPTH_MAX} levels of a property: {path[:80]}"
            )
        walk = _Walk(path, expanders, transaction)
        answer = walk.through(answer, None, path.split("."))
    return answer


class _Walk:
    """One path on its way through an object."""

    def __init__(self, path: str, expanders: Expanders, transaction: Transaction) -> None:
        self._path = path
        self._expanders = expanders
        self._transaction = transaction

    def through(self, here: Any, class_: type | None, names: Sequence[str]) -> Any:
        """Return *here*, of *class_* where it does not say itself, with *names* followed."""
        if not names or not isinstance(here, dict):
            return here
        name, *rest = names
        if here.get("object") in ("list", "search_result"):
            return self._through_page(here, name, rest)
        kind = here.get("object")
        class_ = (class_of(kind) if isinstance(kind, str) else None) or class_
        value = self._value(here, class_, name, is_last=not rest)
        return {**here, name: self.through(value, _class_at(class_, name), rest)}

    def _through_page(self, page: Json, name: str, rest: Sequence[str]) -> Json:
        if name == "total_count" and not rest:
            return page  # whoever made the page has counted
        if name != "data" or not rest:
            hint = f" You may want to try expanding 'data.{self._path}' instead."
            raise self._refused(hint if name != "data" else "")
        return {**page, "data": [self.through(item, None, rest) for item in page["data"]]}

    def _value(self, here: Json, class_: type | None, name: str, *, is_last: bool) -> Any:
        expander = self._expanders.get((str(here.get("object")), name))
        if expander is not None:
            return expander(self._transaction, here)
        fields = {} if class_ is None else shape_of(class_).fields
        kind = fields[name].kind if name in fields else None
        value = here.get(name)
        if isinstance(kind, Reference):
            return self._found(kind, value) if isinstance(value, str) else value
        if isinstance(kind, Page) or (isinstance(kind, Nested) and not is_last):
            return value
        raise self._refused("")

    def _found(self, kind: Reference, wanted: str) -> Any:
        """Return the object called *wanted*; its id where the sandbox has no such object."""
        for name in (shape_of(kind.class_).name, name_by_id(wanted)):
            if name is not None and (found := self._transaction.find(name, wanted)) is not None:
                return found
        return wanted

    def _refused(self, hint: str) -> ApiError:
        return ApiError(400, f"This property cannot be expanded ({self._path[:80]}).{hint}")


def _class_at(class_: type | None, name: str) -> type | None:
    if class_ is None or name not in shape_of(class_).fields:
        return None
    kind = shape_of(class_).fields[name].kind
    return kind.class_ if isinstance(kind, Nested | Reference) else None
