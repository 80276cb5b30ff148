"""`hookloop http` keeps what passes and shows it, bit for bit."""

import http.client
import json
import signal
from urllib.request import urlopen

from patience import PATIENCE
from test_http_command import ended_by, started, wait_for
from tunnel_loop import free_port

from hookloop.inspector import CaptureStore

BODY = bytes(range(256)) * 9


def test_what_passed_is_on_the_page_and_outlives_the_command(tmp_path):
    """No app listens: that too is an answer, and is captured."""
    file = tmp_path / "captures.db"
    arguments = ["--inspect", "127.0.0.1:0", "--capture", str(file), "--log-format", "json"]
    with started("http", str(free_port()), *arguments) as process:
        web = wait_for(process, "starting web service", json.loads)["addr"]
        url = wait_for(process, "started tunnel", json.loads)["url"]
        host = url.removeprefix("http://")
        caller = http.client.HTTPConnection(
            "127.0.0.1", int(host.rpartition(":")[2]), timeout=PATIENCE
        )
        caller.request("POST", "/hooks?token=abc", BODY, {"Host": host, "Cookie": "a=b"})
        assert caller.getresponse().status == 502
        caller.close()
        with urlopen(f"http://{web}/events?after=0", timeout=PATIENCE) as events:
            while b"/hooks" not in (line := events.readline()):
                assert line
        ended_by(signal.SIGTERM, process)

    store = CaptureStore(file)
    kept = store.get(store.find().items[0].id)
    store.close()
    assert kept.request_body.data == BODY
    assert kept.request.target == b"/hooks?token=[redacted]"
    assert kept.request.get(b"cookie") == b"[redacted]"
    assert "cannot reach" in kept.failure
