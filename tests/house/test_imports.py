"""What `import hookloop` brings in: the standard library, and little of that."""

import subprocess
import sys

PROBE = """
import sys
before = set(sys.modules)
import hookloop
for name in sorted(set(sys.modules) - before):
    print(name)
"""

HEAVY = {"asyncio", "sqlite3", "ssl", "socket", "http.client", "urllib.request", "concurrent"}


def imported_modules() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_core_imports_no_third_party():
    """Whoever only handles webhooks installs and loads nothing else."""
    allowed = {*sys.stdlib_module_names, "hookloop"}

    foreign = {name for name in imported_modules() if name.partition(".")[0] not in allowed}

    assert foreign == set()


def test_the_core_imports_no_heavy_part_of_the_standard_library():
    """A serverless function pays for each of these at every cold start."""
    assert imported_modules() & HEAVY == set()
