"""`hookloop demo --once`, as a user runs it: the whole loop in processes of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "hookloop", "demo", "--once"]
SECONDS_MAX = 60


def run_demo(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env={**os.environ, **environment},
        check=False,
    )


def test_the_demo_takes_an_edit_to_a_verified_handler():
    """The exit code is 0, every hop is told, and the handler printed what was changed."""
    done = run_demo()

    assert done.returncode == 0, done.stdout + done.stderr
    hops = re.findall(r"^ +\+\d+\.\d ms  (\w+)", done.stdout, re.MULTILINE)
    assert hops[0] == "sandbox"
    assert hops[-1] == "sandbox"
    assert {"relay", "agent", "handler"} <= set(hops)
    assert re.search(r"evt_\w+ cus_\w+: name was 'Jenny Rosen', is", done.stdout)


def test_the_demo_speaks_json_to_programs():
    """Each line is an object, and the last one names the event."""
    done = run_demo("--json")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert lines[-1]["event"] == "handled"
    assert lines[-1]["id"].startswith("evt_")


def test_two_demos_run_side_by_side():
    """All ports are free ones."""
    first = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    second = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    outputs = [process.communicate(timeout=SECONDS_MAX)[0] for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], outputs


def test_a_demo_whose_app_breaks_names_the_hop_and_fails(tmp_path: Path):
    """An app that ends at once is not a success, and is named."""
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('no server today')")

    done = run_demo(PYTHONPATH=str(tmp_path))

    assert done.returncode == 1
    assert "app" in done.stdout
    assert "no server today" in done.stdout
