"""What all tests share: how Hypothesis runs, and how many tests run side by side."""

import atexit
import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# No deadline: a busy machine is not a failure. In CI the examples are the same each time,
# so that a red run is the fault of the change it tests.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# What commands keep between runs: never in the folders of whoever runs the tests.
STATE = tempfile.mkdtemp(prefix="hookloop-tests-")
os.environ["XDG_STATE_HOME"] = STATE
atexit.register(shutil.rmtree, STATE, ignore_errors=True)

# Many tests wait for a process of theirs, and leave a core to another test meanwhile.
WORKERS_PER_CORE = 2
WORKERS_MAX = 16  # each imports all there is: some 300 MB, and ten seconds of a core


@pytest.hookimpl(optionalhook=True)  # `make oldest` has no xdist
def pytest_xdist_auto_num_workers() -> int:
    """Answer `-n auto`, which `make test` says."""
    return min(WORKERS_PER_CORE * (os.cpu_count() or 1), WORKERS_MAX)
