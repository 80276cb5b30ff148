"""
Write the tables of docs/reference/http-behaviour.md from the probe table.

    .venv/bin/python scripts/write_http_behaviour.py

The tests hold the page against the same tables; its other sentences are written by hand.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "http-behaviour.md"
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from test_probe_table import tables  # noqa: E402  # the path to it is set above


def main() -> None:
    page = PAGE.read_text()
    for heading, rows in tables().items():
        table = "".join(f"| {left} | {right} |\n" for left, right in rows)
        pattern = rf"(## {re.escape(heading)}\n\n\|.*\n\|---\|---\|\n)(?:\|.*\n)*"
        page = re.sub(pattern, lambda found, table=table: found[1] + table, page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
