"""The file of a catch box: private to its owner, and of one process at a time."""

import fcntl
import os
import re
from io import TextIOWrapper
from pathlib import Path

from hookloop.clock import Clock
from hookloop.errors import ConfigError
from hookloop.ledger.sqlite import SqliteStore

__all__ = ["CatchFile", "default_folder"]

PRIVATE = 0o700
"""Caught requests hold what customers typed: nobody else of this machine reads them."""


def default_folder() -> Path:
    """Return where an agent keeps what it catches, unless it is told otherwise."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "hookloop" / "catch"


class CatchFile:
    """
    A ledger in *folder*, named for *name*; the owner's duty: `close`.

    Raises `ConfigError` where another process has it, or where it would not outlive a crash,
    and `StoreError` where it cannot be opened.
    """

    def __init__(self, folder: Path, name: str, *, clock: Clock) -> None:
        try:
            folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"cannot keep caught requests in {folder}: {error.strerror}; name another folder"
            ) from error
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
        self.path = folder / f"{stem}.db"
        self._lock = self._locked(folder / f"{stem}.lock", name)
        try:
            self.store = SqliteStore(self.path, clock=clock)
        except BaseException:
            self._lock.close()
            raise

    async def close(self) -> None:
        await self.store.close()
        self._lock.close()

    def _locked(self, path: Path, name: str) -> TextIOWrapper:
        """Return the lock, which ends with this process however it ends."""
        try:
            lock = path.open("a")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ConfigError(
                f"another process catches requests for {name} in {path.parent}: end it, or give "
                "this one a folder of its own"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"cannot keep caught requests in {path.parent}: {error.strerror}; name another "
                "folder"
            ) from error
        return lock
