"""What Postgres and SQLite say differently; the rest of the statements they share. Pure."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Dialect", "Many", "Postgres", "Query", "Sqlite", "Step"]

NOTIFY_BYTES_MAX = 7000
"""Postgres takes 8000 in one NOTIFY; with more names than fit, everybody is woken."""


@dataclass(frozen=True, slots=True)
class Query:
    """One statement, whose rows are wanted. Its ``?`` are the driver's to translate."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Many:
    """One statement for each of *rows*, in their order; nothing comes back."""

    sql: str
    rows: list[tuple[Any, ...]] = field(repr=False)


Step = Query | Many


class Postgres:
    """Postgres 15 and newer, READ COMMITTED: several writers at once, held apart by locks."""

    name = "postgresql"
    for_update = " FOR UPDATE"
    skip_locked = " FOR UPDATE SKIP LOCKED"
    numbers = "(SELECT value::bigint FROM json_array_elements_text(?::text::json))"
    """The values of one parameter, a JSON array of numbers."""
    words = "(SELECT value FROM json_array_elements_text(?::text::json))"
    """The same of texts. JSON, because every driver can pass a text."""

    def __init__(self, prefix: str = "hookloop_") -> None:
        self.prefix = prefix

    def begin_writing(self) -> Query:
        """
        Make the commit of this transaction durable, whatever its session's default is.

        Only towards more: ``remote_apply`` stays.
        """
        return Query(
            "SELECT CASE WHEN current_setting('synchronous_commit') IN"
            " ('off', 'local', 'remote_write')"
            " THEN set_config('synchronous_commit', 'on', true) END,"
            " current_setting('transaction_isolation')"
        )

    def now(self) -> Query:
        """The one clock of all who share the database."""
        return Query("SELECT extract(epoch FROM clock_timestamp())::float8")

    def new_ids(self, table: str, count: int) -> Query:
        return Query(
            f"SELECT nextval(pg_get_serial_sequence('{self.prefix}{table}', 'id'))"  # noqa: S608  # ours
            " FROM generate_series(1, ?::int)",
            (count,),
        )

    def keep_keys(self, rows: Sequence[tuple[str, str, int, bytes, float]], now: float) -> Query:
        """
        Write (source, key, message, sha256, until) where no key is known; its rows are the written.

        Whoever is writing the same key at this moment is waited for. Sorted, so that two who
        write the same ones do not wait for each other.
        """
        values = [
            {"source": s, "key": k, "message": m, "sha": sha.hex(), "until": until}
            for s, k, m, sha, until in sorted(rows)
        ]
        return Query(
            f"INSERT INTO {self.prefix}dedupe AS d (source, key, message, body_sha256, until)"  # noqa: S608
            " SELECT source, key, message, decode(sha, 'hex'), until"
            " FROM json_to_recordset(?::text::json)"
            " AS t(source text, key text, message bigint, sha text, until float8)"
            " ON CONFLICT (source, key) DO UPDATE SET message = excluded.message,"
            " body_sha256 = excluded.body_sha256, until = excluded.until WHERE d.until <= ?"
            " RETURNING source, key",
            (json.dumps(values), now),
        )

    def pairs(self, left: str, right: str) -> str:
        """A condition: these two columns are in one parameter, a JSON array of pairs."""
        return (
            f"({left}, {right}) IN (SELECT value->>0, value->>1"  # noqa: S608  # our columns
            " FROM json_array_elements(?::text::json))"
        )

    def lock_order_keys(self, keys: Collection[tuple[str, str]]) -> list[Query]:
        """
        One transaction at a time for each (target, order key), until it ends.

        Who appends must see whether somebody is at the head, and who settles whether somebody
        waits; neither is a row that could be locked.
        """
        numbers = sorted({_number(self.prefix, target, key) for target, key in keys})
        return [
            Query(
                "SELECT pg_advisory_xact_lock(value::bigint)"
                " FROM json_array_elements_text(?::text::json)",
                (json.dumps(numbers),),
            )
        ]

    def notify(self, targets: Collection[str], sender: str) -> list[Query]:
        """Wake all who listen, at the commit of this transaction."""
        payload = json.dumps([sender, sorted(targets)])
        if len(payload) > NOTIFY_BYTES_MAX:
            payload = json.dumps([sender, None])
        return [Query("SELECT pg_notify('hookloop', ?)", (payload,))]


class Sqlite:
    """SQLite: one writer at a time, so that nothing needs a lock of its own."""

    name = "sqlite"
    for_update = ""
    skip_locked = ""
    numbers = "(SELECT value FROM json_each(?))"
    words = "(SELECT value FROM json_each(?))"

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    def begin_writing(self) -> Query:
        """Take the one write lock before anything is read, so that nothing read is out of date."""
        return Query(f"UPDATE {self.prefix}dedupe SET until = until WHERE 0")  # noqa: S608  # ours

    def now(self) -> Query:
        return Query("SELECT (julianday('now') - 2440587.5) * 86400.0")

    def new_ids(self, table: str, count: int) -> Query:
        """AUTOINCREMENT's own memory, which our explicit ids move on."""
        return Query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " SELECT i + coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0) FROM n",
            (count, f"{self.prefix}{table}"),
        )

    def keep_keys(self, rows: Sequence[tuple[str, str, int, bytes, float]], now: float) -> Many:
        """Under the write lock: what was not known before is not known now."""
        del now
        return Many(
            f"INSERT OR REPLACE INTO {self.prefix}dedupe"  # noqa: S608  # ours
            " (source, key, message, body_sha256, until) VALUES (?, ?, ?, ?, ?)",
            list(rows),
        )

    def pairs(self, left: str, right: str) -> str:
        return (
            f"({left}, {right}) IN (SELECT json_extract(value, '$[0]'),"  # noqa: S608  # our columns
            " json_extract(value, '$[1]') FROM json_each(?))"
        )

    def lock_order_keys(self, keys: Collection[tuple[str, str]]) -> list[Query]:
        del keys
        return []

    def notify(self, targets: Collection[str], sender: str) -> list[Query]:
        del targets, sender
        return []


Dialect = Postgres | Sqlite


def _number(*parts: str) -> int:
    """A 64-bit number for an advisory lock; who shares it by chance waits, and no more."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
