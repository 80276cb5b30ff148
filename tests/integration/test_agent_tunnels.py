"""Several tunnels over one session: each leads to its own upstream."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tunnel_loop import (
    DOMAIN,
    TOKEN,
    Recorder,
    get,
    is_clean,
    on_a_loop,
    open_caller,
    relay_config,
    running_upstream,
    soon,
    until,
)

from hookloop.errors import ConfigError, RefusedError
from hookloop.tunnel.agent import AgentConfig, TunnelConfig, running_agent
from hookloop.tunnel.agent.config import Upstream
from hookloop.tunnel.relay import running_relay


class Place:
    """A relay, an agent with the tunnels asked for, and upstreams that answer their name."""

    def __init__(self, relay, agent, watcher, stack):
        self.relay = relay
        self.agent = agent
        self.watcher = watcher
        self.stack = stack

    async def ask(self, name: str, request: bytes | None = None):
        caller = await open_caller(self.stack, self.relay.port)
        return await caller.ask(request or get(host=f"{name}.{DOMAIN}".encode()))


async def upstream_named(stack: AsyncExitStack, name: str) -> Upstream:
    async def app(served):
        await served.answer(name.encode())

    return Upstream("127.0.0.1", await stack.enter_async_context(running_upstream(app)))


@asynccontextmanager
async def place(*names: str):
    """Yield a place with a tunnel for each name; when it has ended, nothing may be left."""
    watcher = Recorder()
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(running_relay(relay_config()))
        tunnels = [TunnelConfig(await upstream_named(stack, name), name) for name in names]
        config = AgentConfig(relay.url, TOKEN, tuple(tunnels))
        running = running_agent(config, sink=watcher, observer=watcher)
        agent = await soon(stack.enter_async_context(running))
        yield Place(relay, agent, watcher, stack)
    await until(lambda: is_clean(relay))
    assert agent.statistics().exchanges_open == 0


@on_a_loop
async def test_requests_are_led_by_their_tunnel_to_its_own_upstream():
    """Over one session, and each is counted where it belongs."""
    async with place("shop", "docs") as here:
        answers = [(await here.ask(name)).body for name in ("shop", "docs", "shop")]
        counts = {tunnel.label: tunnel.statistics().exchanges for tunnel in here.agent.tunnels}

        assert here.relay.statistics().sessions == 1
    assert answers == [b"shop", b"docs", b"shop"]
    assert counts == {"shop": 2, "docs": 1}
    assert [exchange.tunnel for exchange in here.watcher.captures] == ["shop", "docs", "shop"]
    assert here.watcher.ups == [tunnel.url for tunnel in here.agent.tunnels]


@on_a_loop
async def test_one_refused_tunnel_does_not_end_the_others():
    """It says why, and the rest is up."""
    async with place("shop", "www") as here:
        refused = here.agent.tunnels[1]
        answer = await here.ask("shop")

        with pytest.raises(RefusedError, match="cannot be a tunnel's name"):
            await soon(refused.wait_up())
    assert answer.body == b"shop"
    assert here.watcher.refusals == [("www", "bad_name", None)]


@on_a_loop
async def test_an_agent_whose_tunnels_are_all_refused_ends():
    """There is nothing to wait for."""
    with pytest.raises(RefusedError, match="'www'"):
        async with place("www", "-"):
            pass


@on_a_loop
async def test_a_tunnel_is_added_and_removed_while_others_run():
    """Its name is free again at once, and its label too."""
    async with place("shop") as here:
        more = TunnelConfig(await upstream_named(here.stack, "more"), "more")
        added = here.agent.add_tunnel(more)
        url = await soon(added.wait_up())
        answer = await here.ask("more")
        here.agent.remove_tunnel("more")
        await until(lambda: here.relay.statistics().tunnels == 1)
        gone = await here.ask("more")
        again = here.agent.add_tunnel(more)

        assert await soon(again.wait_up()) == url
        assert (await here.ask("shop")).body == b"shop"
    assert answer.body == b"more"
    assert gone.status == 404
    assert here.watcher.removed == ["more"]


@on_a_loop
async def test_a_tunnel_that_is_removed_before_it_is_up_is_given_back():
    """The relay's answer crosses the wish to be rid of it."""
    async with place("shop") as here:
        upstream = await upstream_named(here.stack, "brief")
        brief = here.agent.add_tunnel(TunnelConfig(upstream, "brief"))
        await asyncio.sleep(0)  # the BIND is on its way
        here.agent.remove_tunnel("brief")
        after = here.agent.add_tunnel(TunnelConfig(upstream, "after"))
        await soon(after.wait_up())
        await until(lambda: here.relay.statistics().tunnels == 2)
        with pytest.raises(RefusedError, match="given up"):
            await brief.wait_up()


@on_a_loop
async def test_an_added_tunnel_is_refused_alone():
    """And an agent that began without tunnels goes on without."""
    async with place() as here:
        with pytest.raises(RefusedError) as refused:
            await soon(
                here.agent.add_tunnel(TunnelConfig(Upstream("localhost", 1), "www")).wait_up()
            )
        shop = TunnelConfig(await upstream_named(here.stack, "shop"), "shop")
        await soon(here.agent.add_tunnel(shop).wait_up())

        assert (await here.ask("shop")).body == b"shop"
    assert refused.value.code == "bad_name"


@on_a_loop
async def test_exchanges_of_a_removed_tunnel_run_to_their_end():
    """Removing is no reason to cut an answer short."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def app(served):
        begun.set()
        await gate.wait()
        await served.answer(b"whole")

    async with place("shop") as here:
        upstream = Upstream(
            "127.0.0.1", await here.stack.enter_async_context(running_upstream(app))
        )
        slow = here.agent.add_tunnel(TunnelConfig(upstream, "slow"))
        await soon(slow.wait_up())
        asking = asyncio.ensure_future(here.ask("slow"))
        await soon(begun.wait())
        here.agent.remove_tunnel("slow")
        await until(lambda: here.relay.statistics().tunnels == 1)
        gate.set()
        answer = await soon(asking)

    assert answer.body == b"whole"
    assert slow.statistics().exchanges == 1


@on_a_loop
async def test_labels_are_the_agents_own():
    """One is taken once, and none is removed that is not there."""
    async with place("shop") as here:
        with pytest.raises(ConfigError, match="'shop' already"):
            here.agent.add_tunnel(TunnelConfig(Upstream("localhost", 1), "other", "shop"))
        with pytest.raises(ConfigError, match="has the name 'shop'"):
            here.agent.add_tunnel(TunnelConfig(Upstream("localhost", 1), "shop", "other"))
        with pytest.raises(ConfigError, match="no tunnel 'other'"):
            here.agent.remove_tunnel("other")


@on_a_loop
async def test_all_tunnels_come_back_together():
    """Also one that was added later; a refused one is not asked for again."""
    async with place("shop", "www") as here:
        added = here.agent.add_tunnel(
            TunnelConfig(await upstream_named(here.stack, "more"), "more")
        )
        await soon(added.wait_up())
        here.agent._session.carrier.drop("a change of networks")
        await until(lambda: len(here.watcher.ups) == 4)

        assert (await here.ask("more")).body == b"more"
        assert (await here.ask("shop")).body == b"shop"
    assert len(here.watcher.refusals) == 1


@on_a_loop
async def test_a_tunnel_that_was_up_is_asked_for_again(monkeypatch):
    """A name that someone else has for a while is no reason to give up, or to drop the others."""
    monkeypatch.setattr("hookloop.tunnel.agent.tunnels.LONGEST_SECONDS", 0.05)
    async with place("shop", "docs") as here:
        [link] = here.relay._links
        here.relay._landlord.unbind(link, "docs")
        thief = AgentConfig(
            here.relay.url, TOKEN, (TunnelConfig(Upstream("localhost", 1), "docs"),)
        )
        async with running_agent(thief):
            here.agent._session.carrier.drop("a change of networks")
            await until(lambda: here.watcher.refusals)
            assert (await here.ask("shop")).body == b"shop"
        await until(lambda: here.agent.tunnels[1].is_up)

        assert (await here.ask("docs")).body == b"docs"
    assert here.watcher.refusals[0] == ("docs", "name_taken", 0.05)
