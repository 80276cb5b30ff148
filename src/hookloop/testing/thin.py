"""What a thin event is about: the id, the type and the URL of an object it does not carry."""

import inspect
from typing import Any

from .package import class_named, notification_class, object_name
from .sample import Json, Sampler

__all__ = ["related_object"]


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
