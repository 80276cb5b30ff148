"""Handlers of Stripe's events: `on` knows every type and the class of its object."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

from hookloop.errors import ConfigError

from .event_types import SNAPSHOT_TYPES, THIN_TYPES
from .registration import Registration
from .router import HandlerFunction, check_type

if TYPE_CHECKING:
    from .outcomes import Reply
    from .typed_on import On

__all__ = ["Handlers"]

FunctionT = TypeVar("FunctionT", bound=HandlerFunction)


class Handlers(Registration):
    """
    Handlers without secrets: for a module of its own, which `Hooks.include` takes in.

        handlers = Handlers()

        @handlers.on("invoice.paid")
        def paid(event: Event[stripe.Invoice]): ...
    """

    if TYPE_CHECKING:

        @property
        def on(self) -> On:
            """Run the function below for events of these exact types; see `typed_on`."""
            ...

    else:

        def on(
            self,
            *types: str,
            deadline_seconds: float | None = None,
            default: "Reply | None" = None,
            order: Literal["object"] | None = None,
            fresh: bool = False,
        ) -> Callable[[FunctionT], FunctionT]:
            """
            Run the function below for events of these exact *types*, snapshot or thin.

            *deadline_seconds* is how long it may run: 20 s for async handlers by default, and
            1.6 s for events whose sender waits. *default* is the `Reply` for such a sender
            where the function fails, is late, or returns none.

            With an inbox, *order* = ``"object"`` runs it for one event of an object at a time,
            oldest first, and *fresh* hands it the object as it is now, once for all events that
            wait. Raises `ConfigError`, which names the closest match, for a type Stripe does
            not have.
            """
            _check_known(types)
            return self._add(
                types,
                deadline_seconds=deadline_seconds,
                default=default,
                order=order,
                fresh=fresh,
            )

    def on_unknown(
        self,
        *types: str,
        deadline_seconds: float | None = None,
        default: "Reply | None" = None,
        order: Literal["object"] | None = None,
        fresh: bool = False,
    ) -> Callable[[FunctionT], FunctionT]:
        """Do what `on` does, for types this version does not know: previews, and newer ones."""
        return self._add(
            types,
            deadline_seconds=deadline_seconds,
            default=default,
            order=order,
            fresh=fresh,
        )


def _check_known(types: tuple[object, ...]) -> None:
    for type_ in types:
        check_type(type_)
        if type_ not in SNAPSHOT_TYPES and type_ not in THIN_TYPES:
            raise ConfigError(
                f"Stripe has no event type {type_!r}: {_closest(str(type_))}on_unknown() "
                "takes types this version does not know"
            )


def _closest(type_: str) -> str:
    from difflib import get_close_matches

    found = get_close_matches(type_, [*SNAPSHOT_TYPES, *THIN_TYPES], n=1)
    return f"did you mean {found[0]!r}? " if found else ""
