"""How commands end, whatever is left of them."""

import signal
import subprocess
import sys
import time

from patience import END_PATIENCE, PATIENCE

STUCK = """
import asyncio
import threading
from hookloop.cli.runner import run

async def main():
    # As a lookup of a name while the network is away: a thread that nobody can cancel.
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    print("ready", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("closed")

run(main())
"""


def test_a_thread_that_cannot_be_cancelled_does_not_hold_the_command():
    """Its with-blocks are closed, what it said is read, and then it is over."""
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        rest, _ = process.communicate(timeout=PATIENCE)

    assert (process.returncode, rest) == (0, "closed\n")
    assert time.monotonic() - began < END_PATIENCE


def test_a_command_that_ends_by_itself_does_not_end_the_program_that_called_it():
    """Half a second later it would have been gone, with the code of a success."""
    program = (
        "import threading, typer\n"
        "from hookloop.cli.runner import run\n"
        "async def main(): return 0\n"
        "try:\n"
        "    run(main())\n"
        "except typer.Exit:\n"
        "    pass\n"
        "print([each.name for each in threading.enumerate()])\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ended.stdout == "['MainThread']\n"
