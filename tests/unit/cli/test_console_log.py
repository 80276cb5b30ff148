"""The console as lines: what programs read, and what stops nobody."""

import json
import os
import shlex
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE

from hookloop.cli.console_log import (
    WAITING_MAX,
    LogFormat,
    LogLevel,
    LogWriter,
    Record,
    formatted,
)
from hookloop.exchange import Exchange, RequestHead, ResponseHead

AT = 1795595925.25


def exchange(target: bytes = b"/hook?token=secret", failure: str | None = None) -> Exchange:
    head = RequestHead(b"POST", target, ((b"X-GitHub-Event", b"push"), (b"Cookie", b"secret")))
    response = None if failure else ResponseHead(200, b"OK", ((b"Set-Cookie", b"secret"),))
    return Exchange("agent", "shop", "1.2.3.4:5", head, response, 9, 9, 1.0, 1.1, 1.0123, failure)


def lines_of(*items, form=LogFormat.LOGFMT, level=LogLevel.INFO) -> list[str]:
    """Return what a writer makes of records and exchanges."""
    reading, writing = os.pipe()
    log = LogWriter(writing, level=level, form=form)
    for item in items:
        if isinstance(item, Exchange):
            log.exchange(AT, item)
        else:
            log.write(item)
    log.close()
    os.close(writing)
    with os.fdopen(reading) as stream:
        return stream.read().splitlines()


def read_logfmt(line: str) -> dict[str, str]:
    """Read a line as pyngrok does."""
    return dict(word.split("=", 1) for word in shlex.split(line))


def test_a_line_is_that_of_ngrok():
    """Programs wait for these words."""
    values = {"name": "shop", "addr": "http://localhost:3000", "url": "https://shop.tun.example"}
    record = Record(AT, LogLevel.INFO, "started tunnel", "tunnels", values)

    assert formatted(record, LogFormat.LOGFMT) == (
        't=2026-11-25T08:38:45+0000 lvl=info msg="started tunnel" obj=tunnels name=shop '
        "addr=http://localhost:3000 url=https://shop.tun.example\n"
    )


@pytest.mark.parametrize(
    ("level", "short"),
    [("debug", "dbug"), ("info", "info"), ("warn", "warn"), ("error", "eror"), ("crit", "crit")],
)
def test_levels_have_four_letters(level, short):
    """As ngrok spells them."""
    record = Record(AT, LogLevel(level), "x", "y")

    assert read_logfmt(formatted(record, LogFormat.LOGFMT))["lvl"] == short


@given(st.text(max_size=100))
def test_whatever_is_told_is_one_line_and_reads_back(text):
    """A stranger's path can neither forge a line nor steer a terminal, in any format."""
    record = Record(AT, LogLevel.INFO, "exchange", "http", {"path": text, "z": "1"})

    for form in LogFormat:
        line = formatted(record, form)
        assert line.endswith("\n")
        assert line[:-1].isprintable()
    assert read_logfmt(formatted(record, LogFormat.LOGFMT))["z"] == "1"
    assert json.loads(formatted(record, LogFormat.JSON))["path"] == text


@pytest.mark.parametrize("form", LogFormat)
def test_an_exchange_is_a_line_without_what_was_in_it(form):
    """Method, path, type, status and time; no query, no header, no body."""
    (line,) = lines_of(exchange(), form=form)

    assert "secret" not in line
    for word in ("POST", "/hook?", "push", "200", "12.3"):
        assert word in line


def test_an_exchange_in_logfmt_and_json_says_the_same():
    """Two ways to write one thing."""
    (line,) = lines_of(exchange(failure="cannot reach it"))
    (as_json,) = lines_of(exchange(failure="cannot reach it"), form=LogFormat.JSON)

    assert read_logfmt(line) == {key: str(value) for key, value in json.loads(as_json).items()}
    assert read_logfmt(line) == {
        "t": "2026-11-25T08:38:45+0000",
        "lvl": "warn",
        "msg": "exchange",
        "obj": "http",
        "name": "shop",
        "r": "1.2.3.4:5",
        "method": "POST",
        "path": "/hook?…",
        "type": "push",
        "dur": "12.3ms",
        "err": "cannot reach it",
    }


def test_below_its_level_nothing_is_written():
    """At warn an exchange is worth a line only when it failed."""
    info = Record(AT, LogLevel.INFO, "x", "y")
    error = Record(AT, LogLevel.ERROR, "broken", "y")

    lines = lines_of(info, exchange(), exchange(failure="no"), error, level=LogLevel.WARN)

    assert [read_logfmt(line)["msg"] for line in lines] == ["exchange", "broken"]
    assert lines_of(exchange(failure="no"), level=LogLevel.ERROR) == []


def test_a_reader_that_stops_stops_nobody_and_is_told_what_it_missed():
    """A full pipe: what is told is taken at once, kept up to a limit, and then counted."""
    reading, writing = os.pipe()
    log = LogWriter(writing, level=LogLevel.INFO, form=LogFormat.LOGFMT)
    records = 3 * WAITING_MAX
    for number in range(records):
        log.write(Record(AT, LogLevel.INFO, f"record {number}", "test"))
    read = b""
    while b"obj=log" not in read or not read.endswith(b"\n"):
        read += os.read(reading, 1 << 16)
    log.close()
    os.close(writing)
    os.close(reading)
    lines = [read_logfmt(line) for line in read.decode().splitlines()]
    told = [line for line in lines if line["obj"] == "test"]
    dropped = sum(int(line["count"]) for line in lines if line["obj"] == "log")

    assert told[0]["msg"] == "record 0"
    assert dropped > 0
    assert len(told) + dropped == records


def test_a_reader_that_has_gone_is_noticed():
    """Whoever started us to read the log is dead: the owner is told, once."""
    reading, writing = os.pipe()
    os.close(reading)
    told = threading.Semaphore(0)
    log = LogWriter(writing, level=LogLevel.INFO, form=LogFormat.LOGFMT, broken=told.release)

    for _ in range(100):
        log.write(Record(AT, LogLevel.INFO, "x", "y"))

    assert told.acquire(timeout=PATIENCE)
    log.write(Record(AT, LogLevel.INFO, "x", "y"))
    log.close()
    os.close(writing)
    assert not told.acquire(blocking=False)


def test_closing_waits_for_no_stuck_reader():
    """Ctrl+C ends the command though nobody reads its pipe."""
    reading, writing = os.pipe()
    log = LogWriter(writing, level=LogLevel.INFO, form=LogFormat.LOGFMT)
    for _ in range(WAITING_MAX):
        log.write(Record(AT, LogLevel.INFO, "x" * 100, "y"))
    closing = threading.Thread(target=log.close)
    closing.start()
    closing.join(5)

    assert not closing.is_alive()
    os.close(reading)  # the thread that is stuck ends with this
    os.close(writing)
