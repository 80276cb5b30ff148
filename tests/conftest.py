"""What all tests share: how Hypothesis runs."""

import os

from hypothesis import settings

# No deadline: a busy machine is not a failure. In CI the examples are the same each time,
# so that a red run is the fault of the change it tests.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
