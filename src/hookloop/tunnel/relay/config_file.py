"""
A relay's settings from a TOML file: its keys are the fields of `RelayConfig`.

Tables are the dataclasses within it, as ``[limits]``. The types of the fields say what may
stand there, so that a setting cannot be added and forgotten here.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from ipaddress import IPv4Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hookloop.errors import ConfigError

from .config import RelayConfig, parse_network

__all__ = ["read_config_file", "read_settings"]

FILE_BYTES_MAX = 1024 * 1024


def read_config_file(path: Path) -> dict[str, Any]:
    """
    Return what a file sets, as arguments of `RelayConfig`.

    Relative paths in it are meant from its folder. Raises `ConfigError`, which names the key.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the file {path} cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"the file {path} is over {FILE_BYTES_MAX} bytes")
    try:
        table = tomllib.loads(data.decode())
    except ValueError as error:
        raise ConfigError(f"the file {path} is not TOML: {error}") from None
    try:
        return read_settings(table, path.parent)
    except ConfigError as error:
        raise ConfigError(f"the file {path}: {error}") from None


def read_settings(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return *table* as arguments of `RelayConfig`. Raises `ConfigError`, which names the key."""
    return _arguments(RelayConfig, table, folder, "")


def _arguments(kind: type, table: Mapping[str, Any], folder: Path, prefix: str) -> dict[str, Any]:
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    arguments = {}
    for key, value in table.items():
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f": did you mean {prefix}{close[0]}?" if close else ""
            raise ConfigError(f"there is no setting {prefix}{key}{hint}")
        arguments[key] = _value(hints[key], value, folder, prefix + key)
    return arguments


def _value(hint: Any, value: Any, folder: Path, key: str) -> Any:
    if get_origin(hint) in {Union, UnionType}:
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        if IPv4Network in kinds:
            return _network(value, key)
        return _value(kinds[0], value, folder, key)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f'{key} is {value!r}: give a list, as in ["..."]')
        inner = get_args(hint)[0]
        return tuple(
            _value(inner, each, folder, f"{key}[{index}]") for index, each in enumerate(value)
        )
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, value, folder, key)
    return _scalar(hint, value, folder, key)


def _dataclass(kind: type, value: Any, folder: Path, key: str) -> Any:
    if not isinstance(value, dict):
        raise ConfigError(f"{key} is {value!r}: give a table, [{key}]")
    arguments = _arguments(kind, value, folder, f"{key}.")
    try:
        return kind(**arguments)
    except TypeError:
        needed = ", ".join(field.name for field in fields(kind) if field.name not in arguments)
        raise ConfigError(f"{key} is not complete: it has no {needed}") from None


def _scalar(hint: Any, value: Any, folder: Path, key: str) -> Any:
    kind = type(value)  # exactly: to Python, True is a number, and to people it is not
    if hint is Path and kind is str:
        return folder / value
    if hint is float and kind is int:
        return float(value)
    if kind is hint:
        return value
    raise ConfigError(f"{key} is {value!r}: give {_KINDS.get(hint, 'something else')}")


def _network(value: Any, key: str) -> Any:
    if not isinstance(value, str):
        raise ConfigError(f"{key} is {value!r}: give a text")
    try:
        return parse_network(value)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None


_KINDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path, as text",
}
