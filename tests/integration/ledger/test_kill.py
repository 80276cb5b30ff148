"""kill -9 at every point of the writer, and at any time: what was acknowledged is there."""

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from history import History, check, faults_of

VICTIM = Path(__file__).with_name("victim.py")
POINTS = [
    "forfeit:written",
    "append:written",
    "claim:written",
    "settle:written",
    "before commit",
    "after commit",
    "answered",
]


def start(path: Path, first: int, count: int, point: str = "-", times: int = 0):
    command = [sys.executable, str(VICTIM), str(path), str(first), str(count), point, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def live_and_die(history: History, victim, *, lines: int | None = None) -> int:
    """Read what the victim says until its end; kill it after so many *lines*."""
    with victim:
        for count, line in enumerate(victim.stdout, 1):
            history.read(line)
            if count == lines:
                victim.kill()
    return victim.returncode


def test_killed_at_every_point_nothing_acknowledged_is_missing(tmp_path):
    """One ledger through all of these deaths; at last a life that works it all off."""
    history, path = History(), tmp_path / "ledger.db"
    first = 0
    for point in POINTS:
        times = 1 if point == "forfeit:written" else 25
        code = live_and_die(history, start(path, first, 200, point, times))
        first += 200
        assert code == -signal.SIGKILL, point
        check(history, path)

    assert live_and_die(history, start(path, first, 50)) == 0
    check(history, path)
    assert history.is_drained
    assert len(history.acked) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_time_a_hundred_times(tmp_path, seed):
    """Whenever it comes: after any line that the outside has seen."""
    history, path, dice = History(), tmp_path / "ledger.db", random.Random(seed)
    first = 0
    for life in range(50):
        live_and_die(history, start(path, first, 2000), lines=dice.randint(1, 2000))
        first += 2000
        if life % 10 == 9:  # each looks at all there is
            check(history, path)
        history.is_drained = False

    assert live_and_die(history, start(path, first, 50)) == 0
    check(history, path)
    assert history.is_drained


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("DELETE FROM message WHERE key = 'k3'", "k3 was acknowledged and is not there"),
        ("UPDATE message SET body = x'00' WHERE key = 'k3'", "k3 has other bytes"),
        ("UPDATE delivery SET state = 'ready' WHERE message = 3", "nobody works on it"),
        ("DELETE FROM attempt WHERE delivery = 3", "was claimed"),
    ],
)
def test_the_checker_sees_what_is_wrong(tmp_path, sql, fault):
    """A check that cannot fail would prove nothing."""
    history, path = History(), tmp_path / "ledger.db"
    live_and_die(history, start(path, 0, 10))
    with apsw.Connection(str(path)) as db:
        db.execute(sql)
    db.close()

    assert fault in " ".join(asyncio.run(faults_of(history, path)))
