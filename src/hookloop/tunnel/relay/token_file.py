"""
The file that `--tokens` names: JSON that a program or a person may edit, and the relay reads.

JSON and no database: a platform team mounts it as a secret, makes it with its own tools, and
sees in a diff what has changed. It is written whole, beside the old one and then in its place,
so that no reader ever sees half of it.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hookloop.errors import ConfigError

from .tokens import Token, Tokens

__all__ = ["TokenFile", "editing", "read_tokens"]

FILE_BYTES_MAX = 16 * 1024 * 1024  # some 50,000 tokens
_TIMES = {"created", "expires"}
_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "sha256": (str,),
    "label": (str,),
    "created": (int, str),
    "expires": (int, str, type(None)),
    "names": (list,),
    "own_names_only": (bool,),
    "sessions_max": (int, type(None)),
    "tunnels_max": (int, type(None)),
}


def read_tokens(path: Path) -> list[Token]:
    """Return the tokens of a file; raises `ConfigError`, which names file and fault."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no token file {path}: make one with `hookloop relay token create LABEL "
            f"--tokens {path}`"
        ) from None
    except OSError as error:
        raise ConfigError(f"the token file {path} cannot be read: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"the token file {path} is over {FILE_BYTES_MAX} bytes")
    try:
        return _parse(data)
    except ConfigError as error:
        raise ConfigError(f"the token file {path}: {error}") from None


@contextmanager
def editing(path: Path) -> Iterator[list[Token]]:
    """
    Yield the tokens of a file, which may not exist yet; what is left in the list is written.

    One editor at a time. Raises `ConfigError`, also for a list that no relay would accept.
    """
    try:
        with _locked(path.parent):
            tokens = read_tokens(path) if path.exists() else []
            yield tokens
            Tokens(tokens)
            _write(path, tokens)
    except OSError as error:
        raise ConfigError(f"the token file {path} cannot be written: {error.strerror}") from error


class TokenFile:
    """A file's tokens, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None

    def read(self) -> list[Token]:
        """Return the tokens; raises `ConfigError`."""
        self._seen = self._stamp()
        return read_tokens(self._path)

    def read_if_changed(self) -> list[Token] | None:
        """Return the tokens if the file is not the one that was read last, or None."""
        return None if self._stamp() == self._seen else self.read()

    def _stamp(self) -> tuple[int, ...] | None:
        # The inode too: a mounted secret is replaced by a link to another file.
        with suppress(OSError):
            found = self._path.stat()
            return (found.st_ino, found.st_dev, found.st_mtime_ns, found.st_size)
        return None


def _parse(data: bytes) -> list[Token]:
    try:
        content = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"it is not JSON: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("tokens"), list):
        raise ConfigError('it is not {"tokens": [...]}')
    return [_token(entry, number) for number, entry in enumerate(content["tokens"], 1)]


def _token(entry: Any, number: int) -> Token:
    if not isinstance(entry, dict):
        raise ConfigError(f"token {number} is not a JSON object")
    known = {field.name for field in fields(Token)}
    for key, value in entry.items():
        # One that a later version writes could be a limit: not to know it is not to keep it.
        if key not in known:
            raise ConfigError(f"token {number} has the member {key!r}, which is not known here")
        is_bool = isinstance(value, bool)
        if not isinstance(value, _TYPES[key]) or (is_bool and bool not in _TYPES[key]):
            raise ConfigError(f"token {number} has a {key!r} of the wrong kind")
    names = entry.get("names", [])
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"token {number} has a name that is no text")
    times = {
        key: _seconds(entry[key], f"token {number} has a {key!r}") for key in _TIMES & entry.keys()
    }
    try:
        return Token(**{**entry, **times, "names": tuple(names)})
    except TypeError:
        raise ConfigError(f"token {number} has no id or no sha256") from None


def _seconds(value: int | str | None, whose: str) -> int | None:
    if not isinstance(value, str):
        return value
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except ValueError:
        raise ConfigError(f"{whose} that is no time: write it as 2030-12-31T00:00:00Z") from None


def _write(path: Path, tokens: list[Token]) -> None:
    content = {"tokens": [_entry(token) for token in tokens]}
    data = json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
    # mkstemp makes it 0600; an owner who gave the file to a group does so again.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _entry(token: Token) -> dict[str, Any]:
    """Leave out what is not set: the file is read by people."""
    default = Token(id=token.id, sha256=token.sha256)
    return {
        key: _written(key, value)
        for key, value in asdict(token).items()
        if key in {"id", "sha256"} or value != getattr(default, key)
    }


def _written(key: str, value: Any) -> Any:
    if key in _TIMES:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return list(value) if isinstance(value, tuple) else value


def _sync(folder: Path) -> None:
    """Make the new name last over a power cut too, where a folder can be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder, so that no lock file is left behind; on Windows nobody else edits."""
    try:
        import fcntl
    except ModuleNotFoundError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
