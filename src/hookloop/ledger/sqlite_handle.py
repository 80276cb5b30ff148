"""
Connections to SQLite files, and what becomes of them when their process forks.

SQLite keeps a process's locks on a file once for all its connections. A child that took along an
open one would believe to have locks which it has not, in the connections it opens itself too: its
write-ahead log may then be deleted under it, with all it acknowledged. So ours are closed before
a fork, between two transactions, and opened again when they are next used.
"""

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import apsw

from hookloop.errors import ConfigError

__all__ = ["Handle", "lent"]

FORK_SECONDS = 10.0
"""How long a fork waits for a transaction to end; the child of one that does not end is refused."""

Connect = Callable[[], apsw.Connection]


class _Process:
    """What this process has open, and what its parent had when it forked."""

    def __init__(self, inherited: frozenset[str] = frozenset()) -> None:
        self.inherited = inherited
        self.handles: weakref.WeakSet[Handle] = weakref.WeakSet()
        self.lent: list[str] = []
        """Files of connections that somebody else is using: they cannot be closed for a fork."""
        self.lock = Lock()
        self.stuck: list[str] = []
        self.held: list[Handle] = []


_here = _Process()


class Handle:
    """One connection, for one user at a time. The owner's duty: `close`."""

    def __init__(self, path: str, connect: Connect) -> None:
        self._path = path
        self._connect = connect
        self._lock = Lock()
        self._connection: apsw.Connection | None = None
        _refuse_inherited(path)
        with _here.lock:
            _here.handles.add(self)

    @contextmanager
    def using(self) -> Iterator[apsw.Connection]:
        """Have the connection until the block ends; a fork waits for that."""
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # --- around a fork ----------------------------------------------------------------------

    def part(self) -> bool:
        """Close before a fork, and keep users out; False: there is one who does not end."""
        if not self._lock.acquire(timeout=FORK_SECONDS):
            return False
        with suppress(apsw.Error):
            self._close()
        return True

    def resume(self) -> None:
        self._lock.release()

    @property
    def path(self) -> str:
        return self._path


@contextmanager
def lent(path: str, connect: Connect) -> Iterator[apsw.Connection]:
    """Lend a connection of its own to somebody who ends the transaction himself."""
    _refuse_inherited(path)
    with _here.lock:
        _here.lent.append(path)
    try:
        connection = connect()
        try:
            yield connection
        finally:
            connection.close()
    finally:
        with _here.lock:
            _here.lent.remove(path)


def _refuse_inherited(path: str) -> None:
    if path in _here.inherited:
        raise ConfigError(
            f"{path} was in use when this process was forked, and SQLite cannot be used safely "
            "on both sides: fork before the first event, or when no handler has a transaction"
        )


def _before_fork() -> None:
    _here.lock.acquire()
    _here.stuck = list(_here.lent)
    _here.held = []
    for handle in list(_here.handles):
        if handle.part():
            _here.held.append(handle)
        else:
            _here.stuck.append(handle.path)


def _after_in_parent() -> None:
    for handle in _here.held:
        handle.resume()
    _here.held = []
    _here.lock.release()


def _after_in_child() -> None:
    global _here  # noqa: PLW0603  # a new process: nothing of its parent's is its own
    _abandoned.append(_here)
    _here = _Process(_here.inherited | frozenset(_here.stuck))


_abandoned: list[_Process] = []
"""Kept from being finalized: that would close what is the parent's."""

if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_in_parent,
        after_in_child=_after_in_child,
    )
