"""Where captures are kept, and how a command opens them, beside an agent that writes there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.errors import ConfigError

if TYPE_CHECKING:
    from hookloop.inspector import CaptureStore

__all__ = ["StoreOption", "default_store", "opened"]

StoreOption = Annotated[
    Path | None,
    typer.Option("--captures", envvar="HOOKLOOP_CAPTURES", help="The file they are kept in."),
]


def default_store() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "hookloop" / "captures.sqlite3"


@contextmanager
def opened(path: Path | None, *, is_made: bool = False) -> "Iterator[CaptureStore]":
    """Yield the store; unless *is_made*, `ConfigError` where there is none."""
    from hookloop.inspector import CaptureStore

    where = path or default_store()
    if not is_made and not where.is_file():
        raise ConfigError(f"there are no captures in {where}: name their file with --captures")
    store = CaptureStore(where)
    try:
        yield store
    finally:
        store.close()
