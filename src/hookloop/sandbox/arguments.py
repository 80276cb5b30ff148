"""
What an endpoint takes: declared fields, which turn decoded params into typed values.

    FIELDS = {"email": Text(), "balance": Integer(), "url": Text(required=True)}
    read_arguments(FIELDS, {"email": "", "url": "http://..."})   # {"email": None, "url": ...}

A parameter that was not sent is absent from the result; one that was sent empty
where that unsets it is None. Everything else raises `ApiError` with Stripe's code.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import (
    ApiError,
    invalid_parameter,
    missing_parameter,
    not_simulated,
    unknown_parameters,
    unset_refused,
)
from .metadata import read_metadata
from .params import Params, Value, as_list

__all__ = [
    "TEXT_CHARS_MAX",
    "AnyHash",
    "Arguments",
    "Boolean",
    "Choice",
    "Decimal",
    "Field",
    "Fields",
    "Hash",
    "Integer",
    "ListOf",
    "MetadataField",
    "OneOf",
    "Text",
    "Unsimulated",
    "read_arguments",
]

Arguments = Mapping[str, Any]

TEXT_CHARS_MAX = 5000  # Stripe's bound for a text field that names no smaller one.
INTEGER_MAX = 2**63 - 1  # What Stripe's clients in typed languages can hold.

_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,20})?", re.ASCII)


class Field(Protocol):
    """One parameter as an endpoint declares it."""

    @property
    def required(self) -> bool: ...

    def read(self, value: Value, param: str) -> Any:
        """Return *value* typed; None means unset. *param* is its full name. Raises `ApiError`."""
        ...


Fields = Mapping[str, Field]


def read_arguments(fields: Fields, params: Params, *, prefix: str = "") -> dict[str, Any]:
    """
    Return *params* typed as *fields* declare; *prefix* is the hash they stand in.

    Raises `ApiError`, for unknown names before missing ones before wrong values.
    """
    names = {name: f"{prefix}[{name}]" if prefix else name for name in [*fields, *params]}
    if unknown := [names[name] for name in params if name not in fields]:
        raise unknown_parameters(unknown)
    for name, declared in fields.items():
        if declared.required and name not in params:
            raise missing_parameter(names[name])
    return {name: fields[name].read(value, names[name]) for name, value in params.items()}


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    chars_max: int = TEXT_CHARS_MAX
    unsettable: bool = True
    required: bool = False

    def read(self, value: Value, param: str) -> str | None:
        if not isinstance(value, str):
            raise invalid_parameter("Invalid string: a group of values was given.", param)
        if not value:
            _check_unsettable(self, param)
            return None
        if len(value) > self.chars_max:
            raise invalid_parameter(
                f"Invalid string: {value[:4]}…{value[-4:]}; must be at most {self.chars_max} "
                "characters",
                param,
            )
        return value


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in decimal digits."""

    minimum: int = -INTEGER_MAX
    maximum: int = INTEGER_MAX
    unsettable: bool = False
    required: bool = False

    def read(self, value: Value, param: str) -> int | None:
        if value == "":
            _check_unsettable(self, param)
            return None
        if not isinstance(value, str) or not _INTEGER.fullmatch(value):
            shown = value[:40] if isinstance(value, str) else "a group of values"
            raise _bad_integer(f"Invalid integer: {shown}", param)
        number = int(value)
        if number < self.minimum:
            raise _bad_integer(
                f"This value must be greater than or equal to {self.minimum}.", param
            )
        if number > self.maximum:
            raise _bad_integer(f"This value must be less than or equal to {self.maximum}.", param)
        return number


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number with a point; *as_text* where no digit of it may be lost."""

    as_text: bool = False
    unsettable: bool = False
    required: bool = False

    def read(self, value: Value, param: str) -> float | str | None:
        if value == "":
            _check_unsettable(self, param)
            return None
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
            shown = value[:40] if isinstance(value, str) else "a group of values"
            raise invalid_parameter(f"Invalid decimal: {shown}", param, "parameter_invalid_decimal")
        return value if self.as_text else float(value)


@dataclass(frozen=True, slots=True)
class Boolean:
    """``true`` or ``false``."""

    unsettable: bool = False
    required: bool = False

    def read(self, value: Value, param: str) -> bool | None:
        if value == "":
            _check_unsettable(self, param)
            return None
        if value not in ("true", "false"):
            shown = value[:40] if isinstance(value, str) else "a group of values"
            raise invalid_parameter(f"Invalid boolean: {shown}", param)
        return value == "true"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    options: Sequence[str]
    unsettable: bool = False
    required: bool = False

    def read(self, value: Value, param: str) -> str | None:
        if value == "":
            _check_unsettable(self, param)
            return None
        if not isinstance(value, str) or value not in self.options:
            raise invalid_parameter(f"Invalid {param}: must be one of {self._listing()}", param)
        return value

    def _listing(self) -> str:
        return f"{', '.join(self.options[:-1])}, or {self.options[-1]}"


@dataclass(frozen=True, slots=True)
class ListOf:
    """Several values of one kind."""

    item: Field
    items_max: int
    """Sent more, the request is refused."""
    unsettable: bool = False
    required: bool = False

    def read(self, value: Value, param: str) -> list[Any] | None:
        if value == "":
            _check_unsettable(self, param)
            return None
        items = as_list(value)
        if items is None:
            raise invalid_parameter("Invalid array", param)
        if len(items) > self.items_max:
            raise invalid_parameter(
                f"Array {param} exceeded maximum {self.items_max} allowed elements.", param
            )
        return [self.item.read(item, f"{param}[{index}]") for index, item in enumerate(items)]


@dataclass(frozen=True, slots=True)
class Hash:
    """A group of named values."""

    fields: Fields = field(repr=False)
    unsettable: bool = True
    required: bool = False

    def read(self, value: Value, param: str) -> dict[str, Any] | None:
        if value == "":
            _check_unsettable(self, param)
            return None
        if not isinstance(value, dict):
            raise invalid_parameter("Invalid object", param)
        return read_arguments(self.fields, value, prefix=param)


@dataclass(frozen=True, slots=True)
class AnyHash:
    """A group of values under names of the caller's own."""

    unsettable: bool = True
    required: bool = False

    def read(self, value: Value, param: str) -> dict[str, Value] | None:
        if value == "":
            _check_unsettable(self, param)
            return None
        if not isinstance(value, dict):
            raise invalid_parameter("Invalid object", param)
        return value


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value that any of *fields* takes; the error is the last one's."""

    fields: Sequence[Field]
    unsettable: bool = False
    required: bool = False

    def read(self, value: Value, param: str) -> Any:
        if value == "":
            _check_unsettable(self, param)
            return None
        for field_ in self.fields[:-1]:
            try:
                return field_.read(value, param)
            except ApiError:
                continue
        return self.fields[-1].read(value, param)


@dataclass(frozen=True, slots=True)
class MetadataField:
    """The ``metadata`` parameter, as a set of changes; None removes every key."""

    required: bool = False

    def read(self, value: Value, param: str) -> dict[str, str] | None:
        return read_metadata(value, param)


@dataclass(frozen=True, slots=True)
class Unsimulated:
    """A parameter Stripe has and the sandbox does not: refused, since to drop it would be a lie."""

    required: bool = False

    def read(self, value: Value, param: str) -> ApiError:  # noqa: ARG002 - no value is any good
        raise not_simulated(f"the parameter {param}")


class _Unsettable(Protocol):
    @property
    def unsettable(self) -> bool: ...


def _check_unsettable(field_: _Unsettable, param: str) -> None:
    """Raise `ApiError` where an empty string, which unsets, stands for nothing."""
    if not field_.unsettable:
        raise unset_refused(param)


def _bad_integer(message: str, param: str) -> ApiError:
    return invalid_parameter(message, param, "parameter_invalid_integer")
