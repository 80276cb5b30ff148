"""The relay's log: text, logfmt or JSON on standard error, which can stall nothing."""

import json
import logging
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener

from hookloop.tunnel.log_values import Values

__all__ = ["relay_log"]

WAITING_MAX = 10_000  # lines that a stuck reader is behind; about 5 MB


@contextmanager
def relay_log(form: str, level: str) -> Iterator[None]:
    """
    Write what hookloop logs for the length of a with-block.

    Lines are written by a thread of their own: a pipe that nobody reads costs log lines, which
    are counted, and not the relay's callers their answers.
    """
    lines: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_MAX)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[form]())
    listener = QueueListener(lines, handler)
    bounded = _Bounded(lines)
    logger = logging.getLogger("hookloop")
    logger.addHandler(bounded)
    logger.setLevel(level.upper())
    was_propagating, logger.propagate = logger.propagate, False
    listener.start()
    try:
        yield
    finally:
        logger.removeHandler(bounded)
        logger.propagate = was_propagating
        listener.stop()


class _Bounded(QueueHandler):
    """Drops what does not fit, and says how much once there is room again."""

    _dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # with its values, which the formatters look at

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self._dropped:
                self.queue.put_nowait(_dropped_record(self._dropped))
                self._dropped = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1


def _dropped_record(count: int) -> logging.LogRecord:
    values = Values(lines=count)
    args = (values,)
    text = "log lines were dropped, since nobody reads them %s"
    return logging.LogRecord("hookloop.relay", logging.WARNING, "", 0, text, args, None)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return f"{at:%H:%M:%S} {level}{_printable(record.getMessage())}{_trace(self, record)}"


class _Logfmt(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _printable(str(_members(self, record)))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_members(self, record), default=str)


_FORMATTERS = {"text": _Text, "logfmt": _Logfmt, "json": _Json}


def _members(formatter: logging.Formatter, record: logging.LogRecord) -> Values:
    at = datetime.fromtimestamp(record.created, UTC)
    values = record.args[0] if isinstance(record.args, tuple) and record.args else record.args
    # `logging` unpacks a single mapping that is passed as the arguments.
    is_ours = isinstance(values, Values)
    event = record.msg.removesuffix(" %s") if is_ours else record.getMessage()
    return Values(
        time=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        level=record.levelname.lower(),
        logger=record.name,
        event=event,
        **(
            {f"{key}": value for key, value in values.items()} if isinstance(values, Values) else {}
        ),
        trace=_trace(formatter, record) or None,
    )


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return "\n" + formatter.formatException(record.exc_info) if record.exc_info else ""


def _printable(text: str) -> str:
    """Leave nothing that could steer a terminal; a traceback keeps its lines."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
