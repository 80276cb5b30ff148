"""
``expand[]``: which parts of an object a request wants in full.

See https://docs.stripe.com/api/expanding_objects.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import ApiError

__all__ = ["DEPTH_MAX", "Expander", "expanded"]

DEPTH_MAX = 4  # Stripe's.

Expander = Callable[[dict[str, Any]], Any]
"""Takes an object and returns what stands at the expanded place of it."""


def expanded(
    answer: dict[str, Any], paths: Sequence[str], expanders: Mapping[str, Expander]
) -> dict[str, Any]:
    """
    Return *answer* with *paths* in full; *expanders* tells what each place holds.

    In a list every path begins with ``data.``. What lies below a known place may
    be named too, and stays as it is. Raises `ApiError` for any other path.
    """
    is_list = answer.get("object") == "list"
    for path in paths:
        name = _expander_name(path, is_list, expanders)
        if is_list:
            data = [_with(item, name, expanders[name]) for item in answer["data"]]
            answer = {**answer, "data": data}
        else:
            answer = _with(answer, name, expanders[name])
    return answer


def _expander_name(path: str, is_list: bool, expanders: Mapping[str, Expander]) -> str:
    if path.count(".") + 1 > DEPTH_MAX:
        raise ApiError(
            400, f"You cannot expand more than {DEPTH_MAX} levels of a property: {path[:80]}"
        )
    inner = path.removeprefix("data.") if is_list else path
    for name in expanders:
        if (inner != path or not is_list) and (inner == name or inner.startswith(f"{name}.")):
            return name
    hint = ""
    if is_list and path in expanders:
        hint = f" You may want to try expanding 'data.{path}' instead."
    raise ApiError(400, f"This property cannot be expanded ({path[:80]}).{hint}")


def _with(item: dict[str, Any], name: str, expander: Expander) -> dict[str, Any]:
    outer, _, inner = name.partition(".")
    if not inner:
        return {**item, outer: expander(item)}
    return {**item, outer: {**item[outer], inner: expander(item)}} if outer in item else item
