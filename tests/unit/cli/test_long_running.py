"""What a long-running command is told of its memory."""

import subprocess
import sys


def test_the_collector_looks_less_often_and_not_at_what_was_imported():
    """In a process of its own: it holds for the rest of it."""
    program = (
        "import gc\n"
        "from hookloop.cli.long_running import COLLECT_AFTER, settle_in\n"
        "before = gc.get_threshold()\n"
        "settle_in()\n"
        "assert gc.get_threshold() == (COLLECT_AFTER, *before[1:])\n"
        "assert gc.get_freeze_count() > 0\n"
        "print(len(bytes(300_000)))\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert ended.stdout.split() == [b"300000"]
