"""Brings the tables of a SQLite ledger to this version: numbered steps, forward only."""

import apsw

from hookloop.errors import ConfigError

from .numbered_steps import numbered_steps

__all__ = ["APPLICATION_ID", "migrate"]

APPLICATION_ID = 0x484B4C4C
"""``HKLL``, in the header of the file: another application's database is not touched."""


def migrate(connection: apsw.Connection, name: str) -> None:
    """
    Apply the steps that *connection*'s file has not seen, each in a transaction with its number.

    Killed in between, it goes on where it stopped. Raises `ConfigError` for a file of a newer
    version, or of something else.
    """
    known = numbered_steps("schema")
    newest = known[-1][0]
    version = _version(connection, name)
    if version > newest:
        raise ConfigError(
            f"{name} is of a newer hookloop (its tables are version {version}, ours {newest}): "
            "upgrade, or name another file"
        )
    for number, script in known:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection, name) < number:  # or another process was faster
                connection.execute(script)
                connection.pragma("user_version", number)
                connection.pragma("application_id", APPLICATION_ID)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _version(connection: apsw.Connection, name: str) -> int:
    """Return how many steps the file has seen. Raises `ConfigError` for one that is not ours."""
    application = connection.pragma("application_id")
    is_empty = not list(connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1"))
    if application != APPLICATION_ID and not (application == 0 and is_empty):
        raise ConfigError(f"{name} is a database of something else: name another file")
    return int(connection.pragma("user_version") or 0)
