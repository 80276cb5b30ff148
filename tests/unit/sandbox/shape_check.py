"""Says where an answer is not what the official package's classes promise."""

from typing import Any

from hookloop.shapes.object_shape import (
    Choice,
    Flag,
    Kind,
    Nested,
    Number,
    Page,
    Reference,
    Several,
    Text,
    shape_of,
)
from hookloop.shapes.package import class_of

__all__ = ["misfits"]


def misfits(value: Any, path: str = "") -> list[str]:
    """Return what is wrong with *value*, an answer of the API; empty where nothing is."""
    if not isinstance(value, dict):
        return []
    if value.get("object") in ("list", "search_result"):
        return [wrong for item in value["data"] for wrong in misfits(item, f"{path}[]")]
    class_ = class_of(value["object"]) if isinstance(value.get("object"), str) else None
    if class_ is None or value.get("deleted"):
        return []
    return _misfits(value, class_, value["object"])


def _misfits(value: dict[str, Any], class_: type, path: str) -> list[str]:
    fields = shape_of(class_).fields
    wrong = [f"{path}.{name} is no field" for name in value if name not in fields]
    wrong += [
        f"{path}.{name} is missing"
        for name, field in fields.items()
        if not field.is_optional and name not in value and name != "deleted"
    ]
    for name, field in fields.items():
        if name not in value:
            continue
        if value[name] is None:
            if not field.is_optional:
                wrong.append(f"{path}.{name} is null")
        else:
            wrong += _of_kind(value[name], field.kind, f"{path}.{name}")
    return wrong


def _of_kind(value: Any, kind: Kind, path: str) -> list[str]:
    simple: dict[type, type | tuple[type, ...]] = {Text: str, Choice: str, Flag: bool}
    match kind:
        case Text() | Choice() | Flag():
            fits = isinstance(value, simple[type(kind)])
            if fits and isinstance(kind, Choice):
                fits = value in kind.words
        case Number(is_float):
            fits = isinstance(value, (int, float) if is_float else int)
            fits = fits and not isinstance(value, bool)
        case Nested(class_):
            return _misfits(value, class_, path) if isinstance(value, dict) else [f"{path} {value}"]
        case Several(item):
            return [wrong for one in value for wrong in _of_kind(one, item, f"{path}[]")]
        case Page():
            return misfits(value, path)
        case Reference():
            return misfits(value, path) if isinstance(value, dict) else []
        case _:
            return []
    return [] if fits else [f"{path} is {value!r}"]
