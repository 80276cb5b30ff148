"""`hookloop demo --once`, as a user runs it: the whole loop in processes of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import TEST_PATIENCE

COMMAND = [sys.executable, "-m", "hookloop", "demo", "--once"]


ANSWERS = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({{"type": "http.response.start", "status": {status}, "headers": []}})
        await send({{"type": "http.response.body", "body": b""}})
"""

HANGS = """
import asyncio

async def app(scope, receive, send):
    await asyncio.Event().wait()
"""


def run_demo(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=TEST_PATIENCE, check=False
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

    outputs = [process.communicate(timeout=TEST_PATIENCE)[0] for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], outputs


@pytest.mark.parametrize(
    ("source", "hop", "said"),
    [
        ("raise SystemExit('no app today')", "app", "no app today"),
        (ANSWERS.format(status=500), "handler", "500"),
        (ANSWERS.format(status=200), "handler", "no handler printed"),
        # It waits for 20 seconds.
        pytest.param(HANGS, "app", "answered nothing", marks=pytest.mark.slow),
    ],
    ids=["the app ends at once", "the app answers 500", "no handler runs", "the app hangs"],
)
def test_a_demo_that_fails_names_the_hop(tmp_path: Path, source: str, hop: str, said: str):
    """Anything but a handler that ran with the event is a failure, and is told as one."""
    app = tmp_path / "broken.py"
    app.write_text(source)

    done = run_demo("--json", "--app", str(app))

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert (lines[-1]["event"], lines[-1]["hop"]) == ("failed", hop)
    assert said in done.stdout
