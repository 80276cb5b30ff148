"""
Pebble, Let's Encrypt's own ACME server for tests, where it is installed.

On Debian it is the package `pebble`, which CI installs.
"""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fake_dns import FakeDns
from made_certificates import Authority
from patience import PATIENCE
from tunnel_loop import free_port

TICK_SECONDS = 0.02
PROGRAM = shutil.which("pebble")
IS_WANTED = PROGRAM is not None or "CI" in os.environ
"""In CI it must be there: a test that runs nowhere proves nothing."""


@contextmanager
def running_pebble(dns: FakeDns, http_port: int, folder: Path) -> Iterator[tuple[str, Path, bytes]]:
    """Yield the directory's URL, what to trust of its server, and the root of what it issues."""
    assert PROGRAM is not None, "CI must install pebble: .ci/run does"
    own = Authority(folder)
    files = own.issue("pebble", "localhost", "127.0.0.1")
    port, manage_port = free_port(), free_port()
    settings = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{manage_port}",
        "certificate": str(files.certificate),
        "privateKey": str(files.key),
        "httpPort": http_port,
        "tlsPort": http_port,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    config = folder / "pebble.json"
    config.write_text(json.dumps({"pebble": settings}))
    environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "30"}
    log = (folder / "pebble.log").open("w")
    process = subprocess.Popen(
        [PROGRAM, "-config", str(config), "-strict", "-dnsserver", dns.address],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        for its_port in (port, manage_port):
            _wait_until_it_listens(process, its_port)
        yield f"https://localhost:{port}/dir", own.ca_file, _root(manage_port, own)
    finally:
        process.terminate()
        process.wait()
        log.close()


def _wait_until_it_listens(process: subprocess.Popen, port: int) -> None:
    """It says so a moment before it is true."""
    for _ in range(int(PATIENCE / TICK_SECONDS)):
        assert process.poll() is None, f"pebble ended with {process.returncode}: see pebble.log"
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        threading.Event().wait(TICK_SECONDS)
    raise AssertionError("pebble does not listen")


def _root(port: int, own: Authority) -> bytes:
    context = ssl.create_default_context(cafile=own.ca_file)
    url = f"https://localhost:{port}/roots/0"
    with urllib.request.urlopen(url, context=context) as response:
        return response.read()
