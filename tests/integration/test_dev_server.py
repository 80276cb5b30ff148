"""`manage.py runserver` behind a tunnel, without a setting: pages, forms and redirects."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest
from patience import PATIENCE
from tunnel_loop import HOST, free_port, get, loop_of, on_a_loop, post, soon

from hookloop.tunnel.agent import TunnelConfig
from hookloop.tunnel.agent.address import Upstream
from hookloop.tunnel.agent.policy import Policy

PROGRAM = Path(__file__).with_name("dev_server.py")


@pytest.fixture(scope="module")
def port():
    """The port of a development server that answers."""
    number = free_port()
    command = [sys.executable, "-W", "ignore", str(PROGRAM), str(number)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        asyncio.run(answered(number, process))
        yield number
    finally:
        process.kill()
        process.communicate()


async def answered(number: int, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(PATIENCE):
        while process.poll() is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", number)
            except OSError:
                await asyncio.get_running_loop().run_in_executor(None, wait_a_little, process)
            else:
                writer.close()
                return
    raise AssertionError(process.communicate()[1].decode())


def wait_a_little(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end, which does not come, for a moment."""
    try:
        process.wait(timeout=0.05)
    except subprocess.TimeoutExpired:
        return


async def tunnelled(loop, port: int, policy: Policy) -> bytes:
    """Bind a tunnel to the server, and return its Host."""
    config = TunnelConfig(Upstream("localhost", port), "dev", policy=policy)
    tunnel = loop.agent.add_tunnel(config)
    url = await soon(tunnel.wait_up())
    return url.removeprefix("http://").encode()


@on_a_loop
async def test_its_pages_forms_and_redirects_work(port):
    """Its CSRF check too: what came from the tunnel's own page came from its own."""
    async with loop_of() as loop:
        host = await tunnelled(loop, port, Policy())
        page = await loop.ask(get(b"/form/", host=host))
        told = json.loads(page.body)
        cookie = page.values(b"set-cookie")[0].partition(b";")[0]
        sent = urlencode({"csrfmiddlewaretoken": told["token"]}).encode()
        fields = b"Cookie: %b\r\nContent-Type: application/x-www-form-urlencoded\r\n" % cookie
        own = b"Origin: http://%b\r\n" % host
        other = b"Origin: http://evil.example\r\n"
        taken = await loop.ask(post(sent, host=host, target=b"/form/", fields=fields + own))
        refused = await loop.ask(post(sent, host=host, target=b"/form/", fields=fields + other))
        moved = await loop.ask(get(b"/form", host=host))

    assert page.status == 200
    assert told["host"] == f"localhost:{port}"
    assert told["forwarded_proto"] == "http"
    assert (taken.status, taken.body) == (200, b"taken")
    assert refused.status == 403
    assert moved.status == 301
    assert moved.values(b"location")[0] in {b"/form/", b"http://%b/form/" % host}


@on_a_loop
async def test_without_the_rewriting_it_refuses(port):
    """So the tests above show what the default is for."""
    async with loop_of() as loop:
        host = await tunnelled(loop, port, Policy(host_header="preserve"))
        page = await loop.ask(get(b"/form/", host=host))

    assert HOST not in host
    assert page.status == 400
