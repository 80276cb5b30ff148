"""Sleep and changes of networks: a connection that only looks open is found out in seconds."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from silent_proxy import running_silent_proxy
from tunnel_loop import (
    Recorder,
    agent_config,
    echo,
    on_a_loop,
    open_caller,
    post,
    relay_config,
    running_upstream,
    soon,
    until,
)

from hookloop.clock import SystemClock
from hookloop.tunnel.agent import Agent
from hookloop.tunnel.relay import running_relay


class Laptop(SystemClock):
    """A clock of a machine that sleeps, and the address it has on its network."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.address: str | None = "10.0.0.7"

    def wall(self) -> float:
        return super().wall() + self.slept

    def route(self, _peer) -> str | None:
        return self.address


@pytest.fixture
def quick(monkeypatch):
    """The same course of things, ten times as fast."""
    monkeypatch.setattr("hookloop.tunnel.agent.lookout.TICK_SECONDS", 0.05)
    monkeypatch.setattr("hookloop.tunnel.wire.heartbeat.PROBE_SECONDS", 0.2)


@asynccontextmanager
async def laptop_behind_a_proxy():
    """Yield laptop, proxy, agent, what it told, and a way to ask."""
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(running_upstream(echo))
        relay = await stack.enter_async_context(running_relay(relay_config()))
        proxy = await stack.enter_async_context(running_silent_proxy(relay.port))
        config = replace(agent_config(relay, port), relay_url=f"http://127.0.0.1:{proxy.port}")
        laptop, watcher = Laptop(), Recorder()
        agent = Agent(config, clock=laptop, observer=watcher, route=laptop.route)
        running = asyncio.ensure_future(agent.run())
        await soon(agent.wait_settled())

        async def ask(body: bytes):
            return await (await open_caller(stack, relay.port)).ask(post(body))

        try:
            yield SimpleNamespace(
                laptop=laptop, proxy=proxy, agent=agent, watcher=watcher, ask=ask, relay=relay
            )
        finally:
            running.cancel()
            await asyncio.wait({running})


@pytest.mark.parametrize("what", ["sleep", "network"])
@on_a_loop
async def test_a_connection_that_only_looks_open_is_replaced(what, quick):
    """No waiting for the heartbeat: half a minute of lost webhooks."""
    async with laptop_behind_a_proxy() as here:
        here.proxy.go_silent()
        if what == "sleep":
            here.laptop.slept = 3600.0
        else:
            here.laptop.address = "192.168.1.4"
        await until(lambda: len(here.watcher.ups) == 2)
        response = await here.ask(b"back")

    assert response.body == b"back"
    assert here.watcher.waits == [0.0]
    assert "nothing was heard" in here.watcher.downs[0]


@on_a_loop
async def test_a_caller_of_the_dead_connection_is_answered_soon(quick):
    """502, which webhook senders try again; not half a minute of nothing."""
    async with laptop_behind_a_proxy() as here:
        here.proxy.go_silent()
        asking = asyncio.ensure_future(here.ask(b"into the void"))
        await until(lambda: here.relay.statistics().streams_open == 1)
        here.laptop.slept = 3600.0
        await until(lambda: len(here.watcher.ups) == 2)
        response = await soon(asking)
        again = await here.ask(b"back")

    assert response.status == 502
    assert again.body == b"back"


@on_a_loop
async def test_a_connection_that_works_is_kept(quick):
    """A nap too short for any timeout: exchanges that are open go on."""
    async with laptop_behind_a_proxy() as here:
        here.laptop.slept = 3600.0
        await until(lambda: here.agent.statistics().latency_seconds is not None)
        before = here.agent.statistics().latency_seconds
        here.laptop.address = "192.168.1.4"
        await until(lambda: here.agent.statistics().latency_seconds != before)
        response = await here.ask(b"still here")

    assert response.body == b"still here"
    assert here.watcher.downs == []
    assert here.proxy.connections == 1


@on_a_loop
async def test_a_network_that_comes_back_ends_the_wait(quick):
    """The wait may have grown to a quarter of a minute by then."""

    class Long:
        def next_seconds(self) -> float:
            return 3600.0

        def reset(self) -> None: ...

    async with laptop_behind_a_proxy() as here:
        here.agent._backoff = Long()
        here.laptop.address = None
        await until(lambda: here.agent.statistics().latency_seconds is not None)
        here.agent._session.carrier.drop("the network is gone")
        await until(lambda: here.watcher.waits == [3600.0])
        here.laptop.address = "192.168.1.4"
        await until(lambda: len(here.watcher.ups) == 2)


@on_a_loop
async def test_a_dial_into_the_old_network_is_given_up(quick):
    """Its packets go from an address that is no longer ours."""
    async with AsyncExitStack() as stack:
        asked, ended = asyncio.Event(), []

        async def mute(reader, writer):
            asked.set()
            await reader.read()
            writer.close()
            ended.append(writer)

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        stack.callback(server.close)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        laptop, watcher = Laptop(), Recorder()
        config = replace(agent_config(SimpleNamespace(url=url), 1), connect_seconds=3600.0)
        agent = Agent(config, clock=laptop, observer=watcher, route=laptop.route)
        running = asyncio.ensure_future(agent.run())
        await soon(asked.wait())
        asked.clear()
        laptop.address = "192.168.1.4"
        await soon(asked.wait())
        running.cancel()
        await asyncio.wait({running})
        await until(lambda: len(ended) == 2)

    assert watcher.downs == ["the network changed while connecting"]
    assert watcher.waits == [0.0]
