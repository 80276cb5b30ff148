"""The shape of a Stripe object: its fields and their kinds, read from a class's annotations."""

import inspect
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, ForwardRef, Literal, TypeAlias, Union, get_args, get_origin

from .package import class_named, object_name

__all__ = [
    "Choice",
    "Field",
    "Flag",
    "Free",
    "Kind",
    "Nested",
    "Number",
    "Page",
    "Reference",
    "Several",
    "Shape",
    "Text",
    "shape_of",
]


@dataclass(frozen=True, slots=True)
class Text:
    """Any string; *is_decimal* where it holds a number."""

    is_decimal: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """An integer, or a float."""

    is_float: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words; Stripe may add to them."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """The id of an object of *class_*, or, expanded, the object."""

    class_: type


@dataclass(frozen=True, slots=True)
class Nested:
    """An object of *class_* in place."""

    class_: type


@dataclass(frozen=True, slots=True)
class Several:
    """A JSON array."""

    item: "Kind"


@dataclass(frozen=True, slots=True)
class Page:
    """A list object: ``{"object": "list", "data": [...], "has_more": ..., "url": ...}``."""

    item: "Kind"


@dataclass(frozen=True, slots=True)
class Free:
    """A hash with whatever keys, such as metadata."""


Kind: TypeAlias = Text | Number | Flag | Choice | Reference | Nested | Several | Page | Free


@dataclass(frozen=True, slots=True)
class Field:
    """A field's kind, and whether it may be null or missing."""

    kind: Kind
    is_optional: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a class by their names in JSON, ``id`` and ``object`` first."""

    name: str
    """As Stripe calls the object, or the class where it has no name of its own."""
    is_resource: bool
    fields: dict[str, Field]


@cache
def shape_of(class_: type) -> Shape:
    """Return the shape of *class_*, a class of the `stripe` package."""
    renamed: dict[str, str] = getattr(class_, "_field_remappings", {})
    fields = {
        renamed.get(name, name): _field(annotation, class_)
        for name, annotation in inspect.get_annotations(class_).items()
        if not name.startswith("_") and not _is_class_variable(annotation)
    }
    first: dict[str, Field] = {name: fields[name] for name in ("id", "object") if name in fields}
    name = object_name(class_)
    return Shape(name or class_.__name__, name is not None, {**first, **fields})


def _is_class_variable(annotation: Any) -> bool:
    origin: Any = get_origin(annotation)
    return origin is ClassVar


def _field(annotation: Any, where: type) -> Field:
    parts = _alternatives(annotation)
    known = [part for part in parts if part is not NoneType]
    return Field(_kind(known, where), is_optional=len(known) < len(parts))


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [part for one in get_args(annotation) for part in _alternatives(one)]
    return [annotation]


def _kind(parts: list[Any], where: type) -> Kind:
    words = tuple(word for part in parts if get_origin(part) is Literal for word in get_args(part))
    if words and all(isinstance(word, str) for word in words):
        return Choice(words)
    if words:
        return Flag()  # Literal[True]
    for part in parts:
        found = _resolve(part, where)
        if isinstance(found, type) and issubclass(found, _stripe_object()):
            is_id = str in parts and object_name(found) is not None
            return Reference(found) if is_id else _nested(found)
    return _plain(parts[0], where)


def _nested(class_: type) -> Kind:
    return Free() if class_.__name__ == "UntypedStripeObject" else Nested(class_)


def _plain(part: Any, where: type) -> Kind:
    origin, arguments = get_origin(part), get_args(part)
    if origin is list:
        return Several(_field(arguments[0], where).kind)
    if getattr(origin, "OBJECT_NAME", None) == "list":
        return Page(_field(arguments[0], where).kind)
    simple: dict[Any, Kind] = {
        str: Text(),
        Decimal: Text(is_decimal=True),
        int: Number(),
        float: Number(is_float=True),
        bool: Flag(),
    }
    # What a newer package may bring takes anything.
    return simple.get(part, Free())


def _resolve(part: Any, where: type) -> Any:
    if isinstance(part, ForwardRef):
        part = part.__forward_arg__
    return class_named(part, where) if isinstance(part, str) else part


@cache
def _stripe_object() -> type:
    from stripe import StripeObject

    return StripeObject
