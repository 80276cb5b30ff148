"""`hookloop http` as a user starts and ends it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-m", "hookloop"]
TOKEN = "hlt_only-for-these-tests"
SECONDS_MAX = 30


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # where a test failed; else it has ended


def ended_by(ending: signal.Signals, process: subprocess.Popen[str]) -> None:
    process.send_signal(ending)
    _, errors = process.communicate(timeout=SECONDS_MAX)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_same_command_again_has_the_same_url(ending: signal.Signals):
    """However it was ended: the URL stands in a dashboard."""
    with started("relay", "--port", "0", "--token", TOKEN) as relay:
        assert relay.stdout is not None
        address = json.loads(relay.stdout.readline())["value"]
        urls = []
        for _ in range(2):
            with started(
                "http", "3000", "--relay", address, "--token", TOKEN, "--name", "shop"
            ) as http:
                assert http.stdout is not None
                urls.append(json.loads(http.stdout.readline())["value"])
                ended_by(ending, http)
        relay.send_signal(signal.SIGINT)
        relay.communicate(timeout=SECONDS_MAX)

    assert relay.returncode == 0
    assert urls[0].startswith("http://shop.tun.localhost:")
    assert urls[0] == urls[1]
