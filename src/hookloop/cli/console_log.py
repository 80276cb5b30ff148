"""The console as lines: logfmt as ngrok's agent writes it, JSON, or sentences for people."""

import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from hookloop.exchange import Exchange

from .console_text import printable, trouble
from .console_view import Row, row_of

__all__ = ["LogFormat", "LogLevel", "LogWriter", "Record", "formatted"]

WAITING_MAX = 4_000  # lines a stuck reader is behind; with short bodies 64 MB at the very most
BATCH_SECONDS = 0.02  # between two writes: under load a wake-up for each line costs more than it
CLOSE_SECONDS = 0.3  # for the last lines into a stuck pipe


class LogFormat(StrEnum):
    """How a line looks."""

    TERM = "term"
    LOGFMT = "logfmt"
    JSON = "json"


class LogLevel(StrEnum):
    """From which level on a line is written."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    CRIT = "crit"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(LogLevel)}
_PLAIN = re.compile(r"[!#-&(-<>-\[\]-~]{1,500}")  # ASCII but for space " ' = and backslash

# As ngrok's agent spells them: its readers look for these four letters.
_SHORT = {LogLevel.DEBUG: "dbug", LogLevel.ERROR: "eror"}
_COLOURS = {LogLevel.DEBUG: "2", LogLevel.WARN: "33", LogLevel.ERROR: "31", LogLevel.CRIT: "1;31"}


class Record(NamedTuple):
    """One line."""

    at: float
    """Unix seconds."""
    level: LogLevel
    message: str
    subject: str
    """``obj``: the part of the agent that speaks."""
    values: Mapping[str, object] = MappingProxyType({})
    sentence: str = ""
    """What people are told instead of message and values."""


class LogWriter:
    """
    Writes records from a thread of its own, so that a reader who stops cannot stop the tunnel.

    What is too much for the reader is dropped, and a line says how much.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        level: LogLevel,
        form: LogFormat,
        has_colours: bool = False,
        broken: Callable[[], None] = lambda: None,
    ) -> None:
        """*broken* is called, from the thread, once nobody reads any more."""
        self.level = level
        self._descriptor = descriptor
        self._form = form
        self._has_colours = has_colours
        self._broken = broken
        self._is_exchanges_wanted = level.rank <= LogLevel.WARN.rank
        self._waiting: deque[Record | tuple[float, Exchange] | str] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._is_broken = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def form(self) -> LogFormat:
        return self._form

    def write(self, record: Record) -> None:
        if record.level.rank >= self.level.rank:
            self._put(record)

    def exchange(self, at: float, exchange: Exchange) -> None:
        """Write a line for *exchange*; it is made in the thread, not on the path of traffic."""
        if self._is_exchanges_wanted:
            self._put((at, exchange))

    def verbatim(self, text: str) -> None:
        """Write *text* between the lines."""
        self._put(text)

    def close(self) -> None:
        """Write what waits, for as long as it is taken."""
        self._closing.set()
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)

    def _put(self, item: Record | tuple[float, Exchange] | str) -> None:
        if self._is_broken:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._dropped += 1
            return
        self._waiting.append(item)
        if not self._wake.is_set():
            self._wake.set()

    # --- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.wait()
            is_last = self._closing.is_set()
            self._wake.clear()
            try:
                self._write_waiting()
            except OSError:  # the pipe was closed, the disk is full
                self._is_broken = True
                self._waiting.clear()
                self._broken()
                return
            if is_last:
                return
            if self._closing.wait(BATCH_SECONDS):
                self._wake.set()

    def _write_waiting(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), 200))]
            data = "".join(self._line(item) for item in batch).encode("utf-8", "replace")
            while data:
                data = data[os.write(self._descriptor, data) :]
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._waiting.append(
                Record(
                    _time_of(batch[-1]),
                    LogLevel.WARN,
                    "log lines were dropped: their reader is too slow",
                    "log",
                    {"count": dropped},
                )
            )
            self._wake.set()

    def _line(self, item: Record | tuple[float, Exchange] | str) -> str:
        if isinstance(item, str):
            return item
        if isinstance(item, Record):
            return formatted(item, self._form, has_colours=self._has_colours)
        at, exchange = item
        row = row_of(at, exchange)
        record = _exchange_record(row, exchange)
        if self._form is LogFormat.TERM:
            record = record._replace(sentence=_exchange_sentence(row, exchange))
        if record.level.rank < self.level.rank:
            return ""
        return formatted(record, self._form, has_colours=self._has_colours)


def _time_of(item: Record | tuple[float, Exchange] | str) -> float:
    match item:
        case Record():
            return item.at
        case (at, _):
            return at
        case _:
            return 0.0


def _exchange_record(row: Row, exchange: Exchange) -> Record:
    values: dict[str, object] = {
        "name": printable(exchange.tunnel),
        "r": printable(exchange.remote),
        "method": row.method,
        "path": row.path,
    }
    if row.event_type:
        values["type"] = row.event_type
    if row.status is not None:
        values["status"] = row.status
    values["dur"] = f"{row.seconds * 1000:.1f}ms"
    if exchange.failure or exchange.objection:
        values["err"] = printable(trouble(exchange))
    level = LogLevel.WARN if "err" in values else LogLevel.INFO
    return Record(row.at, level, "exchange", "http", values)


def _exchange_sentence(row: Row, exchange: Exchange) -> str:
    kind = f"  {row.event_type}" if row.event_type else ""
    why = f"   {printable(trouble(exchange))}" if exchange.objection else ""
    took = f"{row.seconds * 1000:.1f} ms"
    return f"{row.method:<6} {row.path:<40}{kind} {row.outcome}   {took}{why}"


# --- how a line looks ------------------------------------------------------------------------


def formatted(record: Record, form: LogFormat, *, has_colours: bool = False) -> str:
    """Return *record* as a line, its end included; nothing in it can steer a terminal."""
    if form is LogFormat.TERM:
        return _for_people(record, has_colours=has_colours)
    level = _SHORT.get(record.level, record.level.value)
    members = {
        "t": _stamp(int(record.at)),
        "lvl": level,
        "msg": record.message,
        "obj": record.subject,
        **record.values,
    }
    if form is LogFormat.JSON:
        return json.dumps(members) + "\n"
    return " ".join(f"{key}={_quoted(value)}" for key, value in members.items()) + "\n"


@lru_cache(maxsize=4)
def _stamp(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S+0000}"


@lru_cache(maxsize=4)
def _local_stamp(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%H:%M:%S}"


def _quoted(value: object) -> str:
    """Return *value* as a shell would read it back."""
    text = value if isinstance(value, str) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    text = printable(text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _for_people(record: Record, *, has_colours: bool) -> str:
    text = record.sentence
    if not text:
        values = "".join(f" {key}={_quoted(value)}" for key, value in record.values.items())
        text = record.message + values
    text = printable(text)
    stamp = _local_stamp(int(record.at))
    if not has_colours:
        return f"{stamp} {text}\n"
    colour = _COLOURS.get(record.level)
    return f"\x1b[2m{stamp}\x1b[0m " + (f"\x1b[{colour}m{text}\x1b[0m\n" if colour else f"{text}\n")
