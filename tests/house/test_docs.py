"""The documents speak of what exists, and all that exists is spoken of."""

import ast
import re
from pathlib import Path

import pytest
from typer.main import get_command

from hookloop.cli.app import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_somewhere(path: Path):
    """Every relative link names a file of this checkout."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text())

    missing = [link for link in links if not (path.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_python_in_the_documents_is_python(path: Path):
    """Whoever copies a block can run it: at least it parses."""
    for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
        ast.parse(block)


def test_every_command_is_documented():
    """A command nobody can read about does not exist."""
    commands = set(get_command(app).commands)

    undocumented = {name for name in commands if f"hookloop {name}" not in TEXT}

    assert undocumented == set()


def test_the_documents_name_only_commands_and_targets_there_are():
    """`hookloop X` and `make X` in the documents can be typed."""
    commands = set(get_command(app).commands)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    typed = re.findall(r"^\s*(hookloop|make) ([a-z][a-z-]*)\b", TEXT, re.MULTILINE)

    assert {name for tool, name in typed if tool == "hookloop"} <= commands
    assert {name for tool, name in typed if tool == "make"} <= targets
