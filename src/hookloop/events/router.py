"""Which handlers an event type has. Pure: registering and looking up, nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hookloop.errors import ConfigError

__all__ = ["Handler", "HandlerFunction", "Router"]

HandlerFunction = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Handler:
    """A function of the user's, and its name for logs."""

    function: HandlerFunction
    name: str


class Router:
    """Handlers by exact type, by prefix, and for all, in the order they were registered."""

    def __init__(self) -> None:
        self._rules: list[tuple[Callable[[str], bool], Handler]] = []
        self._found: dict[str, tuple[Handler, ...]] = {}

    def add(self, function: HandlerFunction, types: tuple[str, ...]) -> None:
        """Run *function* for each of *types*. Raises `ConfigError` for what is no event type."""
        if not types:
            raise ConfigError("on() needs at least one event type, such as 'customer.updated'")
        for type_ in types:
            _check_type(type_)
        wanted = frozenset(types)
        self._add(function, lambda type_: type_ in wanted)

    def add_prefix(self, function: HandlerFunction, prefix: str) -> None:
        """Run *function* for each type that starts with *prefix*."""
        if not prefix or "*" in prefix:
            raise ConfigError(
                f"{prefix!r} is not a prefix: give the start of a type, such as 'customer.'"
            )
        self._add(function, lambda type_: type_.startswith(prefix))

    def add_any(self, function: HandlerFunction) -> None:
        """Run *function* for every event."""
        self._add(function, lambda _: True)

    def handlers_for(self, type_: str) -> tuple[Handler, ...]:
        """Return the handlers of an event type, in the order they were registered."""
        found = self._found.get(type_)
        if found is None:
            found = tuple(handler for matches, handler in self._rules if matches(type_))
            # Only what has handlers is remembered: a sender cannot fill this with made-up types.
            if found:
                self._found[type_] = found
        return found

    def _add(self, function: HandlerFunction, matches: Callable[[str], bool]) -> None:
        if not callable(function):
            raise ConfigError(f"a handler must be callable, and {function!r} is not")
        self._rules.append((matches, Handler(function, _name(function))))
        self._found.clear()


def _check_type(type_: object) -> None:
    if not isinstance(type_, str) or not type_:
        raise ConfigError(f"{type_!r} is not an event type; on() goes above a function, with types")
    if type_.endswith((".", "*")):
        raise ConfigError(f"{type_!r} is not an event type: for a family use on_prefix()")


def _name(function: HandlerFunction) -> str:
    qualified = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', '?')}.{qualified}"
