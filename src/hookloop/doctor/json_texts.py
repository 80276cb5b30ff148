"""The ways one JSON value is written down: what was signed is among them, if any."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

__all__ = ["json_texts"]

PARSED_BYTES_MAX = 512 * 1024  # all texts of this much take about 3 s; Stripe's events are smaller

_LAYOUTS: tuple[tuple[str, int | str | None, tuple[str, str]], ...] = (
    ("two-space indents", 2, (",", ": ")),
    ("no spaces", None, (",", ":")),
    ("a space after , and :", None, (", ", ": ")),
    ("four-space indents", 4, (",", ": ")),
    ("tabs", "\t", (",", ": ")),
)
_CHARACTERS = (("UTF-8 as it is", False), ("non-ASCII as \\u escapes", True))
_ORDERS = ("the same key order", "Stripe's key order", "sorted keys")
# PHP writes \/ and Go \u003c; both inside strings only, where alone these characters stand.
_ESCAPES: tuple[tuple[str, dict[str, str]], ...] = (
    ("", {}),
    (", / escaped as PHP does", {"/": "\\/"}),
    (
        ", <>& escaped as Go and Rails do",
        {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"},
    ),
)


def json_texts(body: bytes) -> Iterator[tuple[bytes, str]]:
    """
    Yield every way to write the JSON of *body*, each with a description for people.

    At most 90 texts; none where *body* is no JSON object or array, or too large.
    """
    if len(body) > PARSED_BYTES_MAX:
        return
    try:
        value = json.loads(body)
        orders = (value, _as_stripe_orders(value), None)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict | list):
        return
    escapes = [one for one in _ESCAPES if any(c in body.decode("latin-1") for c in one[1])]
    for (escape_name, escape), order, (layout, indent, separators), (
        characters,
        ascii_only,
    ) in product([_ESCAPES[0], *escapes], range(len(_ORDERS)), _LAYOUTS, _CHARACTERS):
        try:
            text = json.dumps(
                value if orders[order] is None else orders[order],
                indent=indent,
                separators=separators,
                ensure_ascii=ascii_only,
                sort_keys=orders[order] is None,
            )
            for character, escaped in escape.items():
                text = text.replace(character, escaped)
            yield text.encode(), f"{layout}, {characters}, {_ORDERS[order]}{escape_name}"
        except (ValueError, RecursionError):  # lone surrogates; nesting at the edge
            continue


def _as_stripe_orders(value: Any) -> Any:
    """Return *value* with id and object first and the other keys sorted, as Stripe has them."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (key != "id", key != "object", key))
        return {key: _as_stripe_orders(value[key]) for key in keys}
    if isinstance(value, list):
        return [_as_stripe_orders(item) for item in value]
    return value
