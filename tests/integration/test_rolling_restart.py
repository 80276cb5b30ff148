"""A relay is replaced by the next while callers call: none of them sees more than a pause."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from tunnel_loop import (
    agent_config,
    get,
    loop_of,
    on_a_loop,
    open_caller,
    post,
    relay_config,
    running_upstream,
    soon,
    until,
)

from hookloop.tunnel.agent import running_agent
from hookloop.tunnel.raw_pipe import reset_on_close
from hookloop.tunnel.relay import running_relay

CALLERS = 8


class Switch:
    """What stands before relays: each new connection goes where `port` says now."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.own_port = 0
        self._writers = set()

    async def serve(self, reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers |= {writer, there_writer}
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        for each in (writer, there_writer):
            each.close()
            self._writers.discard(each)
            with suppress(ConnectionError):
                await each.wait_closed()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def _copy(reader, writer):
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


@asynccontextmanager
async def switch_to(port):
    switch = Switch(port)
    server = await asyncio.start_server(switch.serve, "127.0.0.1", 0, backlog=1024)
    switch.own_port = server.sockets[0].getsockname()[1]
    try:
        yield switch
    finally:
        server.close()
        switch.cut()
        await server.wait_closed()


@on_a_loop
async def test_a_relay_is_replaced_under_load_and_every_caller_gets_200():
    """Three times in a row, with an exchange that spans a change and ends on the old session."""
    held, statuses = asyncio.Event(), []

    async def app(served):
        body = await served.body()
        if body == b"slow":
            await held.wait()
        await served.answer(body)

    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(running_upstream(app))
        settings = {"unready_seconds": 0.1, "drain_seconds": 20.0, "agent_wait_seconds": 20.0}
        settings["return_seconds"] = 60.0
        relays = AsyncExitStack()
        config = relay_config(**settings)
        relay = await relays.enter_async_context(running_relay(config))
        switch = await stack.enter_async_context(switch_to(relay.port))
        agent_settings = agent_config(
            relay, upstream, relay_url=f"http://127.0.0.1:{switch.own_port}"
        )
        agent = await soon(stack.enter_async_context(running_agent(agent_settings)))
        slow = await open_caller(stack, switch.own_port)
        await slow.send(post(b"slow"))
        await until(lambda: agent.statistics().exchanges_open)
        is_over = False

        async def call(number):
            while not is_over:
                async with AsyncExitStack() as mine:
                    caller = await open_caller(mine, switch.own_port)
                    for each in range(3):
                        body = b"%d-%d" % (number, each)
                        answer = await caller.ask(post(body))
                        statuses.append(answer.status)
                        assert answer.body == body
                        if answer.values(b"connection") == [b"close"]:
                            break

        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(call(number))
            stops = []
            for _ in range(3):
                seen = len(statuses)
                await until(lambda seen=seen: len(statuses) > seen + 50)
                following = AsyncExitStack()
                relay = await following.enter_async_context(running_relay(config))
                switch.port = relay.port
                stops.append(group.create_task(relays.aclose()))
                relays = following
                sessions = agent.statistics().sessions
                await until(lambda sessions=sessions: agent.statistics().sessions > sessions)
            seen = len(statuses)
            await until(lambda: len(statuses) > seen + 50)
            assert not stops[0].done(), "the first relay still has the slow exchange"
            held.set()
            assert (await slow.response()).body == b"slow"
            is_over = True
        assert set(statuses) == {200}
        assert agent.statistics().sessions == 4
        await soon(relays.aclose())


@on_a_loop
async def test_a_request_that_comes_while_its_agent_is_away_waits_for_it():
    """Its body too, and it is answered by the agent's next session."""
    async with loop_of(relay={"agent_wait_seconds": 20.0}) as loop:
        caller = await loop.call()
        large = bytes(300_000)
        loop.agent._session.carrier.drop("a change of networks")
        await until(lambda: not loop.relay.statistics().tunnels)
        asked = asyncio.ensure_future(caller.ask(post(large)))
        await until(lambda: len(loop.relay._waiting) or asked.done())

        answer = await soon(asked)

        assert (answer.status, answer.body) == (200, large)
        assert len(loop.relay._waiting) == 0


@on_a_loop
async def test_a_request_that_has_waited_long_enough_is_told_to_come_back():
    async with loop_of(relay={"agent_wait_seconds": 0.05}) as loop:
        loop.agent._backoff = _Never()
        loop.agent._session.carrier.drop("the laptop sleeps")
        await until(lambda: not loop.relay.statistics().tunnels)

        answer = await loop.ask(get())

        assert (answer.status, answer.values(b"hookloop-error")) == (503, [b"agent_offline"])
        assert answer.values(b"retry-after") == [b"5"]


@on_a_loop
async def test_a_caller_that_gives_up_waiting_leaves_nothing_behind():
    async with loop_of(relay={"agent_wait_seconds": 20.0}) as loop:
        loop.agent._backoff = _Never()
        loop.agent._session.carrier.drop("the laptop sleeps")
        await until(lambda: not loop.relay.statistics().tunnels)
        caller = await loop.call()
        await caller.send(get())
        await until(lambda: len(loop.relay._waiting) == 1)

        reset_on_close(caller.writer.get_extra_info("socket"))
        caller.reset()

        await until(lambda: len(loop.relay._waiting) == 0)


@on_a_loop
async def test_the_first_latency_is_there_as_soon_as_the_tunnel_is():
    async with loop_of() as loop:
        assert 0 < loop.agent.statistics().latency_seconds < 10


class _Never:
    """A backoff for an agent that stays away."""

    def next_seconds(self) -> float:
        return 3600.0

    def reset(self) -> None: ...
