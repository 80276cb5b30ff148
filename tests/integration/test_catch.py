"""Catch mode from end to end: a real relay and agent, and an app that comes and goes."""

import asyncio
import hashlib
import json
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tunnel_loop import (
    NAME,
    TOKEN,
    Recorder,
    agent_config,
    chunked,
    free_port,
    get,
    on_a_loop,
    open_caller,
    post,
    relay_config,
    running_relay,
    running_upstream,
    soon,
    until,
)

from hookloop.clock import SystemClock
from hookloop.exchange import RequestHead
from hookloop.tunnel.agent import AgentConfig, TunnelConfig, running_agent
from hookloop.tunnel.agent.catch_app import UpstreamApp
from hookloop.tunnel.agent.config import Upstream
from hookloop.tunnel.catch.box import Answered, Down
from hookloop.tunnel.catch.config import CatchConfig
from hookloop.tunnel.catch.observer import Caught, Delivered, NotCaught, Postponed
from hookloop.tunnel.catch.rules import CatchRules
from hookloop.tunnel.wire.messages import Request

AGENT = Path(__file__).with_name("catching_agent.py")
SIGNED = b"Stripe-Signature: t=1,v1=abc\r\nX-Dup: 1\r\nx-dup: 2\r\n"


class App:
    """Keeps what it gets; answers by a list of statuses, the last of which stays."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses) or [200]
        self.requests = []

    async def __call__(self, served) -> None:
        await served.body()
        self.requests.append(served.request)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        await served.answer(b"done", head=b"HTTP/1.1 %d OK\r\n" % status)

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]


class Watching(list):
    def catch_event(self, event) -> None:
        self.append(event)

    def of(self, kind) -> list:
        return [event for event in self if isinstance(event, kind)]


class Catching:
    """A relay, an agent in catch mode, and a port where nobody listens yet."""

    def __init__(self, relay, agent, port, watching, captures, stack) -> None:
        self.relay, self.agent, self.port = relay, agent, port
        self.watching, self.captures, self._stack = watching, captures, stack

    @property
    def waiting(self) -> int:
        return self.agent.catch_statistics()[NAME].waiting

    async def ask(self, request: bytes):
        caller = await open_caller(self._stack, self.relay.port)
        return await caller.ask(request)


@asynccontextmanager
async def catching(folder, **rules):
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(running_relay(relay_config()))
        port, watching, at_agent = free_port(), Watching(), Recorder()
        catch = CatchConfig(CatchRules(**rules), folder)
        config = agent_config(relay, port, catch=catch)
        agent = await soon(
            stack.enter_async_context(running_agent(config, sink=at_agent, catch_observer=watching))
        )
        yield Catching(relay, agent, port, watching, at_agent.captures, stack)


@asynccontextmanager
async def app_on(port: int, app):
    """Serve *app* on the very *port* that the agent looks at."""
    async with running_upstream(app, port=port):
        yield


@on_a_loop
async def test_what_comes_while_the_app_is_down_is_delivered_in_order_when_it_is_back(tmp_path):
    """The senders are content at once; the app gets all of it, as it was sent."""
    async with catching(tmp_path) as loop:
        for number in range(5):
            answer = await loop.ask(post(b"body %d" % number, fields=SIGNED, target=b"/h?a=1"))
            assert (answer.status, answer.body) == (202, b"")
            assert answer.values(b"hookloop-caught") == [b"1"]
        assert loop.waiting == 5

        app = App()
        async with app_on(loop.port, app):
            await until(lambda: loop.waiting == 0)
            direct = await loop.ask(post(b"direct"))

        assert app.bodies == [*(b"body %d" % number for number in range(5)), b"direct"]
        first = app.requests[0]
        assert first.target == b"/h?a=1"
        assert first.values(b"stripe-signature") == [b"t=1,v1=abc"]
        assert [f for f in first.fields if f[0].lower() == b"x-dup"] == [
            (b"X-Dup", b"1"),
            (b"x-dup", b"2"),
        ]
        assert len(first.values(b"hookloop-caught-at")) == 1
        assert (direct.status, direct.body) == (200, b"done")
        assert app.requests[-1].values(b"hookloop-caught-at") == []
        assert [event.waiting for event in loop.watching.of(Caught)] == [1, 2, 3, 4, 5]
        assert [event.waiting for event in loop.watching.of(Delivered)] == [4, 3, 2, 1, 0]
        # Both are exchanges for the inspector: what the sender was told, and the app's answer.
        statuses = [capture.response.status for capture in loop.captures]
        assert statuses == [202] * 5 + [200] * 6


@on_a_loop
async def test_one_that_comes_while_others_are_delivered_queues_behind_them(tmp_path):
    """The app is back, and still nobody overtakes."""
    may_answer = asyncio.Event()
    app = App()

    async def slow(served):
        if not app.requests:
            first.set()
            await may_answer.wait()
        await app(served)

    first = asyncio.Event()
    async with catching(tmp_path) as loop:
        await loop.ask(post(b"old"))
        async with app_on(loop.port, slow):
            await soon(first.wait())
            answer = await loop.ask(post(b"new"))
            may_answer.set()
            await until(lambda: loop.waiting == 0)

    assert answer.status == 202
    assert app.bodies == [b"old", b"new"]


@on_a_loop
async def test_large_and_chunked_bodies_are_caught_bit_for_bit(tmp_path):
    """More than the stream's credit: the body is taken in whole while nobody reads it."""
    body = bytes(range(256)) * 8000
    head = b"POST / HTTP/1.1\r\nHost: shop.tun.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    app = App()
    async with catching(tmp_path) as loop:
        assert (await loop.ask(post(body))).status == 202
        assert (await loop.ask(head + chunked(b"one", b"two"))).status == 202
        async with app_on(loop.port, app):
            await until(lambda: loop.waiting == 0)

    assert hashlib.sha256(app.bodies[0]).digest() == hashlib.sha256(body).digest()
    assert app.bodies[1] == b"onetwo"


@on_a_loop
async def test_what_is_not_for_catching_fails_as_ever(tmp_path):
    """Pages, other paths and what is too large: their callers see that the app is down."""
    head = b"POST /hook HTTP/1.1\r\nHost: shop.tun.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with catching(tmp_path, paths=("/hook*",), body_bytes_max=1000) as loop:
        assert (await loop.ask(get(b"/hook"))).status == 502
        assert (await loop.ask(post(b"x", target=b"/login"))).status == 502
        assert (await loop.ask(post(b"x" * 1001, target=b"/hook"))).status == 502
        assert (await loop.ask(head + chunked(b"x" * 2000))).status == 502
        assert (await loop.ask(post(b"x", target=b"/hook/a"))).status == 202
        # Behind others there is no going straight to the app: its sender has to come again.
        later = await loop.ask(head + chunked(b"x" * 2000))
        assert (later.status, later.values(b"retry-after")) == (503, [b"5"])


@on_a_loop
async def test_an_app_that_breaks_off_without_an_answer_is_down(tmp_path):
    """So does the port of a container that is stopped: it takes connections, and drops them."""

    async def drops(served):
        await served.body()
        served.reset()

    app = App()
    async with catching(tmp_path) as loop:
        async with app_on(loop.port, drops):
            assert (await loop.ask(post(b"one"))).status == 202
            await until(lambda: loop.watching.of(Postponed))
        async with app_on(loop.port, app):
            await until(lambda: loop.waiting == 0)

    assert app.bodies == [b"one"]


@on_a_loop
async def test_a_fault_of_the_app_is_tried_again_and_a_4xx_is_not(tmp_path):
    """A 500 of today may be a 200 in a second; a 400 is what it is."""
    app = App(500, 400, 200)
    async with catching(tmp_path) as loop:
        await loop.ask(post(b"one"))
        await loop.ask(post(b"two"))
        async with app_on(loop.port, app):
            await until(lambda: loop.waiting == 0)

        assert app.bodies == [b"one", b"one", b"two"]
        assert [event.status for event in loop.watching.of(Delivered)] == [400, 200]


@on_a_loop
async def test_an_answer_of_the_app_is_never_replaced(tmp_path):
    """Catch mode is for an app that is down, not for one that says 500."""
    async with catching(tmp_path) as loop:
        async with app_on(loop.port, App(500)):
            answer = await loop.ask(post(b"one"))

        assert (answer.status, answer.body) == (500, b"done")
        assert loop.watching == []


@on_a_loop
async def test_a_full_line_is_a_503_and_never_a_2xx(tmp_path):
    """The sender keeps what we cannot."""
    async with catching(tmp_path, requests_max=1) as loop:
        assert (await loop.ask(post(b"one"))).status == 202
        refused = await loop.ask(post(b"two"))

        assert (refused.status, refused.values(b"retry-after")) == (503, [b"30"])
        assert len(loop.watching.of(NotCaught)) == 1


@pytest.mark.parametrize("deaths", [2])
def test_an_agent_that_is_killed_has_lost_nothing(tmp_path, deaths):
    """SIGKILL with caught requests on the disk, several times: all delivered, in order."""

    @on_a_loop
    async def scenario():
        port, sent = free_port(), []
        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(running_relay(relay_config()))

            async def send(number: int) -> None:
                caller = await open_caller(stack, relay.port)
                answer = await caller.ask(post(b"%d" % number))
                assert answer.status == 202
                sent.append(b"%d" % number)

            for life in range(deaths):
                agent = await start_agent(relay, port, tmp_path)
                for number in range(5):
                    await send(5 * life + number)
                agent.send_signal(signal.SIGKILL)
                await soon(agent.communicate())
                await until(lambda: relay.statistics().sessions == 0)

            app = App()
            async with app_on(port, app):
                agent = await start_agent(relay, port, tmp_path)
                await until(lambda: len(app.requests) >= len(sent))
                agent.terminate()
                await soon(agent.communicate())

            assert app.bodies == sent

    scenario()


async def start_agent(relay, port: int, folder: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(AGENT),
        relay.url,
        TOKEN,
        NAME,
        str(port),
        str(folder),
        stdout=asyncio.subprocess.PIPE,
    )
    assert await soon(process.stdout.readline()) == b"up\n"
    return process


# --- the relay's side ------------------------------------------------------------------------


@asynccontextmanager
async def catching_relay(folder, **settings):
    """A relay that catches, and the means to call it."""
    async with AsyncExitStack() as stack:
        config = relay_config(catch_folder=folder / "relay", hold_seconds=0.0, **settings)
        relay = await stack.enter_async_context(running_relay(config))

        async def ask(request: bytes):
            return await (await open_caller(stack, relay.port)).ask(request)

        yield relay, ask


@asynccontextmanager
async def its_agent(relay, app, folder, **settings):
    """An agent that asks the relay to catch for it, and its app."""
    async with running_upstream(app) as port:
        catch = None if folder is None else CatchConfig(folder=folder / "agent")
        config = agent_config(relay, port, catch=catch, **settings)
        async with running_agent(config) as agent:
            yield agent
    await until(lambda: relay.statistics().sessions == 0)


@on_a_loop
async def test_the_relay_keeps_what_comes_while_the_agent_is_away(tmp_path):
    """A laptop that is closed for an hour has missed nothing; its app gets it in order."""
    app = App()
    async with catching_relay(tmp_path) as (relay, ask):
        async with its_agent(relay, app, tmp_path):
            assert (await ask(post(b"live"))).status == 200
        for number in range(5):
            answer = await ask(post(b"%d" % number, fields=SIGNED))
            assert answer.status == 202
        assert (await ask(get())).status == 404  # a page says that nobody is there

        async with its_agent(relay, app, tmp_path):
            await until(lambda: len(app.requests) == 6)
            assert (await ask(post(b"live again"))).status in {200, 202}
            await until(lambda: len(app.requests) == 7)

    assert app.bodies == [b"live", b"0", b"1", b"2", b"3", b"4", b"live again"]
    assert app.requests[1].values(b"stripe-signature") == [b"t=1,v1=abc"]
    assert app.requests[1].values(b"x-forwarded-host") == [b"shop.tun.test"]
    assert len(app.requests[1].values(b"hookloop-caught-at")) == 1


@on_a_loop
async def test_a_large_body_waits_at_the_relay_bit_for_bit(tmp_path):
    """Up to a mebibyte; its sender hears of more than that, and has to keep it."""
    app, body = App(), bytes(range(256)) * 4096
    async with catching_relay(tmp_path) as (relay, ask):
        async with its_agent(relay, app, tmp_path):
            pass
        assert (await ask(post(body))).status == 202
        assert (await ask(post(body + b"x"))).status == 404
        head = b"POST / HTTP/1.1\r\nHost: shop.tun.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        refused = await ask(head + chunked(body, b"x"))
        assert (refused.status, refused.values(b"retry-after")) == (503, [b"30"])

        async with its_agent(relay, app, tmp_path):
            await until(lambda: app.requests)

    assert app.bodies == [body]


@on_a_loop
async def test_a_relay_that_restarts_still_knows_whom_it_catches_for(tmp_path):
    """Also for an agent that has not come back yet."""
    app = App()
    async with catching_relay(tmp_path) as (relay, ask):
        async with its_agent(relay, app, tmp_path):
            pass
        assert (await ask(post(b"before"))).status == 202
    async with catching_relay(tmp_path) as (relay, ask):
        assert (await ask(post(b"after"))).status == 202
        async with its_agent(relay, app, tmp_path):
            await until(lambda: len(app.requests) == 2)

    assert app.bodies == [b"before", b"after"]


@on_a_loop
async def test_what_was_caught_is_for_its_owner_alone(tmp_path):
    """Whoever has the name next, with another token, gets none of it; the owner does, later."""
    tokens = (TOKEN, "hlt_of-somebody-else-altogether")
    mine, theirs = App(), App()
    async with catching_relay(tmp_path, tokens=tokens) as (relay, ask):
        async with its_agent(relay, mine, tmp_path):
            pass
        assert (await ask(post(b"mine"))).status == 202
        async with its_agent(relay, theirs, None, token=tokens[1]):
            assert (await ask(post(b"theirs"))).status == 200
        assert (await ask(post(b"nobody's"))).status == 404  # they did not ask for it
        async with its_agent(relay, mine, tmp_path):
            await until(lambda: mine.requests)

    assert (mine.bodies, theirs.bodies) == ([b"mine"], [b"theirs"])


@on_a_loop
async def test_both_must_want_it(tmp_path):
    """A relay that may not, or an agent that did not ask: the caller hears that nobody is there."""
    async with catching_relay(tmp_path) as (relay, ask):
        async with its_agent(relay, App(), None):
            pass
        assert (await ask(post(b"x"))).status == 404
    async with running_relay(relay_config(hold_seconds=0.0)) as relay, AsyncExitStack() as stack:
        async with its_agent(relay, App(), tmp_path):
            pass
        assert (await (await open_caller(stack, relay.port)).ask(post(b"x"))).status == 404


def test_a_relay_that_is_killed_has_lost_nothing(tmp_path):
    """SIGKILL of the relay's process with caught requests on its disk."""

    @on_a_loop
    async def scenario():
        app, port = App(), free_port()
        first, url = await start_relay(tmp_path, port)
        async with AsyncExitStack() as stack:

            async def ask(request: bytes):
                return await (await open_caller(stack, port)).ask(request)

            host = f"{NAME}.tun.localhost".encode()
            async with running_upstream(app) as upstream:
                catch = CatchConfig(folder=tmp_path / "agent")
                config = AgentConfig(
                    url, TOKEN, (TunnelConfig(Upstream("127.0.0.1", upstream), NAME, catch=catch),)
                )
                async with running_agent(config):
                    pass
                for number in range(5):
                    assert (await ask(post(b"%d" % number, host=host))).status == 202
                first.kill()
                await soon(first.communicate())
                second, _ = await start_relay(tmp_path, port)
                assert (await ask(post(b"5", host=host))).status == 202
                async with running_agent(config):
                    await until(lambda: len(app.requests) == 6)
                second.terminate()
                await soon(second.communicate())

        assert app.bodies == [b"%d" % number for number in range(6)]

    scenario()


async def start_relay(folder: Path, port: int):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hookloop", "relay", "--json", "--token", TOKEN),
        *("--port", str(port), "--allow-catch", str(folder / "relay")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    line = json.loads(await soon(process.stdout.readline()))
    return process, line["value"]


# --- an app as the box sees it ---------------------------------------------------------------


def upstream_app(port: int, captures: Recorder) -> UpstreamApp:
    config = TunnelConfig(Upstream("127.0.0.1", port))
    return UpstreamApp(config, SystemClock(), captures)


REQUEST = Request("shop", "r", RequestHead(b"POST", b"/", ((b"Content-Length", b"1"),)))


@on_a_loop
async def test_a_port_that_is_closed_is_down_and_an_open_one_is_up():
    """Looking sends nothing, and leaves nothing open."""
    app, captures = App(), Recorder()
    nobody = upstream_app(free_port(), captures)
    assert not await nobody.is_up()
    assert isinstance(await nobody.send(REQUEST, b"x"), Down)

    async with running_upstream(app) as port:
        somebody = upstream_app(port, captures)
        assert await somebody.is_up()
        assert await somebody.send(REQUEST, b"x") == Answered(200, "done")
        somebody.close()
    assert app.bodies == [b"x"]
    assert [capture.response.status for capture in captures.captures] == [200]


@on_a_loop
async def test_what_became_of_a_request_is_told_from_how_its_answer_ends():
    """No answer is none; one that is cut off has a status all the same."""

    async def cuts(served):
        await served.body()
        await served.send(b"HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nhalf")
        served.reset()

    async def chunks(served):
        await served.body()
        await served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        await served.send(b"0\r\n\r\n")

    for app, expected in ((cuts, Answered(500, "half")), (chunks, Answered(200, "hi"))):
        async with running_upstream(app) as port:
            assert await upstream_app(port, Recorder()).send(REQUEST, b"x") == expected


@on_a_loop
async def test_a_request_that_cannot_be_sent_is_settled_and_holds_up_nobody():
    """Its length does not fit its body: it would never go."""
    answer = await upstream_app(1, Recorder()).send(REQUEST, b"")

    assert answer.status == 400
