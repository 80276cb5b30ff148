"""`hookloop sandbox` as a user runs it."""

import json
import signal
import subprocess
import sys
import urllib.request

from patience import PATIENCE

COMMAND = [sys.executable, "-m", "hookloop", "sandbox"]


def started(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_it_tells_its_address_logs_requests_and_ends_at_once():
    """A line for the request, and Ctrl+C takes less than a second."""
    with started("--port", "0", "--json") as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        key = json.loads(process.stdout.readline())
        assert (address["fact"], key["fact"]) == ("sandbox", "api key")
        request = urllib.request.Request(
            f"{address['value']}/v1/customers", headers={"Authorization": f"Bearer {key['value']}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            assert json.load(response)["data"] == []
        line = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)

    assert (line["event"], line["status"], line["path"]) == ("request", 200, "/v1/customers")
    assert process.returncode == 0  # ended as asked
    assert errors == ""


def test_a_port_in_use_is_told_in_one_sentence():
    """No traceback, exit code 2, and what to do about it."""
    with started("--port", "0", "--json") as first:
        assert first.stdout is not None
        port = json.loads(first.stdout.readline())["value"].rpartition(":")[2]
        second = subprocess.run(
            [*COMMAND, "--port", port],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        first.terminate()
        first.communicate(timeout=PATIENCE)

    assert second.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in second.stderr
    assert "Traceback" not in second.stderr
