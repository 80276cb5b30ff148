"""Parameters made up from what the official package declares, as its clients would send them."""

from io import BytesIO
from typing import Any

from hookloop.shapes.object_shape import Choice, Flag, Free, Nested, Number, Several, Text
from hookloop.shapes.parameter import Either, ParameterKind, parameters_of

__all__ = ["made_params"]

DEPTH_MAX = 2


def made_params(class_: type | None, depth: int = 0) -> dict[str, Any]:
    """Return a value for each parameter of *class_*; below `DEPTH_MAX` for required ones only."""
    if class_ is None:
        return {}
    parameters = {name: one for name, one in parameters_of(class_).items() if name != "expand"}
    wanted = [name for name, one in parameters.items() if one.is_required or depth < DEPTH_MAX]
    # A form has no way to say an empty hash.
    return {
        name: _value(parameters[name].kind, name, depth)
        for name in wanted or list(parameters)[: 1 if depth else 0]
    }


def _value(kind: ParameterKind, name: str, depth: int) -> Any:
    match kind:
        case Text(is_decimal):
            return "1.5" if is_decimal else f"some_{name}"
        case Number(is_float):
            return 1.5 if is_float else 1
        case Flag():
            return True
        case Choice(words):
            return words[0]
        case Nested(class_):
            return made_params(class_, depth + 1)
        case Several(item):
            return [_value(item, name, depth)]
        case Either(kinds):
            return _value(kinds[0], name, depth)
        case Free():
            return BytesIO(b"a file") if name == "file" else {"key": "value"}
    raise AssertionError(kind)
