"""The tables of the store: numbered steps, forward only."""

import apsw

from hookloop.errors import ConfigError

__all__ = ["APPLICATION_ID", "migrate"]

APPLICATION_ID = 0x484B4C43
"""``HKLC``, in the header of the file: another application's database is not touched."""

# Lists and searches read `exchange` alone, whose rows are short; heads and bodies lie apart.
# `words` finds text in them: which of all exchanges have a sequence of three characters.
_STEPS = (
    """
    CREATE TABLE exchange (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        started_at REAL NOT NULL,
        tunnel TEXT NOT NULL,
        kind TEXT NOT NULL,
        remote TEXT NOT NULL COLLATE NOCASE,
        method TEXT NOT NULL,
        target TEXT NOT NULL,
        status INTEGER,
        duration_seconds REAL NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        failure TEXT,
        objection TEXT,
        provider TEXT NOT NULL,
        event_type TEXT NOT NULL COLLATE NOCASE,
        event_id TEXT NOT NULL COLLATE NOCASE,
        object_id TEXT NOT NULL COLLATE NOCASE,
        origin TEXT,
        note TEXT NOT NULL,
        stored_bytes INTEGER NOT NULL
    );
    CREATE INDEX exchange_event ON exchange (event_id) WHERE event_id <> '';
    CREATE INDEX exchange_object ON exchange (object_id) WHERE object_id <> '';
    CREATE INDEX exchange_origin ON exchange (origin) WHERE origin IS NOT NULL;
    CREATE TABLE content (
        seq INTEGER PRIMARY KEY,
        heads TEXT NOT NULL,
        request BLOB NOT NULL,
        response BLOB NOT NULL
    );
    CREATE VIRTUAL TABLE words USING fts5 (
        text, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram'
    );
    CREATE TABLE indexed (upto INTEGER NOT NULL);
    INSERT INTO indexed VALUES (0);
    """,
)


def migrate(connection: apsw.Connection, name: str) -> None:
    """
    Apply the steps that the file has not seen, each in a transaction with its number.

    Raises `ConfigError` for a file of a newer version, or of something else.
    """
    version = _version(connection, name)
    if version > len(_STEPS):
        raise ConfigError(
            f"{name} is of a newer hookloop (its tables are version {version}, ours "
            f"{len(_STEPS)}): upgrade, or name another file"
        )
    for number, script in enumerate(_STEPS, 1):
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
    application = connection.pragma("application_id")
    is_empty = not list(connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1"))
    if application != APPLICATION_ID and not (application == 0 and is_empty):
        raise ConfigError(f"{name} is a database of something else: name another file")
    return int(connection.pragma("user_version") or 0)
