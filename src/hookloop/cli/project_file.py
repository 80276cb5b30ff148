"""
hookloop.toml: the tunnels of a project, found from the current folder upwards.

What is wrong is said for the whole file at once, with the key, its line, and the known
key that looks most like it. `ngrok_file` reads ngrok's in place of it.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookloop.errors import ConfigError

if TYPE_CHECKING:
    from hookloop.tunnel.agent.options import TunnelOptions

__all__ = [
    "FILE_NAME",
    "TOP_KEYS",
    "TUNNEL_KEYS",
    "Key",
    "Problems",
    "Project",
    "find_project_file",
    "read_hookloop_toml",
    "read_project",
    "tunnel_options",
]

FILE_NAME = "hookloop.toml"
NGROK_NAMES = ("ngrok.yml", "ngrok.yaml")
ROOT_UID = 0  # whoever is root owns this process anyway
FILE_BYTES_MAX = 1024 * 1024  # far beyond any project; a wrong --config is not read for minutes
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file; the reference page has a row for each, held by a test."""

    name: str
    kind: str
    """``text``, ``texts`` (one or a list), ``number``, ``yes or no`` or ``port or text``."""
    meaning: str


TOP_KEYS = (
    Key("relay", "text", "the relay's address; HOOKLOOP_RELAY and --relay go before it"),
    Key("token", "text", "what the relay's owner gave you; HOOKLOOP_TOKEN and --token go first"),
    Key("tunnels", "table", "a table for each tunnel: [tunnels.NAME]"),
)

TUNNEL_KEYS = (
    Key("upstream", "port or text", "the local service; the one key that must be there"),
    Key("name", "text", "the name asked of the relay; without it the relay makes one up"),
    Key("protocol", "text", "http, tcp or tls"),
    Key("host_header", "text", "rewrite, preserve, or the Host to send"),
    Key("origin", "text", "rewrite or preserve"),
    Key("basic_auth", "texts", "user:password, of which one is asked for"),
    Key("allow_cidr", "texts", "the addresses that may call; others get a 403"),
    Key("deny_cidr", "texts", "addresses that may not, though allow_cidr has them"),
    Key("request_header_add", "texts", "'Name: value', added to each request"),
    Key("request_header_remove", "texts", "names of fields taken off each request, before adding"),
    Key("response_header_add", "texts", "'Name: value', added to each answer"),
    Key("response_header_remove", "texts", "names of fields taken off each answer, before adding"),
    Key("verify_webhook", "text", "whose signature each request must have, such as stripe"),
    Key("secret", "texts", "the signing secrets that verify_webhook checks with"),
    Key("upstream_insecure", "yes or no", "take any certificate of an https upstream"),
    Key("upstream_ca", "text", "a PEM file to trust for it"),
    Key("catch", "yes or no", "keep what comes while the upstream is down, and deliver it later"),
    Key("catch_path", "texts", "catch only these paths, such as '/webhooks/*'"),
    Key("catch_status", "number", "what the senders of caught requests are answered; 202"),
    Key("catch_dir", "text", "the folder that caught requests are kept in"),
    Key("remote_port", "number", "the public port asked for, of a tcp tunnel"),
    Key("proxy_protocol", "text", "v1 or v2: tell a tcp or tls upstream who calls"),
    Key("idle_seconds", "number", "the longest silence of a tcp or tls connection; any, without"),
    Key("connect_seconds", "number", "for the upstream to take a connection"),
    Key("response_seconds", "number", "for the upstream to begin its answer"),
)


@dataclass(frozen=True, slots=True)
class Project:
    """What a file says."""

    path: Path
    relay: str | None
    token: str | None = field(repr=False)
    tunnels: "tuple[TunnelOptions, ...]"
    warnings: tuple[str, ...] = ()
    """What the file asks for and we do not do, where it does no harm to go on."""


class Problems:
    """Collects what is wrong with one file, to be said at once."""

    def __init__(self, path: Path, line: Callable[[tuple[str, ...]], int | None]) -> None:
        """*line* tells where a key stands."""
        self.warnings: list[str] = []
        self._path = path
        self._line = line
        self._errors: list[str] = []

    def error(self, where: tuple[str, ...], what: str) -> None:
        self._errors.append(f"{self._place(where)}: {what}")

    def warn(self, where: tuple[str, ...], what: str) -> None:
        self.warnings.append(f"{self._place(where)}: {what}")

    def unknown(self, where: tuple[str, ...], known: Iterable[str]) -> None:
        """The last of *where* is no key there."""
        near = difflib.get_close_matches(where[-1], list(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        self.error(where, f"there is no key {where[-1]!r} here; {hint}")

    def raise_if_any(self) -> None:
        if self._errors:
            raise ConfigError("\n".join(self._errors))

    def _place(self, where: tuple[str, ...]) -> str:
        line = self._line(where)
        at = f"{self._path}:{line}" if line else str(self._path)
        return f"{at}: {'.'.join(where)}" if where else at


def find_project_file(folder: Path) -> Path | None:
    """
    Return the nearest file from *folder* upwards, or None.

    Raises `ConfigError` where it belongs to somebody else: it says whom the token is sent to.
    """
    for place in (folder, *folder.parents):
        for name in (FILE_NAME, *NGROK_NAMES):
            path = place / name
            if path.is_file():
                _check_owner(path)
                return path
    return None


def read_project(path: Path, environment: Mapping[str, str] | None = None) -> Project:
    """
    Read a hookloop.toml, or an ngrok.yml by its ending.

    *environment* is where ``${NAME}`` in a text is looked up. Raises `ConfigError` with a
    line for each thing that is wrong.
    """
    from .ngrok_file import read_ngrok_yml

    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(f"{path} is over {FILE_BYTES_MAX} bytes: is it the right file?")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    variables = os.environ if environment is None else environment
    if path.suffix in {".yml", ".yaml"}:
        return read_ngrok_yml(path, text)
    return read_hookloop_toml(path, text, variables)


def read_hookloop_toml(path: Path, text: str, environment: Mapping[str, str]) -> Project:
    """Return what *text* says; *path* is for its errors. Raises `ConfigError`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    problems = Problems(path, partial(toml_line, text))
    top = _checked(document, TOP_KEYS, (), problems, environment)
    tunnels = []
    for label, table in top.get("tunnels", {}).items():
        where = ("tunnels", label)
        if not isinstance(table, dict):
            problems.error(where, f"a tunnel is a table: [tunnels.{label}]")
            continue
        values = _checked(table, TUNNEL_KEYS, where, problems, environment)
        if "upstream" not in table:
            problems.error(where, "the tunnel has no upstream: add the port of your app")
        elif "upstream" in values:
            options = tunnel_options(label, _placed(values, path), where, problems)
            tunnels += [options] if options is not None else []
    problems.raise_if_any()
    return Project(path, top.get("relay"), top.get("token"), tuple(tunnels))


def tunnel_options(
    label: str, values: dict[str, Any], where: tuple[str, ...], problems: Problems
) -> "TunnelOptions | None":
    """Return the tunnel of checked *values*, or None after telling *problems* why not."""
    from hookloop.tunnel.agent.options import TunnelOptions

    from .webhook_guard import webhook_guard

    provider, secrets = values.pop("verify_webhook", None), values.pop("secret", ())
    try:
        guard = webhook_guard(provider, secrets)
        return TunnelOptions(**values, label=label, guard=guard)
    except ConfigError as error:
        problems.error(where, str(error))
        return None


# --- inside ---------------------------------------------------------------------------------


def _placed(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Take paths from the file's folder: the command may be run further down."""
    folder = path.resolve().parent
    for key in ("upstream_ca", "catch_dir"):
        if key in values:
            values[key] = str(folder / Path(values[key]).expanduser())
    upstream = values["upstream"]
    if upstream.startswith(".") or (not upstream.isdecimal() and (folder / upstream).is_dir()):
        values["upstream"] = str(folder / upstream)
    return values


def _checked(
    table: dict[str, Any],
    keys: tuple[Key, ...],
    where: tuple[str, ...],
    problems: Problems,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Return the values that are of their key's kind; tell *problems* of all others."""
    known = {key.name: key for key in keys}
    values = {}
    for name, value in table.items():
        here = (*where, name)
        if name not in known:
            problems.unknown(here, known)
            continue
        read = _read(value, known[name].kind)
        if read is None:
            problems.error(here, f"this is not {_IN_WORDS[known[name].kind]}")
            continue
        try:
            values[name] = _expanded(read, environment)
        except KeyError as error:
            problems.error(here, f"the environment has no {error.args[0]}")
    return values


_IN_WORDS = {
    "text": "a text in quotes",
    "texts": "a text in quotes, or a list of them",
    "number": "a number above 0",
    "yes or no": "true or false",
    "port or text": "a port, or an address in quotes",
    "table": "a table",
}


def _read(value: Any, kind: str) -> Any:
    """Return *value* as its kind is kept, or None where it is of another."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    match kind:
        case "text" if isinstance(value, str) and value:
            return value
        case "texts" if isinstance(value, str):
            return (value,)
        case "texts" if is_texts:
            return tuple(value)
        case "number" if is_number and 0 < value < float("inf"):
            return float(value)
        case "yes or no" if isinstance(value, bool):
            return value
        case "port or text" if isinstance(value, str) or (is_number and isinstance(value, int)):
            return str(value)
        case "table" if isinstance(value, dict):
            return value
    return None


def _expanded(value: Any, environment: Mapping[str, str]) -> Any:
    """Put the environment's values in the place of ``${NAME}``. Raises `KeyError`."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: environment[match[1]], value)
    if isinstance(value, tuple):
        return tuple(_expanded(item, environment) for item in value)
    return value


def toml_line(text: str, where: tuple[str, ...]) -> int | None:
    """
    Return the line that the key *where* stands on, or that of the table around it.

    Read from the text, as far as that goes: TOML's reader tells lines of broken syntax only.
    """
    if not where:
        return None
    header, parent = (_header(path) for path in (where, where[:-1]))
    is_key = re.compile(rf"\s*{_quotable(where[-1])}\s*=")
    is_inside = len(where) == 1
    for number, line in enumerate(text.splitlines(), 1):
        if header.match(line):
            return number
        if line.lstrip().startswith("["):
            is_inside = parent.match(line) is not None
        elif is_inside and is_key.match(line):
            return number
    return toml_line(text, where[:-1])


def _header(where: tuple[str, ...]) -> re.Pattern[str]:
    names = r"\s*\.\s*".join(map(_quotable, where))
    return re.compile(rf"\s*\[\s*{names}\s*\]")


def _quotable(word: str) -> str:
    return rf"[\"']?{re.escape(word)}[\"']?"


def _check_owner(path: Path) -> None:
    if not hasattr(os, "getuid"):
        return
    owner = path.stat().st_uid
    if owner not in {os.getuid(), ROOT_UID}:
        raise ConfigError(
            f"{path} belongs to another user, and says whom your token is sent to: if you trust "
            f"it, name it with --config {path}"
        )
