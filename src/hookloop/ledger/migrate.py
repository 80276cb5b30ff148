"""Brings the tables of a SQLite file to this version: numbered steps, forward only."""

from collections.abc import Sequence

import apsw

from hookloop.errors import ConfigError

__all__ = ["APPLICATION_ID", "migrate"]

APPLICATION_ID = 0x484B4C4C
"""``HKLL``, in the header of a ledger: another application's database is not touched."""


def migrate(
    connection: apsw.Connection,
    name: str,
    steps: Sequence[tuple[int, str]],
    *,
    application: int = APPLICATION_ID,
) -> None:
    """
    Apply the *steps* that *connection*'s file has not seen, each in a transaction with its number.

    *application* marks the file as ours, in its header. Killed in between, it goes on where it
    stopped. Raises `ConfigError` for a file of a newer version, or of something else.
    """
    newest = steps[-1][0]
    version = _version(connection, name, application)
    if version > newest:
        raise ConfigError(
            f"{name} is of a newer hookloop (its tables are version {version}, ours {newest}): "
            "upgrade, or name another file"
        )
    for number, script in steps:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection, name, application) < number:  # or another process was faster
                connection.execute(script)
                connection.pragma("user_version", number)
                connection.pragma("application_id", application)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _version(connection: apsw.Connection, name: str, application: int) -> int:
    """Return how many steps the file has seen. Raises `ConfigError` for one that is not ours."""
    found = connection.pragma("application_id")
    is_empty = not list(connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1"))
    if found != application and not (found == 0 and is_empty):
        raise ConfigError(f"{name} is a database of something else: name another file")
    return int(connection.pragma("user_version") or 0)
