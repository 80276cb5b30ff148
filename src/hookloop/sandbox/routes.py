"""
Which endpoint a method and path mean: one that is simulated, one that only has a shape, or none.

A path the official package knows and the sandbox does not simulate answers 501 and
not 404: then the caller's code is right and the sandbox is what falls short.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote

from hookloop.shapes.endpoint import Endpoint

from .errors import url_not_recognized
from .operation import Operation

__all__ = ["Routes", "Target", "path_names"]

Target: TypeAlias = Operation | Endpoint

_ANY = "{}"


@dataclass(slots=True)
class _Node:
    below: dict[str, "_Node"] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)


class Routes:
    """A tree of path segments; a literal one goes before a ``{name}``."""

    def __init__(self, operations: Iterable[Operation], endpoints: Iterable[Endpoint]) -> None:
        self._root = _Node()
        targets: list[Target] = [*endpoints, *operations]
        for target in targets:  # the last one of a place stays
            self._node(target.path).targets[target.method] = target

    def match(self, method: str, raw_path: str) -> tuple[Target, dict[str, str]]:
        """
        Return what is there and what its ``{names}`` stand for.

        *raw_path* is still percent-encoded, so that an encoded slash splits nothing.
        Raises `ApiError` where there is nothing.
        """
        segments = [unquote(segment) for segment in raw_path.split("/")[1:]]
        found = _found(self._root, segments, method) if "" not in segments else None
        if found is None:
            raise url_not_recognized(method, raw_path[:200])
        target, taken = found
        return target, dict(zip(path_names(target.path), taken, strict=True))

    def _node(self, path: str) -> _Node:
        node = self._root
        for segment in path.split("/")[1:]:
            node = node.below.setdefault(_ANY if segment.startswith("{") else segment, _Node())
        return node


def _found(node: _Node, segments: list[str], method: str) -> tuple[Target, list[str]] | None:
    """Return what *segments* lead to from *node*, and those of them that took a ``{name}``."""
    if not segments:
        target = node.targets.get(method)
        return None if target is None else (target, [])
    first, *rest = segments
    if first in node.below and (found := _found(node.below[first], rest, method)) is not None:
        return found
    if _ANY in node.below and (found := _found(node.below[_ANY], rest, method)) is not None:
        return found[0], [first, *found[1]]
    return None


def path_names(path: str) -> list[str]:
    """Return the names in braces of *path*, in order."""
    return [segment[1:-1] for segment in path.split("/") if segment.startswith("{")]
