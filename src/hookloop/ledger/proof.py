"""Start-up proof that what SQLite acknowledges is on the disk: refused, or the loss is named."""

import os
from pathlib import Path

import apsw

from hookloop.errors import ConfigError

from .store import Durability

__all__ = ["SQLITE_OLDEST", "filesystem_of", "prove"]

SQLITE_OLDEST = (3, 51, 3)
"""Before it, two connections that write a WAL at the same time could corrupt it, since 3.7.0."""

MOUNTS = Path("/proc/self/mountinfo")

FULL = 2
"""What ``PRAGMA synchronous`` answers for FULL; EXTRA is 3."""

MEMORY_FILESYSTEMS = {"tmpfs", "ramfs"}
REMOTE_FILESYSTEMS = {
    "9p",
    "afs",
    "ceph",
    "cifs",
    "fuse.sshfs",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
    "virtiofs",
}
"""Where the shared memory of a WAL is not shared, or a lock is not one."""


def prove(connection: apsw.Connection, path: Path) -> Durability:
    """
    Return what *connection* to *path* promises, from what it says when it is asked.

    Raises `ConfigError` where no promise can be made.
    """
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SQLITE_OLDEST:
        raise ConfigError(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt a write-ahead log: upgrade apsw to "
            f"{'.'.join(map(str, SQLITE_OLDEST))} or newer"
        )
    filesystem = filesystem_of(path)
    if filesystem in REMOTE_FILESYSTEMS:
        raise ConfigError(
            f"{path} is on {filesystem}, whose locks and flushes SQLite cannot rely on: put the "
            "ledger on a disk of this machine"
        )
    mode = connection.pragma("journal_mode")
    synchronous = connection.pragma("synchronous")
    if mode != "wal" or not isinstance(synchronous, int) or synchronous < FULL:
        raise ConfigError(
            f"{path} runs with journal_mode={mode} and synchronous={synchronous}, and would lose "
            "what it acknowledged when the power fails: it needs wal and FULL"
        )
    if filesystem in MEMORY_FILESYSTEMS:
        window = f"everything, when the machine stops: {path} is on {filesystem}, which is memory"
        return Durability(outlives_kill=True, outlives_power_loss=False, loss_window=window)
    return Durability(outlives_kill=True, outlives_power_loss=True, loss_window="")


def filesystem_of(path: Path) -> str:
    """Return the type of the file system *path* is on, or "" where the system does not tell."""
    try:
        mounts = MOUNTS.read_text()
    except OSError:
        return ""
    where = os.fspath(path.resolve())
    best, found = "", ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.partition(" ")[0]
        # Spaces and the like are written in octal.
        mount = fields[4].encode().decode("unicode_escape")
        is_above = where == mount or where.startswith(mount.rstrip("/") + "/")
        # Of two mounted on the same place, the later one is seen.
        if is_above and len(mount) >= len(best):
            best, found = mount, kind
    return found
