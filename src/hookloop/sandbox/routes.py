"""
Which operation a method and path mean; everything else is refused by name.

A path nobody here knows answers 501, not 404: it may well be one of Stripe's six
hundred, and then the caller's code is right and the sandbox is what falls short.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from .errors import not_simulated, url_not_recognized
from .objects import customer, event, webhook_endpoint
from .operation import Operation

__all__ = ["OPERATIONS", "RESERVED", "Routes"]

OPERATIONS: tuple[Operation, ...] = (
    *customer.OPERATIONS,
    *event.OPERATIONS,
    *webhook_endpoint.OPERATIONS,
)

RESERVED = ("/v1/customers/search",)
"""Paths of Stripe's that would otherwise be taken for an object's id."""

_ANY = "{}"


@dataclass(slots=True)
class _Node:
    below: dict[str, "_Node"] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)


class Routes:
    """A tree of path segments; a literal one goes before a ``{name}``."""

    def __init__(self, operations: Iterable[Operation], reserved: Iterable[str] = ()) -> None:
        self._root = _Node()
        for operation in operations:
            self._node(operation.path).operations[operation.method] = operation
        for path in reserved:
            self._node(path)

    def match(self, method: str, raw_path: str) -> tuple[Operation, dict[str, str]]:
        """
        Return the operation and what its ``{names}`` stand for.

        *raw_path* is still percent-encoded, so that an encoded slash splits nothing.
        Raises `ApiError`: 404 for what cannot be Stripe's, 501 for what may be.
        """
        segments = [unquote(segment) for segment in raw_path.split("/")[1:]]
        if not segments or segments[0] not in ("v1", "v2") or "" in segments:
            raise url_not_recognized(method, raw_path[:200])
        node: _Node | None = self._root
        taken = []
        for segment in segments:
            if node is None:
                break
            if segment not in node.below:
                taken.append(segment)
            node = node.below.get(segment) or node.below.get(_ANY)
        if node is None or not node.operations:
            raise not_simulated(f"{method} {raw_path[:200]}")
        if method not in node.operations:
            raise url_not_recognized(method, raw_path[:200])
        operation = node.operations[method]
        return operation, dict(zip(_names(operation.path), taken, strict=True))

    def _node(self, path: str) -> _Node:
        node = self._root
        for segment in path.split("/")[1:]:
            node = node.below.setdefault(_ANY if segment.startswith("{") else segment, _Node())
        return node


def _names(path: str) -> list[str]:
    return [segment[1:-1] for segment in path.split("/") if segment.startswith("{")]
