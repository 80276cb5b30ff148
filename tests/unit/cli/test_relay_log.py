"""The relay's log: the same lines as text, logfmt and JSON."""

import json
import logging

import pytest

from hookloop.cli.relay_log import _Bounded, relay_log
from hookloop.tunnel.log_values import Values

logger = logging.getLogger("hookloop.relay")


def logged(capsys, form, say, level="info"):
    with relay_log(form, level):
        say()
    return capsys.readouterr().err


def bound():
    logger.info("tunnel bound %s", Values(tunnel="shop", label="two words", seconds=0.25, no=None))


def test_text_is_for_people(capsys):
    """The time, the words, and the values behind them."""
    line = logged(capsys, "text", bound)

    assert line[8:] == ' tunnel bound tunnel=shop label="two words" seconds=0.25\n'


def test_logfmt_has_all_in_fields(capsys):
    """Level, logger and event too."""
    line = logged(capsys, "logfmt", bound)

    assert line.startswith("time=20")
    assert line.endswith(
        ' level=info logger=hookloop.relay event="tunnel bound" tunnel=shop label="two words" '
        "seconds=0.25\n"
    )


def test_json_keeps_the_kinds_of_values(capsys):
    """A number is a number."""
    members = json.loads(logged(capsys, "json", bound))

    assert members.pop("time").endswith("Z")
    assert members == {
        "level": "info",
        "logger": "hookloop.relay",
        "event": "tunnel bound",
        "tunnel": "shop",
        "label": "two words",
        "seconds": 0.25,
    }


@pytest.mark.parametrize("form", ["text", "logfmt"])
def test_nothing_in_a_line_steers_a_terminal_or_looks_like_another_line(capsys, form):
    """Names and reasons come from outside."""
    line = logged(
        capsys, form, lambda: logger.warning("x %s", Values(reason="a\nlevel=error \x1b[2J"))
    )

    assert "\x1b" not in line
    assert line.count("\n") == 1


def test_a_line_of_others_is_one_event(capsys):
    """Without values, or with arguments of its own."""
    line = logged(capsys, "json", lambda: logger.error("lost %d of %s", 2, "them"))

    assert json.loads(line)["event"] == "lost 2 of them"


def test_a_traceback_comes_along(capsys):
    """A bug of ours is told whole."""

    def fail():
        try:
            print(1 / 0)
        except ZeroDivisionError:
            logger.exception("it broke")

    assert "ZeroDivisionError" in json.loads(logged(capsys, "json", fail))["trace"]
    assert "ZeroDivisionError" in logged(capsys, "text", fail)


def test_what_is_below_the_level_is_left_out(capsys):
    """And after the block all is as before."""
    assert logged(capsys, "text", bound, level="warning") == ""
    assert logger.parent.handlers == []
    assert logger.parent.propagate


class _Full:
    def __init__(self, room):
        self.room, self.records = room, []

    def put_nowait(self, record):
        import queue

        if len(self.records) >= self.room:
            raise queue.Full
        self.records.append(record)


def test_lines_that_nobody_reads_are_dropped_and_counted():
    """The relay goes on."""
    full = _Full(room=2)
    handler = _Bounded(full)
    for number in range(5):
        handler.enqueue(logging.makeLogRecord({"msg": str(number)}))
    full.room = 9
    handler.enqueue(logging.makeLogRecord({"msg": "last"}))

    assert [record.getMessage() for record in full.records][2:] == [
        "log lines were dropped, since nobody reads them lines=3",
        "last",
    ]
