"""
An object of which nothing is known yet, and values fitted into its shape.

    blank("product")          # every field of a product, null or empty
    fitted(class_, given)     # `given` with every field of its nested objects

Objects are values here: what is nested in one may be nested in others, and is never changed.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from .object_shape import Flag, Free, Kind, Nested, Number, Page, Reference, Several, Text, shape_of
from .package import class_of
from .sample import Json, variants

__all__ = ["blank", "fitted"]


def blank(name: str, values: Mapping[str, Any] | None = None) -> Json:
    """
    Return an object that calls itself *name*, with *values*, in the order the class has.

    Fields that may be null are null. Lists that Stripe shows only on request are not there,
    and neither is what another ``type`` of the object would have.
    Raises `LookupError` where the installed package has no such object.
    """
    class_ = class_of(name)
    if class_ is None:
        raise LookupError(f"the installed stripe package has no object called {name}")
    made = {**_blank(class_), "object": name}
    return fitted(class_, {**made, **(values or {})})


def fitted(class_: type, given: Mapping[str, Any]) -> Json:
    """
    Return *given*, an object of *class_*, with its nested objects whole.

    What a nested object has no field for is left out: some parameters only ask for something.
    """
    fields = shape_of(class_).fields
    return {
        # Most values are neither, and most objects have fifty.
        name: _fitted(fields[name].kind, value)
        if isinstance(value, dict | list) and name in fields
        else value
        for name, value in given.items()
    }


def _fitted(kind: Kind, value: Any) -> Any:
    match kind:
        case Nested(class_) if isinstance(value, dict):
            empty = _blank(class_)
            if value is empty:
                return value
            fields = shape_of(class_).fields
            known = {name: inner for name, inner in value.items() if name in fields}
            return fitted(class_, {**empty, **known})
        case Several(item) if isinstance(value, list):
            return [_fitted(item, one) for one in value]
    return value


@cache
def _blank(class_: type) -> Json:
    shape = shape_of(class_)
    absent = variants(shape)[1] | {"deleted"}
    made = {
        name: None if field.is_optional else _empty(field.kind, name)
        for name, field in shape.fields.items()
        # Lists on request, and maps of objects, which the package cannot read a null of.
        if name not in absent and not (field.is_optional and isinstance(field.kind, Page | Free))
    }
    return {**made, "metadata": {}} if "metadata" in shape.fields else made


def _empty(kind: Kind, name: str) -> Any:
    match kind:
        case Text():
            return ""
        case Number():
            return 0
        case Flag():
            return False
        case Several():
            return []
        case Free():
            return {}
        case Page():
            return {"object": "list", "data": [], "has_more": False, "url": f"/v1/{name}"}
        case Nested(class_):
            return _blank(class_)
        case Reference():
            return None
    return None  # a word: for whoever makes the object to choose
