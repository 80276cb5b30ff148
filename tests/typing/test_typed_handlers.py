"""mypy and pyright both know the object of every event type, and both catch a misspelt one."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import stripe

from hookloop.events.event_types import SNAPSHOT_TYPES, THIN_TYPES

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("handlers.py")
BIN = Path(sys.executable).parent


def wrong_lines() -> list[int]:
    lines = PROGRAM.read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith("# error")]


def mypy_says() -> list[int]:
    command = [BIN / "mypy", "--strict", "--config-file", "", "--no-error-summary", str(PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "src")
    return [int(line) for line in re.findall(r"handlers\.py:(\d+): error", done.stdout)]


def pyright_says() -> list[int]:
    command = [BIN / "pyright", "--outputjson", "--pythonpath", sys.executable, str(PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"]


@pytest.mark.parametrize("says", [mypy_says, pyright_says], ids=["mypy", "pyright"])
def test_a_type_checker_refuses_exactly_the_wrong_lines(says):
    """One message a mistake, and none on what is right."""
    assert says() == wrong_lines()


def test_the_generated_files_are_current():
    """With the installed stripe package; the script rewrites them."""
    command = [sys.executable, ROOT / "scripts" / "generate_event_types.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stdout == ""
    assert done.returncode == 0


def test_every_type_is_in_exactly_one_overload():
    """All 275 snapshot types, and every thin one."""
    tree = ast.parse((ROOT / "src" / "hookloop" / "events" / "typed_on.py").read_text())
    literals = [
        node.value
        for statement in tree.body
        if isinstance(statement, ast.AnnAssign)
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    assert len(literals) == len(set(literals))
    assert set(literals) == {*SNAPSHOT_TYPES, *THIN_TYPES}


def test_the_snapshot_types_are_those_of_the_package():
    """Read from its source by another way than the script's."""
    import inspect

    source = inspect.getsource(stripe.Event)
    start = source.index("type: Literal[")
    listed = re.findall(r'"([a-z0-9_.]+)"', source[start : source.index("]", start)])

    assert sorted(listed) == sorted(SNAPSHOT_TYPES)
