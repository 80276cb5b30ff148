"""Every finding can be looked up."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = [*(ROOT / "src/hookloop/doctor").glob("*.py"), ROOT / "src/hookloop/cli/app_loader.py"]
PAGE = (ROOT / "docs/howto/webhook-doctor.md").read_text()

# A code is the first argument of what makes a finding, or stands in a call that hands it on.
_MADE = re.compile(r"(?:proved|likely|make|Finding|\))\(\s*\"([a-z0-9_]+)\"")
_HANDED_ON = re.compile(r"_moved\([^\n]*\"([a-z_]+)\"\)")


def codes() -> set[str]:
    text = "\n".join(path.read_text() for path in SOURCES)
    return set(_MADE.findall(text)) | set(_HANDED_ON.findall(text))


def test_every_code_is_in_the_documents_and_no_other():
    """Who meets a code in a script's output finds a line on it."""
    documented = set(re.findall(r"`([a-z0-9_]+)`", PAGE.partition("## The findings")[2]))

    assert documented - {"enabled_events", "stripe", "whsec_"} == codes()
