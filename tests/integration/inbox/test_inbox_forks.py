"""An inbox in a process that forks, as gunicorn's master does: each child keeps and handles."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from patience import TEST_PATIENCE

HERE = Path(__file__).parent


def run(scenario: str, folder: Path) -> list[str]:
    """Run *scenario* of the forking application to its end, and return what it said."""
    done = subprocess.run(
        [sys.executable, str(HERE / "forking_app.py"), scenario, str(folder)],
        capture_output=True,
        text=True,
        timeout=TEST_PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_every_child_keeps_and_handles_and_nothing_is_lost_or_doubled(tmp_path: Path):
    """The parent has had an event before; the children receive at once, two of them the same."""
    said = run("prefork", tmp_path)

    told = Counter(line.split()[1] for line in said)
    assert told == {"accepted": 1 + 3 * 20 + 1, "duplicate": 2}
    effects = Counter(line.split()[0] for line in (tmp_path / "effects").read_text().splitlines())
    assert len(effects) == 62
    assert set(effects.values()) == {1}


def test_what_a_child_keeps_outlives_its_parents_end(tmp_path: Path):
    """A program goes into the background: its parent closes the file, and its child goes on."""
    said = run("daemon", tmp_path)

    assert said == ["0 accepted", "1 accepted", "2 accepted", "kept 3"]


def test_a_fork_in_a_handlers_transaction_is_refused_in_the_child(tmp_path: Path):
    """What cannot be safe is a 503 that says why; the parent goes on."""
    said = run("transaction", tmp_path)

    assert said == ["0 accepted", "1 unavailable", "2 accepted"]
