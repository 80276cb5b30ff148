"""
What the installed `stripe` package knows: event types, and the class of each one's object.

Asking the package rather than a list of our own means that a newer one widens what can be
made, and that nobody meets a field their own `stripe` does not have. It is imported when
something is first asked for, which takes a quarter of a second.
"""

import ast
import inspect
import sys
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any, TypeAlias, get_args

from hookloop.errors import ConfigError

__all__ = [
    "class_named",
    "class_of",
    "closest",
    "named_in",
    "object_class",
    "object_name",
    "snapshot_types",
    "stripe_package",
]

_Found: TypeAlias = type | tuple[str, str]
"""A class of the package, or the module and the name it is loaded by: from stripe 14 on."""

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
            "the shapes of Stripe's objects come from the stripe package, and it is not "
            "installed: pip install stripe"
        ) from None
    return stripe


@cache
def snapshot_types() -> frozenset[str]:
    """Return every type of event that carries its object, 275 of them in stripe 16.1."""
    return frozenset(get_args(stripe_package().Event.__annotations__["type"]))


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


def class_named(name: str, where: type) -> Any:
    """Return what the text of an annotation, *name*, stands for in the module of *where*."""
    return named_in(where.__module__, name)


def named_in(module_name: str, name: str) -> Any:
    """Return what *name* stands for in the loaded module *module_name*; None for nothing."""
    module = sys.modules[module_name]
    if hasattr(module, name):
        return getattr(module, name)
    source = _imports_for_types(module_name).get(name)
    return None if source is None else _load(source)


def class_of(name: str) -> type | None:
    """Return the class of objects that call themselves *name*, such as ``invoice``."""
    found = _object_classes().get(name)
    return None if found is None else _load(found)


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
