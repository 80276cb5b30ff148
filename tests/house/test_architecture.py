"""ARCHITECTURE.md tells the truth: its map is the one the imports draw."""

import re
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
GRAPH = grimp.build_graph("hookloop", cache_dir=None)


def written_map(marker: str) -> dict[str, set[str]]:
    """Return the block of ARCHITECTURE.md behind *marker*, as room -> rooms."""
    block = re.search(re.escape(marker) + r".*?-->\n```\n(.*?)```", TEXT, re.DOTALL)
    assert block, f"ARCHITECTURE.md has lost its block {marker!r}"
    lines = [line.partition("->") for line in block[1].splitlines()]
    return {room.strip(): set(others.split()) for room, _, others in lines}


def drawn_map(package: str) -> dict[str, set[str]]:
    """Return what the imports between the children of *package* say."""
    rooms = GRAPH.find_children(package)
    drawn = {}
    for room in rooms:
        members = {room, *GRAPH.find_descendants(room)}
        imported = {
            other for member in members for other in GRAPH.find_modules_directly_imported_by(member)
        }
        targets = {
            other
            for other in rooms - {room}
            if any(name == other or name.startswith(other + ".") for name in imported)
        }
        drawn[room.rpartition(".")[2]] = {target.rpartition(".")[2] for target in targets}
    return drawn


@pytest.mark.parametrize(
    ("marker", "package"),
    [("<!-- imports: a test", "hookloop"), ("<!-- imports: tunnel", "hookloop.tunnel")],
)
def test_the_map_is_what_the_imports_draw(marker: str, package: str):
    """A room that looks into another one is written down, and nothing else is."""
    drawn = drawn_map(package)
    drawn.pop("__main__", None)

    assert written_map(marker) == drawn
