"""
What the installed `stripe` package knows: event types, and the class of each one's object.

Asking the package rather than a list of our own means that a newer one widens what can be
made, and that a test never meets a field its own `stripe` does not have. It is imported
when the first event is made, which takes a quarter of a second.
"""

import ast
import inspect
import sys
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any, TypeAlias, get_args

from hookloop.errors import ConfigError
from hookloop.events.event_types import THIN_TYPES

__all__ = [
    "class_named",
    "closest",
    "notification_class",
    "object_class",
    "object_name",
    "snapshot_types",
    "stripe_package",
    "thin_types",
]

_Found: TypeAlias = type | tuple[str, str]
"""A class of the package, or the module and the name it is loaded by: from stripe 14 on."""

STRIPE_WITH_THIN_EVENTS = 16  # the first release with a class for every thin event

# The object is what the type says before its last dot, but for these (all of Stripe's types
# were compared with the interfaces of its Node package).
_OBJECTS = {
    "account.application": "application",
    "account.external_account": "bank_account",  # or a card
    "application_fee.refund": "fee_refund",
    "billing.alert": "billing.alert_triggered",
    "charge.dispute": "dispute",
    "charge.refund": "refund",
    "customer.discount": "discount",
    "customer.source": "card",  # or a bank account, or a source
    "customer.subscription": "subscription",
    "customer.tax_id": "tax_id",
    "sigma.scheduled_query_run": "scheduled_query_run",
    "source.mandate_notification": "source_mandate_notification",
}


def stripe_package() -> Any:
    """Return the `stripe` module. Raises `ConfigError` with the line to type without it."""
    try:
        import stripe
    except ImportError:
        raise ConfigError(
            "realistic events are made from the classes of the stripe package, and it is not "
            "installed: pip install stripe"
        ) from None
    return stripe


@cache
def snapshot_types() -> frozenset[str]:
    """Return every type of event that carries its object, 275 of them in stripe 16.1."""
    return frozenset(get_args(stripe_package().Event.__annotations__["type"]))


@cache
def thin_types() -> frozenset[str]:
    """Return every type of event that only names its object: ``v1.*`` and ``v2.*``."""
    # Our own list: the package names them from stripe 16 on, and has no public way to ask.
    return frozenset(THIN_TYPES)


def object_class(event_type: str) -> type:
    """Return the class of ``data.object`` of the snapshot type *event_type*."""
    stem = event_type.rpartition(".")[0]
    classes = _object_classes()
    # issuing_card.created speaks of an issuing.card.
    found = classes.get(_OBJECTS.get(stem, stem)) or _by_letters().get(_letters(stem))
    if found is None:
        raise ConfigError(
            f"the stripe package {stripe_package().VERSION} has no class for the object of "
            f"{event_type}: make the event as a dict, or report this to hookloop"
        )
    return _load(found)


def notification_class(event_type: str) -> type:
    """Return the class of the thin type *event_type*. Raises `ConfigError` before stripe 16."""
    version = stripe_package().VERSION
    if int(version.partition(".")[0]) < STRIPE_WITH_THIN_EVENTS:
        raise ConfigError(
            f"thin events need stripe {STRIPE_WITH_THIN_EVENTS} or newer, and {version} is "
            "installed: pip install --upgrade stripe"
        )
    module = import_module("stripe.events._event_classes")
    found: type = module.get_v2_event_notification_class(event_type)
    return found


def class_named(name: str, where: type) -> Any:
    """Return what the text of an annotation, *name*, stands for in the module of *where*."""
    module = sys.modules[where.__module__]
    if hasattr(module, name):
        return getattr(module, name)
    source = _imports_for_types(where.__module__).get(name)
    return None if source is None else _load(source)


def object_name(class_: Any) -> str | None:
    """Return what an object of *class_* calls itself, such as ``invoice``; None if nothing."""
    name = getattr(class_, "OBJECT_NAME", None)
    return name if isinstance(name, str) else None


def closest(word: str, known: Any) -> str:
    """Return ``: did you mean 'x'?`` for the nearest of *known*, or the empty string."""
    near = get_close_matches(word, [*known], n=1)
    return f": did you mean {near[0]!r}?" if near else ""


@cache
def _object_classes() -> dict[str, _Found]:
    stripe_package()
    return {**import_module("stripe._object_classes").OBJECT_CLASSES}


@cache
def _by_letters() -> dict[str, _Found]:
    return {_letters(name): found for name, found in _object_classes().items()}


def _letters(name: str) -> str:
    return name.replace(".", "").replace("_", "")


def _load(found: _Found) -> type:
    if isinstance(found, type):
        return found
    loaded: type = getattr(import_module(found[0]), found[1])
    return loaded


@cache
def _imports_for_types(module: str) -> dict[str, tuple[str, str]]:
    """Return the names *module* imports for type checkers alone, and from where."""
    found = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module:
                    for alias in line.names:
                        found[alias.asname or alias.name] = (line.module, alias.name)
    return found
