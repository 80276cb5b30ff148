"""Which handlers an event type has. Pure: registering and looking up, nothing else."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from hookloop.errors import ConfigError

if TYPE_CHECKING:
    from .outcomes import Reply

__all__ = ["Handler", "HandlerFunction", "Router"]

HandlerFunction: TypeAlias = Callable[..., Any]

_COROUTINE_FUNCTION = 0x80  # inspect.CO_COROUTINE; inspect itself costs 8 ms to import


class Handler:
    """A function of the user's, with its name for logs. Compared by identity."""

    __slots__ = ("deadline_seconds", "default", "fresh", "function", "is_async", "name", "order")

    def __init__(
        self,
        function: HandlerFunction,
        *,
        deadline_seconds: float | None = None,
        default: "Reply | None" = None,
        order: str | None = None,
        fresh: bool = False,
    ) -> None:
        self.function = function
        self.name = _name(function)
        self.is_async = is_async(function)
        self.deadline_seconds = deadline_seconds
        """How long it may run; None: as long as the `Hooks` say."""
        self.default = default
        """The answer where it fails or is late, for a sender that waits for one."""
        self.order = order
        """``object``: an inbox runs it for one event of an object at a time, oldest first."""
        self.fresh = fresh
        """Whether an inbox hands it the object as it is now, once for all events that wait."""

    def __repr__(self) -> str:
        return f"<Handler {self.name}>"


class Router:
    """Handlers by exact type, by prefix, and for all, in the order they were registered."""

    def __init__(self) -> None:
        self._rules: list[Rule | Router] = []
        self._found: dict[str, tuple[Handler, ...]] = {}
        self.includers: list[Router] = []
        """The routers that have taken this one in."""

    # --- registering ------------------------------------------------------------------------

    def add(self, handler: Handler, types: tuple[str, ...]) -> None:
        """Run *handler* for each of *types*. Raises `ConfigError` for what is no event type."""
        if not types:
            raise ConfigError("on() needs at least one event type, such as 'customer.updated'")
        for type_ in types:
            check_type(type_)
        self._add(Rule(handler, types=frozenset(types)))

    def add_prefix(self, handler: Handler, prefix: str) -> None:
        """Run *handler* for each type that starts with *prefix*."""
        if not prefix or "*" in prefix:
            raise ConfigError(
                f"{prefix!r} is not a prefix: give the start of a type, such as 'customer.'"
            )
        self._add(Rule(handler, prefix=prefix))

    def add_any(self, handler: Handler) -> None:
        """Run *handler* for every event."""
        self._add(Rule(handler))

    def include(self, other: "Router") -> None:
        """Take in the handlers of *other*, those it gets later too, at this place in the order."""
        if other is self or other.reaches(self):
            raise ConfigError("these Hooks already include each other: one of them must not")
        self._rules.append(other)
        other.includers.append(self)
        self.forget()

    def remove(self, function: HandlerFunction) -> int:
        """Forget all registrations of *function* here; return how many there were."""
        kept = [
            rule
            for rule in self._rules
            if isinstance(rule, Router) or rule.handler.function != function
        ]
        removed = len(self._rules) - len(kept)
        self._rules = kept
        self.forget()
        return removed

    # --- looking up -------------------------------------------------------------------------

    def handlers_for(self, type_: str) -> tuple[Handler, ...]:
        """
        Return the handlers of an event type, in the order they were registered.

        But those with a default answer come first: a sender that waits for it must not wait
        for the others.
        """
        found = self._found.get(type_)
        if found is None:
            matching = [rule.handler for rule in self.rules() if rule.matches(type_)]
            found = tuple(sorted(matching, key=lambda handler: handler.default is None))
            # Only what is named in full is remembered: a sender cannot fill this with made-up
            # types, which a prefix or on_any would match.
            if any(type_ in rule.types for rule in self.rules()):
                self._found[type_] = found
        return found

    def types(self) -> frozenset[str]:
        """Return the types that are named in full."""
        return frozenset().union(*(rule.types for rule in self.rules()))

    def prefixes(self) -> frozenset[str]:
        """Return the prefixes; the empty one stands for `on_any`."""
        return frozenset(rule.prefix for rule in self.rules() if not rule.types)

    def handlers(self) -> tuple[Handler, ...]:
        """Return every registration's handler, included ones too."""
        return tuple(rule.handler for rule in self.rules())

    def rules(self) -> "list[Rule]":
        """Return all rules in their order, included ones in their place."""
        rules: list[Rule] = []
        for rule in self._rules:
            rules.extend(rule.rules() if isinstance(rule, Router) else (rule,))
        return rules

    def _add(self, rule: "Rule") -> None:
        self._rules.append(rule)
        self.forget()

    def forget(self) -> None:
        """Forget what has been looked up, here and in every router that includes this one."""
        self._found.clear()
        for includer in self.includers:
            includer.forget()

    def reaches(self, other: "Router") -> bool:
        """Return whether *other* is included here, at whatever depth."""
        return any(
            rule is other or rule.reaches(other) for rule in self._rules if isinstance(rule, Router)
        )


class Rule:
    """A handler, and the types or the prefix it is for."""

    __slots__ = ("handler", "prefix", "types")

    def __init__(
        self, handler: Handler, *, types: frozenset[str] = frozenset(), prefix: str = ""
    ) -> None:
        self.handler = handler
        self.types = types
        self.prefix = prefix

    def matches(self, type_: str) -> bool:
        """Return whether events of this type are for the handler."""
        return type_ in self.types if self.types else type_.startswith(self.prefix)


def check_type(type_: object) -> None:
    """Raise `ConfigError` for what cannot be the name of an event type."""
    if not isinstance(type_, str) or not type_:
        raise ConfigError(f"{type_!r} is not an event type; on() goes above a function, with types")
    if type_.endswith((".", "*")):
        raise ConfigError(f"{type_!r} is not an event type: for a family use on_prefix()")


def is_async(function: HandlerFunction) -> bool:
    """Return whether calling *function* gives a coroutine, seen through partials and objects."""
    while isinstance(function, partial):
        function = function.func
    for candidate in (function, getattr(type(function), "__call__", None)):  # noqa: B004  # an object with an async __call__
        code = getattr(getattr(candidate, "__func__", candidate), "__code__", None)
        if code is not None:
            return bool(code.co_flags & _COROUTINE_FUNCTION)
    return False


def _name(function: HandlerFunction) -> str:
    if not callable(function):
        raise ConfigError(f"a handler must be callable, and {function!r} is not")
    qualified = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', '?')}.{qualified}"
