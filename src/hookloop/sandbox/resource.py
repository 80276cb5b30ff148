"""
What resources have in common: made, found, changed, listed, deleted, and told of.

    PRODUCT = Resource("product", "prod", "/v1/products", id_length=14)

A resource's file declares one and adds what is its own. An argument that is called like
a field of the object is kept in that field; the rest is for the file to see to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hookloop.shapes.blank import blank, fitted
from hookloop.shapes.object_shape import Field as ShapeField
from hookloop.shapes.object_shape import Several, shape_of
from hookloop.shapes.package import class_of

from .arguments import Arguments, Field
from .declared import simulated
from .difference import previous_attributes
from .errors import bad_reference, no_such_object
from .metadata import merged_metadata
from .operation import Operation, Run
from .pagination import LIST_FIELDS, list_page
from .store import Json
from .transaction import Transaction

__all__ = ["Filters", "Matcher", "Resource", "applied"]

Matcher = Callable[[Json], bool]
"""Says whether a list wants an object."""

Filters = Mapping[str, Callable[[Any], Matcher]]
"""What a list's filters mean, by name, where it is not the field of that name."""

_NO_FIELDS = frozenset({"expand", "id"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, and the URL it is found under."""

    kind: str
    prefix: str
    url: str
    id_length: int = 24
    """14 as customers have it; with 24, the account's letters are in the id."""
    series: str = "1"
    """What such ids begin with: ``3`` on the path of a payment."""
    events: str | None = None
    """What the types of its events begin with, where that is not the kind."""

    # Objects

    def new(self, transaction: Transaction, arguments: Arguments, /, **values: Any) -> Json:
        """Return an object with *values*, or else what *arguments* say; not put anywhere."""
        made = blank(self.kind)
        made["id"] = values.pop("id", None) or self.new_id(transaction)
        if "created" in made:
            made["created"] = transaction.created
        given = {name: value for name, value in arguments.items() if name not in values}
        return fitted(_class(made), {**applied(made, given), **values})

    def new_id(self, transaction: Transaction) -> str:
        if self.id_length == 14:
            return transaction.new_id(self.prefix)
        return transaction.new_record_id(self.prefix, series=self.series)

    def find(self, transaction: Transaction, wanted: str) -> Json:
        """Return the object a URL names. Raises `ApiError`."""
        found = transaction.find(self.kind, wanted)
        if found is None or found.get("deleted"):
            raise no_such_object(self.kind, wanted)
        return found

    def referenced(self, transaction: Transaction, wanted: str, param: str) -> Json:
        """Return the object the parameter *param* names. Raises `ApiError`."""
        found = transaction.find(self.kind, wanted)
        if found is None or found.get("deleted"):
            raise bad_reference(self.kind, wanted, param)
        return found

    def changed(self, old: Json, arguments: Arguments) -> Json:
        """Return *old* with *arguments* applied; nothing is put."""
        return applied(old, arguments)

    # Changes, and what tells of them

    def save_new(self, transaction: Transaction, made: Json) -> Json:
        """Put *made* and emit ``created``."""
        transaction.put(self.kind, made)
        self.emit(transaction, "created", made)
        return made

    def save(
        self, transaction: Transaction, old: Json, new: Json, event: str | None = "updated"
    ) -> Json:
        """
        Put *new* if it differs from *old*; ``updated`` also tells what it was before.

        *event* None: nobody is told.
        """
        previous = previous_attributes(old, new)
        if previous:
            transaction.put(self.kind, new)
        if event == "updated" and previous:
            self.emit(transaction, event, new, previous)
        elif event not in (None, "updated"):
            self.emit(transaction, event, new)
        return new

    def emit(
        self, transaction: Transaction, event: str | None, told: Json, previous: Json | None = None
    ) -> None:
        """Emit the event ``{kind}.{event}`` about *told*."""
        transaction.emit(f"{self.events or self.kind}.{event}", told, previous)

    # Operations

    def creates(self, run: Run, /, *parameters: str, **own: Field) -> Operation:
        return simulated("POST", self.url, run, *parameters, **own)

    def retrieves(self, /, *parameters: str) -> Operation:
        def retrieve(
            transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]
        ) -> Json:
            return self.find(transaction, path["id"])

        return simulated("GET", f"{self.url}/{{id}}", retrieve, *parameters)

    def updates(self, run: Run | None = None, /, *parameters: str, **own: Field) -> Operation:
        """*run* None: what is given is kept in the fields of the same names."""

        def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
            old = self.find(transaction, path["id"])
            return self.save(transaction, old, applied(old, arguments))

        return simulated("POST", f"{self.url}/{{id}}", run or update, *parameters, **own)

    def lists(self, /, *parameters: str, where: Filters | None = None) -> Operation:
        """A filter called like a field wants its value there; *where* tells of the others."""
        filters = {**_FILTERS, **(where or {})}

        def list_(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
            matches = _matcher(arguments, filters)
            return list_page(transaction.store, self.kind, arguments, url=self.url, matches=matches)

        return simulated("GET", self.url, list_, *parameters, *(where or {}))

    def deletes(self, check: Callable[[Transaction, Json], None] | None = None) -> Operation:
        """*check* raises `ApiError` where the object has to stay."""

        def delete(
            transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]
        ) -> Json:
            old = self.find(transaction, path["id"])
            if check is not None:
                check(transaction, old)
            transaction.remove(self.kind, old["id"])
            self.emit(transaction, "deleted", old)
            return {"id": old["id"], "object": self.kind, "deleted": True}

        return simulated("DELETE", f"{self.url}/{{id}}", delete)

    def acts(self, action: str, run: Run, /, *parameters: str, **own: Field) -> Operation:
        """``POST {url}/{id}/{action}``."""
        return simulated("POST", f"{self.url}/{{id}}/{action}", run, *parameters, **own)


def applied(old: Json, arguments: Arguments) -> Json:
    """Return *old* with the arguments that are called like its fields; hashes are merged."""
    fields = shape_of(_class(old)).fields
    new = dict(old)
    for name, value in arguments.items():
        if name in fields and name not in _NO_FIELDS:
            new[name] = _applied(fields[name], old.get(name), value, name)
    return fitted(_class(old), new)


def _applied(field: ShapeField, before: Any, value: Any, name: str) -> Any:
    if name == "metadata":
        return merged_metadata(before or {}, value)
    if value is None and isinstance(field.kind, Several) and not field.is_optional:
        return []
    if isinstance(value, dict) and isinstance(before, dict):
        return {**before, **value}
    return value


def _class(value: Json) -> type:
    class_ = class_of(value["object"])
    assert class_ is not None, "a blank was made of it"  # noqa: S101
    return class_


_FILTERS: Filters = {
    "created": lambda span: lambda found: found["created"] in span,
    "ids": lambda ids: lambda found: found["id"] in ids,
}


def _matcher(arguments: Arguments, filters: Filters) -> Matcher | None:
    matchers = [
        filters[name](value) if name in filters else _equals(name, value)
        for name, value in arguments.items()
        if name not in LIST_FIELDS
    ]
    return (lambda found: all(matcher(found) for matcher in matchers)) if matchers else None


def _equals(name: str, value: Any) -> Matcher:
    return lambda found: bool(found.get(name) == value)
