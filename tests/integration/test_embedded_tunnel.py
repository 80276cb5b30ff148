"""`hookloop.tunnel.connect` in a program of one's own: async, sync, in a fixture, in a notebook."""

import asyncio
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import Future
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from patience import PATIENCE
from tunnel_loop import TOKEN, echo, on_a_loop, relay_config, running_upstream, soon

import hookloop
from hookloop.errors import ConfigError, RefusedError, RemoteError
from hookloop.testing import captures
from hookloop.tunnel.relay import running_relay


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def running_app():
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(url: str) -> bytes:
    """Ask by the relay's port and the tunnel's Host: not every machine resolves .localhost."""
    host = url.removeprefix("http://")
    port = host.rpartition(":")[2]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.read()


@on_a_loop
async def test_an_async_block_has_a_url():
    """Without a relay one is started; when the block has ended, so has every task."""
    before = asyncio.all_tasks()
    with running_app() as port:
        async with hookloop.tunnel.connect(port) as tunnel:
            answer = await asyncio.to_thread(get, tunnel.url)
            assert tunnel.is_up

    assert answer == b"localhost:%d" % port
    assert asyncio.all_tasks() == before


def test_a_sync_block_has_a_url():
    """In a thread that has ended when the block has."""
    before = threading.enumerate()
    with running_app() as port, hookloop.tunnel.connect(port, name="shop") as tunnel:
        answer = get(tunnel.url)

    assert answer
    assert tunnel.url.startswith("http://shop.tun.localhost:")
    assert threading.enumerate() == before


@on_a_loop
async def test_a_sync_block_works_where_a_loop_runs():
    """A notebook's cell."""
    with running_app() as port, hookloop.tunnel.connect(port) as tunnel:
        assert await asyncio.to_thread(get, tunnel.url)


def test_cells_of_a_notebook_start_and_stop_it():
    """Where no block fits."""
    with running_app() as port:
        connection = hookloop.tunnel.connect(port)
        tunnel = connection.start()
        answer = get(tunnel.url)
        connection.stop()
        connection.stop()

    assert answer
    assert "hookloop-tunnel" not in [thread.name for thread in threading.enumerate()]


def test_a_fixture_may_be_left_by_another_task():
    """pytest-asyncio enters and leaves async fixtures so."""
    with asyncio.Runner() as runner:
        connection = hookloop.tunnel.connect(1)
        tunnel = runner.run(connection.__aenter__())
        runner.run(connection.__aexit__(None, None, None))

        assert tunnel.url
        assert runner.run(tasks_left()) == 1


async def tasks_left() -> int:
    return len(asyncio.all_tasks())


@on_a_loop
async def test_a_relay_is_dialled_where_one_is_named(monkeypatch):
    """By argument or by the environment, as `hookloop http` does."""
    async with running_upstream(echo) as port, running_relay(relay_config()) as relay:
        async with hookloop.tunnel.connect(port, relay=relay.url, token=TOKEN, name="one") as one:
            assert relay.statistics().tunnels == 1
        monkeypatch.setenv("HOOKLOOP_RELAY", relay.url)
        monkeypatch.setenv("HOOKLOOP_TOKEN", TOKEN)
        async with hookloop.tunnel.connect(port, name="two") as two:
            assert relay.statistics().tunnels == 1
        ending = f":{relay.port}"

    assert one.url.endswith(ending)
    assert two.url.startswith("http://two.")


@on_a_loop
async def test_what_goes_wrong_is_raised_where_it_is_opened():
    """And nothing is left behind, in either form."""
    before, threads = asyncio.all_tasks(), threading.enumerate()
    async with running_relay(relay_config()) as relay:
        with pytest.raises(RefusedError, match="'www'"):
            async with hookloop.tunnel.connect(1, relay=relay.url, token=TOKEN, name="www"):
                pass
        refused = hookloop.tunnel.connect(1, relay=relay.url, token="hlt_no", name="x")
        with pytest.raises(RefusedError):
            await asyncio.to_thread(refused.start)
        gone = relay.url

    with pytest.raises(RemoteError, match=r"not up after 1 s: cannot reach"):
        async with hookloop.tunnel.connect(1, relay=gone, token=TOKEN, start_seconds=1.0):
            pass
    assert asyncio.all_tasks() == before
    assert [each for each in threading.enumerate() if each.name == "hookloop-tunnel"] == []
    assert len(threads) <= len(threading.enumerate())


@pytest.mark.parametrize(
    "call",
    [
        lambda: hookloop.tunnel.connect("nonsense"),
        lambda: hookloop.tunnel.connect(3000, basic_auth=["ada:short"]),
        lambda: hookloop.tunnel.connect(3000, relay="tun.example", token="t"),
        lambda: hookloop.tunnel.connect(3000, relay="http://tun.example"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(call):
    """At the call, where the traceback shows it."""
    with pytest.raises(ConfigError):
        call()


@on_a_loop
async def test_a_connection_is_opened_once():
    """The next one may have another URL."""
    connection = hookloop.tunnel.connect(1)
    async with connection:
        pass
    with pytest.raises(ConfigError, match="once"):
        await connection.__aenter__()


@on_a_loop
async def test_an_error_of_the_block_is_the_one_that_is_raised():
    """Not one of the tunnel's end."""
    with pytest.raises(ZeroDivisionError):
        async with hookloop.tunnel.connect(1):
            raise ZeroDivisionError


@on_a_loop
async def test_a_cancelled_entry_leaves_nothing():
    """A fixture's timeout, say."""
    before = asyncio.all_tasks()
    async with running_relay(relay_config()) as relay:
        url = relay.url  # of one that is gone
    entering = asyncio.ensure_future(
        hookloop.tunnel.connect(1, relay=url, token=TOKEN).__aenter__()
    )
    await asyncio.sleep(0)
    entering.cancel()
    await soon(asyncio.wait({entering}))

    assert entering.cancelled()
    assert asyncio.all_tasks() == before


def test_a_program_that_forgets_to_stop_ends_all_the_same():
    """A script, or a notebook that is shut down."""
    program = "import hookloop; print(hookloop.tunnel.connect(1).start().url)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("http://")


def test_an_impatient_start_leaves_no_thread():
    """Ctrl+C while the relay does not answer."""

    class Interrupted(Future):
        def result(self, timeout=None):
            raise KeyboardInterrupt

    with ThreadingHTTPServer(("127.0.0.1", 0), App) as nobody:  # it takes connections, no more
        url = f"http://127.0.0.1:{nobody.server_port}"
        connection = hookloop.tunnel.connect(1, relay=url, token=TOKEN)
        connection._up = Interrupted()
        with pytest.raises(KeyboardInterrupt):
            connection.start()

    assert "hookloop-tunnel" not in [thread.name for thread in threading.enumerate()]


def test_a_test_waits_for_what_comes_through():
    """`captures` is the tunnel's sink: told by its thread, asked by the test's."""
    seen = captures()
    with running_app() as port, hookloop.tunnel.connect(port, name="shop", sink=seen) as tunnel:
        get(tunnel.url)
        came = seen.wait(path="/", status=200)

    assert came.method == "GET"
    assert came.exchange.tunnel == "shop"
