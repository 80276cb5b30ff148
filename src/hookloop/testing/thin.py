"""What a thin event is about: the id, the type and the URL of an object it does not carry."""

import inspect
from functools import cache
from importlib import import_module
from typing import Any

from hookloop.errors import ConfigError
from hookloop.events.event_types import THIN_TYPES
from hookloop.shapes.package import class_named, object_name, stripe_package
from hookloop.shapes.sample import Json, Sampler

__all__ = ["notification_class", "related_object", "thin_types"]

STRIPE_WITH_THIN_EVENTS = 16  # the first release with a class for every thin event


@cache
def thin_types() -> frozenset[str]:
    """Return every type of event that only names its object: ``v1.*`` and ``v2.*``."""
    # Our own list: the package names them from stripe 16 on, and has no public way to ask.
    return frozenset(THIN_TYPES)


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


def related_object(event_type: str, sampler: Sampler, *, id_: str | None) -> Json | None:
    """Return ``related_object`` of a thin event; None where its type is about none."""
    class_ = notification_class(event_type)
    declared = getattr(inspect.get_annotations(class_).get("related_object"), "__name__", None)
    if declared is None:
        return None
    fetched = _fetched_class(class_)
    name = (fetched and object_name(fetched)) or _stem(event_type)
    if declared == "RelatedSingletonObject":
        return {"type": name, "url": _url(name, fetched, {})}
    sample = sampler.object_of(fetched) if fetched else {}
    sample["id"] = id_ or sample.get("id") or f"{name.rpartition('.')[2]}_sample"
    return {"id": sample["id"], "type": name, "url": _url(name, fetched, sample)}


def _fetched_class(class_: Any) -> Any:
    """Return what ``fetch_related_object`` says it returns; None where that is no one class."""
    function = getattr(class_, "fetch_related_object", None)
    declared = inspect.get_annotations(function).get("return") if function else None
    return class_named(declared, class_) if isinstance(declared, str) else None


def _stem(event_type: str) -> str:
    return event_type.removeprefix("v1.").rpartition(".")[0]


def _url(name: str, class_: Any, sample: Json) -> str:
    if sample and hasattr(class_, "instance_url"):
        try:
            return str(class_.construct_from(sample, None).instance_url())
        except (AssertionError, KeyError, NotImplementedError):
            pass  # what only lives inside another object says no URL of its own
    path = name.replace(".", "/") if name.startswith("v2.") else f"v1/{name.replace('.', '/')}"
    return f"/{path}s/{sample['id']}" if sample else f"/{path}"
