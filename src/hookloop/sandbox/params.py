"""
Form bodies and query strings with Stripe's nested brackets, as plain values.

    name=Ada&metadata[plan]=pro&expand[]=sources&items[0][price]=price_1

becomes ``{"name": "Ada", "metadata": {"plan": "pro"}, "expand": ["sources"],
"items": {"0": {"price": "price_1"}}}``. Every leaf is a string. Whether a hash
with numbers for keys is a list is for the declared type to say (`as_list`),
because ``metadata[0]=x`` is none.

Any bytes give params or `ParamsError`, nothing else.
See https://docs.stripe.com/api and the request encoding of Stripe's own clients.
"""

import re
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

__all__ = ["DEPTH_MAX", "PAIRS_MAX", "Params", "ParamsError", "Value", "as_list", "decode_form"]

Value: TypeAlias = "str | list[Value] | dict[str, Value]"
Params: TypeAlias = dict[str, Value]

PAIRS_MAX = 4096  # Rack, which parses such forms for most Ruby services, stops there as well.
DEPTH_MAX = 32  # Also Rack's; Stripe's deepest parameter has six levels.

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)

_APPEND = ""  # the key between empty brackets


class ParamsError(ValueError):
    """The bytes are no form, or name a parameter in two ways that exclude each other."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def decode_form(encoded: bytes) -> Params:
    """Return the parameters of *encoded*, a form body or a query string. Raises `ParamsError`."""
    params: Params = {}
    if not encoded:
        return params
    pairs = encoded.split(b"&", PAIRS_MAX)
    if len(pairs) > PAIRS_MAX:
        raise ParamsError(f"Invalid request: more than {PAIRS_MAX} parameters.")
    for pair in pairs:
        if pair:
            name, _, value = pair.partition(b"=")
            name_text = _text(name)
            _place(params, _path(name_text), _text(value), name_text)
    return params


def as_list(value: Value) -> list[Value] | None:
    """
    Return *value* as a list, or None where it is none.

    A hash whose keys are all numbers counts as one, ordered by them: Stripe's
    clients write arrays with an index, and its fixtures do so with gaps.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(_NUMBER.fullmatch(key) for key in value):
        return [value[key] for key in sorted(value, key=int)]
    return None


def _text(encoded: bytes) -> str:
    try:
        return unquote_to_bytes(encoded.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise ParamsError("Invalid request: a parameter is not valid UTF-8.") from None


def _place(here: dict[str, Value] | list[Value], path: list[str], leaf: str, name: str) -> None:
    """Put *leaf* below *here* at *path*, making the containers on the way."""
    key, *rest = path
    if not rest:
        _set_leaf(here, key, leaf, name)
        return
    empty: dict[str, Value] | list[Value] = [] if rest[0] == _APPEND else {}
    below = _below(here, key, rest, empty)
    if isinstance(below, str) or isinstance(below, list) is not isinstance(empty, list):
        raise _conflict(name)
    _place(below, rest, leaf, name)


def _below(
    here: dict[str, Value] | list[Value],
    key: str,
    rest: list[str],
    empty: dict[str, Value] | list[Value],
) -> Value:
    """Return what stands in *here* at *key*, or *empty*, put there."""
    if isinstance(here, dict):
        return here.setdefault(key, empty)
    # a[][x]=1&a[][y]=2 is one element, a[][x]=1&a[][x]=2 are two: a name that is
    # taken already starts the next element, as in Rack.
    if not here or _is_taken(here[-1], rest):
        here.append(empty)
    return here[-1]


def _is_taken(element: Value, path: list[str]) -> bool:
    """Say whether *element* has a value already where *path* leads."""
    for key in path:
        if isinstance(element, list) and key == _APPEND:
            return False
        if not isinstance(element, dict):
            return True
        if key not in element:
            return False
        element = element[key]
    return True


def _set_leaf(here: dict[str, Value] | list[Value], key: str, leaf: str, name: str) -> None:
    if isinstance(here, list):
        here.append(leaf)
    elif isinstance(here.get(key), dict | list):
        raise _conflict(name)
    else:
        here[key] = leaf


def _path(name: str) -> list[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ParamsError(f"Invalid parameter name: {_shortened(name)}", _shortened(name))
    path = [match[1], *match[2][1:-1].split("][")] if match[2] else [match[1]]
    if len(path) > DEPTH_MAX:
        raise ParamsError(
            f"Invalid parameter: {path[0]} is nested more than {DEPTH_MAX} levels deep.", path[0]
        )
    return path


def _conflict(name: str) -> ParamsError:
    short = _shortened(name)
    return ParamsError(
        f"Invalid parameter: {short} is given both as a value and as a group.", short
    )


def _shortened(name: str) -> str:
    return name if len(name) <= 80 else name[:77] + "..."
