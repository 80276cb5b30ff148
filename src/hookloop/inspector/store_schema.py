"""The tables of the store: numbered steps, forward only."""

import apsw

from hookloop.ledger.migrate import migrate as forward

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
    Apply the steps that the file has not seen.

    Raises `ConfigError` for a file of a newer version, or of something else.
    """
    forward(connection, name, [*enumerate(_STEPS, 1)], application=APPLICATION_ID)
