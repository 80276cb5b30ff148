"""
Answers made up from the shape of what an endpoint returns, for ``--stub``.

Nothing is kept: an object has the id it was asked for by, and the values it was given
where it has fields of their names.
"""

from collections.abc import Mapping
from typing import Any

from hookloop.shapes.endpoint import Answer, Endpoint, answer_of, endpoint_at, params_of
from hookloop.shapes.object_shape import Choice, Flag, Kind, Number, Reference, Text, shape_of
from hookloop.shapes.package import object_name
from hookloop.shapes.sample import Sampler

from .arguments import Arguments, Fields
from .declared import fields_of
from .operation import Operation
from .store import Json
from .transaction import Transaction

__all__ = ["FILE", "stub_operation"]

FILE: Json = {"object": "file_contents"}
"""What stands for an answer that is a file."""


PING = "v2.core.event_destination.ping"


def stub_operation(endpoint: Endpoint) -> Operation:
    """Return an operation that answers *endpoint* by its shape."""
    class_ = params_of(endpoint)
    fields: Fields = {} if class_ is None else fields_of(class_)

    def run(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
        return _answer(endpoint, transaction, arguments, path)

    return Operation(endpoint.method, endpoint.path, fields, run)


def _answer(
    endpoint: Endpoint, transaction: Transaction, arguments: Arguments, path: Mapping[str, str]
) -> Json:
    if endpoint.is_stream:
        return FILE
    answer = answer_of(endpoint)
    if answer.class_ is None:
        return {}
    sampler = Sampler(transaction.random, at=transaction.created, livemode=False)
    made = sampler.object_of(answer.class_)
    if made.get("object") == "v2.core.event":
        made["type"] = PING  # its class goes by its type
    if answer.container:
        return _page(answer, made, endpoint, path)
    wanted = _id(endpoint, path, made)
    if wanted is not None and "id" in made:
        made["id"] = wanted
    if endpoint.method == "DELETE" and "deleted" in shape_of(answer.class_).fields:
        return {name: made[name] for name in ("id", "object") if name in made} | {"deleted": True}
    if endpoint.method == "DELETE" and set(made) == {"id", "object"}:
        return {**made, "object": _deleted_name(endpoint)}
    return {**made, **_given(answer.class_, arguments)}


def _page(answer: Answer, item: Json, endpoint: Endpoint, path: Mapping[str, str]) -> Json:
    if endpoint.path.startswith("/v2/"):
        return {"data": [item], "next_page_url": None, "previous_page_url": None}
    url = endpoint.path.format(**path)
    page: Json = {"object": "list", "data": [item], "has_more": False, "url": url}
    if answer.container == "SearchResultObject":
        page.update(object="search_result", next_page=None)
    return page


def _deleted_name(endpoint: Endpoint) -> str:
    """Return what the object that was there to be retrieved calls itself."""
    there = endpoint_at("GET", endpoint.path)
    name = None if there is None else object_name(answer_of(there).class_)
    return name or endpoint.path.rsplit("/", 2)[1]


def _id(endpoint: Endpoint, path: Mapping[str, str], made: Json) -> str | None:
    """Return the id in *path* that is the answer's own: the last, or the one named for it."""
    if endpoint.path.endswith("}"):
        return path[endpoint.path.rpartition("{")[2][:-1]]
    return path.get(str(made.get("object", "")).rpartition(".")[2], path.get("id"))


def _given(class_: type, arguments: Arguments) -> Json:
    fields = shape_of(class_).fields
    return {
        name: value
        for name, value in arguments.items()
        if name in fields and _fits(fields[name].kind, value)
    } | ({"metadata": dict(arguments["metadata"])} if arguments.get("metadata") else {})


def _fits(kind: Kind, value: Any) -> bool:
    match kind:
        case Text() | Reference():
            return isinstance(value, str)
        case Choice(words):
            return value in words
        case Flag():
            return isinstance(value, bool)
        case Number(is_float=False):
            return isinstance(value, int) and not isinstance(value, bool)
    return False
