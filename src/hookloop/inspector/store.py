"""
Captured exchanges in SQLite: found again by the query language, gone when they are too many.

One connection writes, one reads beside it (write-ahead log). Captures are no ledger: a power
cut may take the last of them, so nothing waits for the disk.

Text is found by an index of each three characters that follow one another. It is made by
`index_some` when there is time, because it costs more than all else; what it does not know yet
is read. What the index finds is looked at again: `Query` alone says what matches.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import apsw

from hookloop.errors import ConfigError, StoreError

from . import store_rows as rows
from .captured import Captured, Summary
from .query import EVERYTHING, Query
from .query_sql import conditions
from .store_schema import migrate

__all__ = ["MAX_AGE_SECONDS", "MAX_BYTES", "CaptureStore", "Page"]

MAX_BYTES = 512 * 1024 * 1024  # some 100,000 webhooks; ngrok keeps 50 MB, in memory
MAX_AGE_SECONDS = 14 * 86400.0  # an event of last week is still looked for
KEEP_SHARE = 0.95  # of the bytes after room was made: not at each further exchange again
BUSY_SECONDS = 5.0  # for another hookloop that writes to the same file
SCAN_ROWS_MAX = 20_000  # of what no index answers are read for one page; then it says how far
INDEX_ROWS = 64  # a step of the index, some 20 ms
RECENT_MAX = 20_000  # for a chart: of more, the newest
COUNT_MAX = 10_000  # of text that is found: more is "10,000+"

Answer = TypeVar("Answer")


class Page(NamedTuple):
    """A part of a list, the newest first."""

    items: tuple[Summary, ...]
    before: int | None
    """Where the next page begins; None where there is no more."""


class CaptureStore:
    """
    The store in the file *path*, or in memory. Any thread may call; the owner's duty: `close`.

    Raises `ConfigError` for a file of something else, and `StoreError` where it cannot be opened.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        max_age_seconds: float = MAX_AGE_SECONDS,
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.max_age_seconds = max_age_seconds
        try:
            self._writer = self._connect()
            migrate(self._writer, str(path or "the store"))
            self._reader = self._connect() if path is not None else self._writer
        except (apsw.Error, OSError) as error:
            raise StoreError(
                f"the captures in {path} cannot be opened ({type(error).__name__}: {error}): "
                "look at the folder's permissions and at the space on its disk"
            ) from error
        self._writing = Lock()
        self._reading = Lock() if path is not None else self._writing
        self._bytes = self._stored_bytes()
        self._listeners: list[Callable[[], None]] = []

    def _connect(self) -> apsw.Connection:
        if self.path is None:
            connection = apsw.Connection(":memory:")
        else:
            if self.path.is_dir():
                raise ConfigError(f"{self.path} is a folder: name a file for the captures")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Payloads are for the owner's eyes.
            self.path.touch(mode=0o600)
            connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "normal")
        connection.pragma("secure_delete", "fast")
        return connection

    def close(self) -> None:
        with self._writing:
            if self._reader is not self._writer:
                with self._reading:
                    self._reader.close()
            self._writer.close()

    # --- changes ----------------------------------------------------------------------------

    def add(self, captured: Sequence[Captured], *, now: float) -> None:
        """Keep *captured*, and let go of what is too old or too much."""
        if not captured:
            return
        self._write(lambda db: self._add(db, captured, now))
        self._tell()

    def delete(self, ids: Iterable[str]) -> int:
        """Forget the exchanges of *ids*; return how many there were."""
        chosen = list(ids)

        def delete(db: apsw.Connection) -> int:
            found = [
                seq
                for one in chosen
                for (seq,) in db.execute("SELECT seq FROM exchange WHERE id = ?", (one,))
            ]
            self._forget(db, found)
            return len(found)

        count = self._write(delete)
        self._tell()
        return count

    def delete_all(self) -> int:
        def delete(db: apsw.Connection) -> int:
            (count,) = next(db.execute("SELECT count(*) FROM exchange"))
            db.execute("DELETE FROM exchange; DELETE FROM content; DELETE FROM words")
            self._bytes = 0
            return int(count)

        count = self._write(delete)
        self._tell()
        return count

    def make_room(self, *, now: float) -> None:
        """Let go of what is too old: for a store that gets nothing new."""
        self._write(lambda db: self._expire(db, now))

    def index_some(self) -> bool:
        """Index the next exchanges for searches; return whether there may be more."""
        return self._write(_index_some)

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call *changed* after each change, in any thread; return what ends that."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed)

    # --- what is asked ----------------------------------------------------------------------

    def get(self, id_: str) -> Captured | None:
        def get(db: apsw.Connection) -> Captured | None:
            sql = "SELECT seq FROM exchange WHERE id = ?"
            seq = next(iter(db.execute(sql, (id_,))), None)
            return None if seq is None else _load(db, seq[0])

        return self._read(get)

    def find(
        self,
        query: Query = EVERYTHING,
        *,
        limit: int = 50,
        before: int | None = None,
        after: int | None = None,
    ) -> Page:
        """
        Return the newest *limit* that *query* finds.

        *before* is what the page before said; *after* leaves out all up to that `Summary.seq`.
        Where no index helps, a page may be short, or empty, and yet say how to go on.
        """
        return self._read(lambda db: _page(db, query, limit, before, after))

    def count(self, query: Query = EVERYTHING) -> int:
        """Return how many *query* finds; where it looks for text, at most `COUNT_MAX`."""

        def count(db: apsw.Connection) -> int:
            if query.textual:
                return sum(1 for _ in _found(db, query, None, None, COUNT_MAX))
            where, bindings = conditions(query)
            return int(
                next(db.execute(f"SELECT count(*) FROM exchange WHERE {where}", bindings))[0]  # noqa: S608  # our own words
            )

        return self._read(count)

    def facets(self) -> dict[str, list[tuple[str, int]]]:
        """Return tunnels, providers, event types and methods there are, and how many of each."""

        def facets(db: apsw.Connection) -> dict[str, list[tuple[str, int]]]:
            return {
                column: [
                    (str(value), int(count))
                    for value, count in db.execute(
                        f"SELECT {column}, count(*) FROM exchange WHERE {column} <> '' "  # noqa: S608  # our own words
                        f"GROUP BY {column} ORDER BY 2 DESC, 1 LIMIT 50"
                    )
                ]
                for column in ("tunnel", "provider", "event_type", "method")
            }

        return self._read(facets)

    def recent(self, since: float) -> list[tuple[float, int | None, float]]:
        """Return start, status and seconds of the last `RECENT_MAX` that began after *since*."""

        def recent(db: apsw.Connection) -> list[tuple[float, int | None, float]]:
            sql = (
                "SELECT started_at, status, duration_seconds FROM exchange "
                "WHERE seq > (SELECT coalesce(max(seq), 0) FROM exchange) - ? AND started_at > ?"
            )
            found: Iterable[Any] = db.execute(sql, (RECENT_MAX, since))
            return list(found)

        return self._read(recent)

    def newest(self) -> int:
        """Return the largest `Summary.seq` there is, or 0."""
        return self._read(
            lambda db: int(next(db.execute("SELECT coalesce(max(seq), 0) FROM exchange"))[0])
        )

    @property
    def stored_bytes(self) -> int:
        """About how much room all of it takes."""
        return self._bytes

    # --- inside -----------------------------------------------------------------------------

    def _add(self, db: apsw.Connection, captured: Sequence[Captured], now: float) -> None:
        for one in captured:
            row = rows.exchange_row(one)
            db.execute(_INSERT, row)
            db.execute(_INSERT_CONTENT, (db.last_insert_rowid(), *rows.content_row(one)))
            self._bytes += row[-1]
        self._expire(db, now)

    def _expire(self, db: apsw.Connection, now: float) -> None:
        limit = now - self.max_age_seconds
        for (oldest,) in db.execute("SELECT started_at FROM exchange ORDER BY seq LIMIT 1"):
            if oldest < limit:
                old = db.execute("SELECT seq FROM exchange WHERE started_at < ?", (limit,))
                self._forget(db, _seqs(old))
        if self._bytes <= self.max_bytes:
            return
        excess = self._bytes - self.max_bytes * KEEP_SHARE
        leaving = []
        for seq, size in db.execute("SELECT seq, stored_bytes FROM exchange ORDER BY seq"):
            if excess <= 0:
                break
            leaving.append(seq)
            excess -= size
        self._forget(db, leaving)

    def _forget(self, db: apsw.Connection, seqs: Sequence[int]) -> None:
        for seq in seqs:
            for (size,) in db.execute("SELECT stored_bytes FROM exchange WHERE seq = ?", (seq,)):
                self._bytes -= size
            db.execute("DELETE FROM exchange WHERE seq = ?", (seq,))
            db.execute("DELETE FROM content WHERE seq = ?", (seq,))
            db.execute("DELETE FROM words WHERE rowid = ?", (seq,))

    def _stored_bytes(self) -> int:
        return int(
            next(self._writer.execute("SELECT coalesce(sum(stored_bytes), 0) FROM exchange"))[0]
        )

    def _write(self, change: Callable[[apsw.Connection], Answer]) -> Answer:
        with self._writing:
            before = self._bytes
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    answer = change(self._writer)
                    self._writer.execute("COMMIT")
                except BaseException:
                    self._bytes = before
                    self._writer.execute("ROLLBACK")
                    raise
            except apsw.Error as error:
                raise StoreError(
                    f"the captures in {self.path or 'memory'} cannot be written "
                    f"({type(error).__name__}: {error}): look at the space on its disk"
                ) from error
        return answer

    def _read(self, ask: Callable[[apsw.Connection], Answer]) -> Answer:
        with self._reading:
            try:
                return ask(self._reader)
            except apsw.Error as error:
                raise StoreError(
                    f"the captures in {self.path or 'memory'} cannot be read "
                    f"({type(error).__name__}: {error})"
                ) from error

    def _tell(self) -> None:
        for changed in list(self._listeners):
            changed()


_MARKS = ", ".join("?" * len(Summary._fields))
_INSERT = (
    f"INSERT OR IGNORE INTO exchange ({rows.COLUMNS.removeprefix('seq, ')}, stored_bytes) "  # noqa: S608  # our own words
    f"VALUES ({_MARKS})"
)
_INSERT_CONTENT = "INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?)"


def _seqs(found: Iterable[tuple[Any, ...]]) -> list[int]:
    return [int(row[0]) for row in list(found)]


def _load(db: apsw.Connection, seq: int) -> Captured:
    sql = f"SELECT {rows.COLUMNS}, heads, request, response FROM exchange JOIN content USING (seq) WHERE seq = ?"  # noqa: S608, E501  # our own words
    row = next(db.execute(sql, (seq,)))
    size = len(Summary._fields)
    return rows.captured_of(Summary(*row[:size]), *row[size:])


def _page(
    db: apsw.Connection, query: Query, limit: int, before: int | None, after: int | None
) -> Page:
    items: list[Summary] = []
    scanned = None
    for found in _found(db, query, before, after, None):
        if isinstance(found, int):
            scanned = found
            break
        items.append(found)
        if len(items) > limit:
            return Page(tuple(items[:limit]), items[limit - 1].seq)
    return Page(tuple(items), scanned)


def _found(
    db: apsw.Connection, query: Query, before: int | None, after: int | None, most: int | None
) -> "Iterator[Summary | int]":
    """Yield what *query* finds, the newest first; at last, where it stopped if it did, a seq."""
    where, bindings = conditions(query)
    if before is not None:
        where, bindings = f"({where}) AND seq < ?", [*bindings, before]
    if after is not None:
        where, bindings = f"({where}) AND seq > ?", [*bindings, after]
    if not query.textual:
        for row in _rows(db, where, bindings):
            yield Summary(*row)
        return
    count = 0
    for scanned, row in enumerate(_candidates(db, query, where, bindings), 1):
        summary = Summary(*row)
        if query.holds_text(_load(db, summary.seq)):
            count += 1
            yield summary
            if most is not None and count >= most:
                return
        if scanned >= SCAN_ROWS_MAX and most is None:
            yield summary.seq
            return


def _candidates(
    db: apsw.Connection, query: Query, where: str, bindings: list[Any]
) -> Iterator[tuple[Any, ...]]:
    """Yield rows that may match, the newest first: those not indexed yet, then the others."""
    phrases = _phrases(query)
    if not phrases:
        yield from _rows(db, where, bindings)
        return
    (upto,) = next(db.execute("SELECT upto FROM indexed"))
    yield from _rows(db, f"({where}) AND seq > ?", [*bindings, upto])
    # Read in the order of the index, newest first, so that a page ends where it is full.
    sql = (
        f"SELECT {rows.COLUMNS} FROM words CROSS JOIN exchange ON seq = words.rowid "  # noqa: S608  # our own words
        f"WHERE words MATCH ? AND ({where}) ORDER BY words.rowid DESC"
    )
    yield from db.execute(sql, [phrases, *bindings])


def _rows(db: apsw.Connection, where: str, bindings: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    sql = f"SELECT {rows.COLUMNS} FROM exchange WHERE {where} ORDER BY seq DESC"  # noqa: S608  # our own words
    return iter(db.execute(sql, bindings))


def _phrases(query: Query) -> str:
    """Return what the index is asked: it finds too many, never too few; empty for no help."""
    phrases = [
        " AND ".join(_trigrams(value.partition("=")[0] if term.field == "header" else value))
        for term in query.textual
        for value in term.values[:1]
        if isinstance(value, str) and not term.is_negated and len(term.values) == 1
    ]
    return " AND ".join(phrase for phrase in phrases if phrase)


TRIGRAMS_MAX = 12  # of a long text: more do not make fewer


def _trigrams(text: str) -> list[str]:
    """Return what the index must have of *text*, each a string of the index's own language."""
    every = sorted({text[at : at + 3] for at in range(len(text) - 2)})
    step = max(1, len(every) // TRIGRAMS_MAX)
    return ['"' + one.replace('"', '""') + '"' for one in every[::step][:TRIGRAMS_MAX]]


def _index_some(db: apsw.Connection) -> bool:
    (upto,) = next(db.execute("SELECT upto FROM indexed"))
    sql = f"SELECT {rows.COLUMNS}, heads, request, response FROM exchange JOIN content USING (seq) WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608, E501  # our own words
    size = len(Summary._fields)
    found = list(db.execute(sql, (upto, INDEX_ROWS)))
    for row in found:
        words = rows.words_of(Summary(*row[:size]), *row[size:])
        db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row[0], words))
    if found:
        db.execute("UPDATE indexed SET upto = ?", (found[-1][0],))
    return len(found) == INDEX_ROWS
