"""Registering handlers: what `Handlers`, `Hooks` and `ProviderHooks` have in common."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from hookloop.errors import ConfigError

from .event import Event
from .router import Handler, HandlerFunction, Router, is_async

if TYPE_CHECKING:
    from .outcomes import Reply

__all__ = ["FilterFunction", "Registration"]

FunctionT = TypeVar("FunctionT", bound=HandlerFunction)
FilterFunction = Callable[[Event[Any]], Any]

DEADLINE_SECONDS_MAX = 3600.0  # no sender waits an hour; what is larger is a mistake of units


class Registration:
    """
    Handlers and filters, in the order they were registered.

    A handler is any callable that takes an event: a function, a coroutine function, a
    method, an object. It returns None, `Reply`, `Retry`, `Reject` or `Drop`.
    """

    def __init__(self) -> None:
        self.router = Router()
        self._filters: list[tuple[FilterFunction, bool]] = []
        self._included: list[Registration] = []

    def on_prefix(self, prefix: str) -> Callable[[FunctionT], FunctionT]:
        """Run the function below for every type that starts with *prefix*, as in ``customer.``."""

        def register(function: FunctionT) -> FunctionT:
            self.router.add_prefix(Handler(function), prefix)
            return function

        return register

    def on_any(self, function: FunctionT) -> FunctionT:
        """Run the function below for every event."""
        self.router.add_any(Handler(function))
        return function

    def filter(self, function: FunctionT) -> FunctionT:
        """
        Let the function below look at each event before any handler does.

        It returns the event to go on with, or None: then nothing runs and the sender is told
        200. Filters run in their order, each on what the one before returned.
        """
        if not callable(function):
            raise ConfigError(f"a filter must be callable, and {function!r} is not")
        self._filters.append((function, is_async(function)))
        return function

    def include(self, other: "Registration") -> None:
        """
        Take in the handlers of *other*, those it gets later too.

        Its filters come along and are asked about every event, not only about those its own
        handlers are for.
        """
        self.router.include(other.router)
        self._included.append(other)

    def unsubscribe(self, function: HandlerFunction) -> int:
        """Forget every registration of *function* in these; return how many there were."""
        return self.router.remove(function)

    def is_listening(self, type: str) -> bool:  # noqa: A002  # Stripe's own name
        """Return whether any handler would run for an event of *type*."""
        return bool(self.router.handlers_for(type))

    def filters(self) -> list[tuple[FilterFunction, bool]]:
        """Return the filters in their order, and whether each is async; included ones last."""
        found = list(self._filters)
        for other in self._included:
            found.extend(other.filters())
        return found

    def _add(
        self,
        types: tuple[str, ...],
        *,
        deadline_seconds: float | None = None,
        default: "Reply | None" = None,
        order: str | None = None,
        fresh: bool = False,
    ) -> Callable[[FunctionT], FunctionT]:
        if deadline_seconds is not None and not 0 < deadline_seconds <= DEADLINE_SECONDS_MAX:
            raise ConfigError(
                f"a deadline of {deadline_seconds!r} s is not between 0 and "
                f"{DEADLINE_SECONDS_MAX:g}: it is given in seconds"
            )

        if order not in (None, "object"):
            raise ConfigError(f"order is {order!r}: it is 'object', or not given")
        if fresh and order is None:
            raise ConfigError("fresh is for the events of one object at a time: add order='object'")

        def register(function: FunctionT) -> FunctionT:
            handler = Handler(
                function,
                deadline_seconds=deadline_seconds,
                default=default,
                order=order,
                fresh=fresh,
            )
            self.router.add(handler, types)
            return function

        return register
