"""JSON as Stripe prints it: two spaces a level, keys in the object's order, UTF-8."""

import json
from json.encoder import encode_basestring
from typing import Any

__all__ = ["pretty"]


def pretty(value: Any, *, indent: str = "\n") -> str:
    """
    Return *value* as JSON, the same text as ``json.dumps(indent=2, ensure_ascii=False)``.

    The standard library indents in Python, token by token; done container by
    container it takes a fraction of that, and every delivery is printed so.
    *indent* is a line feed and the spaces *value* stands at.
    """
    if isinstance(value, str):
        return encode_basestring(value)
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        items = [
            f"{encode_basestring(key)}: {pretty(item, indent=deeper)}"
            for key, item in value.items()
        ]
        return f"{{{deeper}{f',{deeper}'.join(items)}{indent}}}"
    if isinstance(value, list) and value:
        return f"[{deeper}{f',{deeper}'.join([pretty(v, indent=deeper) for v in value])}{indent}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    return json.dumps(value)
