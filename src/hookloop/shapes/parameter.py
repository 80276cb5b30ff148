"""The shape of what an endpoint takes: its parameters and their kinds, read from a TypedDict."""

import sys
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from .object_shape import Choice, Flag, Free, Kind, Nested, Number, Several, Text
from .package import stripe_package

__all__ = ["Either", "Parameter", "ParameterKind", "parameters_of"]


@dataclass(frozen=True, slots=True)
class Either:
    """A value of one of several kinds, such as a time or a range of times."""

    kinds: tuple["ParameterKind", ...]


ParameterKind = Kind | Either


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's kind, and whether it must be there or may be emptied."""

    kind: ParameterKind
    is_required: bool
    is_unsettable: bool


@cache
def parameters_of(class_: type) -> dict[str, Parameter]:
    """Return the parameters of *class_*, a TypedDict of the `stripe` package, by name."""
    stripe_package()
    # Every endpoint's TypedDict inherits the options of a call, which no request carries.
    module = sys.modules["stripe._request_options"]
    options = frozenset(module.RequestOptions.__annotations__)
    names = {**vars(module), **vars(sys.modules[class_.__module__]), "StripeContext": object}
    hints = get_type_hints(class_, names, include_extras=True)
    return {name: _parameter(hint) for name, hint in hints.items() if name not in options}


def _parameter(hint: Any) -> Parameter:
    is_required = get_origin(hint) is not NotRequired
    if not is_required:
        (hint,) = get_args(hint)
    parts = _alternatives(hint)
    known = [part for part in parts if part not in (Literal[""], NoneType)]
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    return Parameter(_kind(known), is_required, "" in words or NoneType in parts)


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, UnionType):
        return [part for one in get_args(hint) for part in _alternatives(one)]
    return [hint]


def _kind(parts: list[Any]) -> ParameterKind:
    literals = [part for part in parts if get_origin(part) is Literal]
    words = tuple(word for part in literals for word in get_args(part) if word != "")
    others = [part for part in parts if part not in literals]
    if words and str in others:  # the package leaves room for words to come; the API does not
        others.remove(str)
    kinds: list[ParameterKind] = [Choice(words)] if words else []
    kinds += dict.fromkeys(_simple(part) for part in others)
    if Free() in kinds:  # a dict and the package's own class of it
        return Free()
    return kinds[0] if len(kinds) == 1 else Either(tuple(kinds)) if kinds else Text()


def _simple(part: Any) -> ParameterKind:
    if get_origin(part) is list:
        kind = _kind(_alternatives(get_args(part)[0]))
        return Several(kind)  # type: ignore[arg-type]  # of an `Either` too; samples have none
    if isinstance(part, type) and hasattr(part, "__total__"):
        return Nested(part)
    plain: dict[Any, ParameterKind] = {
        str: Text(),
        Decimal: Text(is_decimal=True),
        int: Number(),
        float: Number(is_float=True),
        bool: Flag(),
    }
    return plain.get(part, Free())
