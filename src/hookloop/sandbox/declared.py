"""
What an endpoint takes, as the official package declares it, turned into fields.

    simulated("POST", "/v1/refunds", create, "charge", "reason", amount=Integer(minimum=1))

takes *charge* and *reason* as the package declares them and *amount* by the field
given. Every other parameter Stripe has there is refused by name: it has an effect that
the sandbox would have to make up. Nothing is read from the package before the first request.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cache

from hookloop.shapes import object_shape as shape
from hookloop.shapes.endpoint import endpoint_at, params_of
from hookloop.shapes.parameter import Either, Parameter, ParameterKind, parameters_of

from . import arguments
from .arguments import Field, Fields
from .operation import Operation, Run
from .pagination import EXPAND_FIELD, LIST_FIELDS, CreatedField

__all__ = ["fields_of", "simulated"]

ITEMS_MAX = 1000
"""Of a list the package names no bound for; the longest one Stripe documents is shorter."""

_OWN: Fields = {"created": CreatedField(), **LIST_FIELDS, "expand": EXPAND_FIELD}
"""Parameters that mean the same at every endpoint and are checked by more than their type."""


def simulated(method: str, path: str, run: Run, /, *parameters: str, **own: Field) -> Operation:
    """Return an operation that simulates only *parameters*, and those of *own* by its fields."""
    return Operation(method, path, _EndpointFields(method, path, frozenset(parameters), own), run)


@cache
def fields_of(class_: type) -> Fields:
    """Return fields for all parameters of *class_*, a TypedDict of the package."""
    return {name: _field(name, one) for name, one in parameters_of(class_).items()}


class _Lazy(Mapping[str, Field]):
    """Fields that are made when the first request wants them."""

    def __init__(self) -> None:
        self._made: Fields | None = None

    def _make(self) -> Fields:
        raise NotImplementedError

    @property
    def _fields(self) -> Fields:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class _EndpointFields(_Lazy):
    def __init__(
        self, method: str, path: str, simulated: Collection[str], own: Mapping[str, Field]
    ) -> None:
        super().__init__()
        self._method = method
        self._path = path
        self._simulated = simulated
        self._own = own

    def _make(self) -> Fields:
        endpoint = endpoint_at(self._method, self._path)
        class_ = params_of(endpoint) if endpoint is not None else None
        everything = fields_of(class_) if class_ is not None else {}
        known = {
            name: field if name in self._simulated or name in _OWN else arguments.Unsimulated()
            for name, field in everything.items()
        }
        paged = {name: _OWN[name] for name in known if name in _OWN and name != "created"}
        if "created" in known and "limit" in known:
            paged["created"] = _OWN["created"]  # elsewhere it is a plain time
        return {**known, **paged, **self._own}


class _ClassFields(_Lazy):
    def __init__(self, class_: type) -> None:
        super().__init__()
        self._class = class_

    def _make(self) -> Fields:
        return fields_of(self._class)


def _field(name: str, parameter: Parameter) -> Field:
    """Return what reads *parameter*; emptied it is None where Stripe lets it be emptied."""
    kind = parameter.kind
    if name == "metadata" and isinstance(kind, shape.Free):
        return arguments.MetadataField(required=parameter.is_required)
    return _of_kind(kind, unsettable=parameter.is_unsettable, required=parameter.is_required)


def _of_kind(kind: ParameterKind, *, unsettable: bool = False, required: bool = False) -> Field:
    match kind:
        case shape.Text(is_decimal=True):
            return arguments.Decimal(as_text=True, unsettable=unsettable, required=required)
        case shape.Number(is_float=True):
            return arguments.Decimal(unsettable=unsettable, required=required)
        case shape.Number():
            return arguments.Integer(unsettable=unsettable, required=required)
        case shape.Flag():
            return arguments.Boolean(unsettable=unsettable, required=required)
        case shape.Choice(words):
            return arguments.Choice(words, unsettable=unsettable, required=required)
        case shape.Nested(class_):
            fields = _ClassFields(class_)
            return arguments.Hash(fields, unsettable=unsettable, required=required)
        case shape.Several(item):
            return arguments.ListOf(
                _of_kind(item), items_max=ITEMS_MAX, unsettable=unsettable, required=required
            )
        case Either(kinds):
            fields_ = [_of_kind(one) for one in kinds]
            return arguments.OneOf(fields_, unsettable=unsettable, required=required)
        case shape.Free():
            return arguments.AnyHash(unsettable=unsettable, required=required)
    return arguments.Text(unsettable=unsettable, required=required)
