"""
Say which versions of the frameworks are installed here; exit 1 unless they are the oldest.

    .venv/oldest/bin/python scripts/check_oldest.py      # `make oldest` does

The oldest are the lower bounds of the extras in pyproject.toml: a bound nobody runs is a guess.
"""

import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("django", "fastapi", "flask")


def main() -> int:
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    wrong = 0
    for extra in EXTRAS:
        (line,) = extras[extra]
        requirement = Requirement(line)
        (bound,) = requirement.specifier
        installed = version(requirement.name)
        is_oldest = bound.operator == ">=" and Version(installed) == Version(bound.version)
        wrong += not is_oldest
        print(f"{requirement.name} {installed}" + ("" if is_oldest else f", and not {bound}"))
    print(f"starlette {version('starlette')}, werkzeug {version('werkzeug')}")
    if wrong:
        print("constraints-oldest.txt and pyproject.toml do not name the same versions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
