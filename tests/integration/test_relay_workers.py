"""A relay of several processes: whichever worker a caller reaches, it finds its tunnel."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from made_certificates import Authority
from tunnel_loop import (
    DOMAIN,
    TOKEN,
    Caller,
    Recorder,
    agent_config,
    echo,
    get,
    on_a_loop,
    open_caller,
    post,
    relay_config,
    running_upstream,
    soon,
    until,
)

from hookloop.errors import ConfigError, RefusedError
from hookloop.tunnel.agent import running_agent
from hookloop.tunnel.relay.supervisor import running_supervisor
from hookloop.tunnel.relay.tls_settings import TlsSettings

COMMAND = (sys.executable, "-m", "hookloop.cli.relay_worker")
OTHER_TOKEN = "hlt_another-one-for-these-tests"


class Workers:
    """A running supervisor, its agent, and the means to call."""

    def __init__(self, supervisor, stack) -> None:
        self.supervisor = supervisor
        self.stack = stack

    @property
    def port(self) -> int:
        return self.supervisor.config.port

    async def call(self):
        return await open_caller(self.stack, self.port)

    async def ask(self, request):
        """Ask on a fresh connection, which the kernel gives to any worker."""
        caller = await self.call()
        try:
            return await caller.ask(request)
        finally:
            await caller.close()

    async def agent(self, app=echo, *, observer=None, **settings):
        port = await self.stack.enter_async_context(running_upstream(app))
        config = agent_config(self.supervisor, port, **settings)
        return await soon(self.stack.enter_async_context(running_agent(config, observer=observer)))

    def served(self) -> list[int]:
        """Return how many exchanges each worker has reported."""
        workers = self.supervisor._workers.values()
        return [sum(w.report["counts"]["statuses"].values()) if w.report else 0 for w in workers]


@asynccontextmanager
async def workers_of(count=2, **settings):
    config = relay_config(workers=count, tokens=(TOKEN, OTHER_TOKEN), **settings)
    async with running_supervisor(config, COMMAND) as supervisor, AsyncExitStack() as stack:
        yield Workers(supervisor, stack)


@on_a_loop
async def test_callers_of_any_worker_reach_the_agent_of_one():
    """Fifty fresh connections, all answered, and both workers have served some of them."""
    async with workers_of() as workers:
        await workers.agent()
        answers = [await workers.ask(post(b"%d" % number)) for number in range(50)]
        await until(lambda: sum(workers.served()) == 50)
        served = workers.served()

    assert [answer.body for answer in answers] == [b"%d" % number for number in range(50)]
    assert {answer.status for answer in answers} == {200}
    assert all(served)


@on_a_loop
async def test_large_bodies_pass_between_workers_bit_for_bit():
    """Both ways at once, by credit, with trailers; from every worker."""
    body = bytes(range(256)) * 4 * 1024 * 3
    async with workers_of() as workers:
        await workers.agent()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(workers.ask(post(body))) for _ in range(8)]
        await until(lambda: all(workers.served()))

    assert {task.result().body == body for task in asked} == {True}


@on_a_loop
async def test_an_upgraded_connection_passes_between_workers():
    """Raw bytes, both ways, each side ending in its time."""

    async def app(served):
        await served.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        while data := await served.reader.read(1000):
            await served.send(data)
        served.writer.write_eof()
        await served.reader.read()

    async with workers_of() as workers:
        await workers.agent(app)
        rests = []
        for _ in range(8):
            caller = await workers.call()
            await caller.send(get(fields=b"Connection: upgrade\r\nUpgrade: echo\r\n"))
            assert (await caller.head()).status == 101
            await caller.send(b"one ")
            assert await soon(caller.reader.readexactly(4)) == b"one "
            await caller.send(b"two")
            caller.writer.write_eof()
            rests.append(await caller.rest())
        await until(lambda: all(workers.served()))

    assert rests == [b"two"] * 8


@on_a_loop
async def test_an_answer_that_is_cut_is_seen_to_be_cut_through_a_worker():
    """And a refused upstream is the 502 it is anywhere."""

    async def app(served):
        await served.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        served.reset()

    async with workers_of() as workers:
        await workers.agent(app)
        config = agent_config(workers.supervisor, 1, name="down")
        await workers.stack.enter_async_context(running_agent(config))
        cut = [await workers.ask(get()) for _ in range(8)]
        down = [await workers.ask(get(host=f"down.{DOMAIN}".encode())) for _ in range(8)]

    assert {answer.is_whole for answer in cut} == {False}
    assert {answer.status for answer in down} == {502}


@on_a_loop
async def test_a_name_is_one_agents_whichever_worker_it_reached():
    """Its own token's next agent is refused while it lives, and has the name once it is lost."""
    async with workers_of() as workers:
        await workers.agent()
        for token in (TOKEN, OTHER_TOKEN) * 2:
            with pytest.raises(RefusedError) as refused:
                await workers.agent(token=token)
            assert refused.value.code == "name_taken"
        await workers.agent(name="*.wild", token=OTHER_TOKEN)
        hosts = [f"x{number}.wild.{DOMAIN}".encode() for number in range(8)]
        answers = [await workers.ask(post(b"w", host=host)) for host in hosts]

    assert {answer.body for answer in answers} == {b"w"}


@on_a_loop
async def test_every_worker_knows_that_an_agent_was_lost():
    """503 while its name is held, 404 once it is given back."""
    async with workers_of() as workers:
        agent = await workers.agent()
        agent._backoff = _Never()
        agent._session.carrier.drop("the laptop sleeps")
        statuses = {200}
        while statuses != {503}:
            statuses = {(await workers.ask(get())).status for _ in range(8)}
        with pytest.raises(RefusedError):
            await workers.agent(token=OTHER_TOKEN)
        async with running_agent(agent_config(workers.supervisor, 1)):
            assert {(await workers.ask(get())).status for _ in range(8)} == {502}
        while statuses != {404}:
            statuses = {(await workers.ask(get())).status for _ in range(8)}


class _Never:
    def next_seconds(self) -> float:
        return 3600.0

    def reset(self) -> None: ...


@on_a_loop
async def test_killing_a_worker_under_load_costs_no_caller_more_than_a_cut():
    """Each has one answer or sees its connection end; the agent is back within seconds."""
    watcher = Recorder()
    outcomes = []
    is_over = False

    async def call_on_and_on(workers):
        while not is_over:
            try:
                answer = await workers.ask(post(b"0123456789"))
                outcomes.append(answer.status if answer.is_whole else "cut")
                if answer.status == 200 and answer.is_whole:
                    assert answer.body == b"0123456789"
            except (asyncio.IncompleteReadError, ConnectionError):
                outcomes.append("cut")

    async with workers_of() as workers, asyncio.TaskGroup() as group:
        await workers.agent(observer=watcher)
        for _ in range(8):
            group.create_task(call_on_and_on(workers))
        await until(lambda: len(outcomes) > 50)
        for process in workers.supervisor.processes:
            await _kill(workers, process, outcomes)
        await until(lambda: len(watcher.ups) > len(watcher.downs))
        is_over = True

    assert len(watcher.ups) >= 2  # the agent was on one of them
    assert set(outcomes) <= {200, 502, 503, "cut"}  # a refusal is quick: there may be many


async def _kill(workers, process, outcomes) -> None:
    """Kill a worker, and wait until it is replaced and callers are answered again."""
    before = len(outcomes)
    os.kill(process, signal.SIGKILL)
    await until(lambda: process not in workers.supervisor.processes)
    await until(workers.supervisor._has_started)
    await until(lambda: outcomes[before:].count(200) > 50)


@on_a_loop
async def test_a_relay_of_workers_that_stops_lets_exchanges_end():
    """Also those whose caller is at one worker and whose agent at another."""
    gate, begun = asyncio.Event(), []

    async def app(served):
        begun.append(served)
        await gate.wait()
        await served.answer(b"to the end")

    async with workers_of() as workers:
        await workers.agent(app)
        callers = [await workers.call() for _ in range(8)]
        for caller in callers:
            await caller.send(get())
        await until(lambda: len(begun) == 8)
        stopping = asyncio.ensure_future(workers.supervisor.stop())
        await until(workers.supervisor.why_not_ready)
        gate.set()
        answers = [await caller.response() for caller in callers]
        await soon(stopping)

        assert workers.supervisor.processes == []
    assert {answer.body for answer in answers} == {b"to the end"}


@on_a_loop
async def test_workers_share_a_tls_port_too(tmp_path):
    """Each with the same certificate."""
    authority = Authority(tmp_path)
    tls = TlsSettings(files=(authority.issue("relay", f"*.{DOMAIN}"),))
    async with workers_of(tls=tls) as workers:
        for _ in range(8):
            reader, writer = await asyncio.open_connection(
                *("127.0.0.1", workers.port),
                ssl=authority.client_context(),
                server_hostname=f"shop.{DOMAIN}",
            )
            caller = Caller(reader, writer)
            assert (await caller.ask(get())).status == 404
            await caller.close()
        await until(lambda: all(workers.served()))


@on_a_loop
async def test_the_metrics_of_workers_are_one():
    """Readiness too; those of a worker that has ended are not lost."""
    async with workers_of(admin_port=0) as workers:
        await workers.agent()
        for _ in range(20):
            await workers.ask(post(b"hi"))
        await until(lambda: sum(workers.served()) == 20)
        os.kill(workers.supervisor.processes[0], signal.SIGKILL)
        await until(lambda: workers.supervisor._past.connections)
        port = int(workers.supervisor.admin_url.rpartition(":")[2])
        admin = await open_caller(workers.stack, port)
        metrics = await admin.ask(get(b"/metrics", host=b"localhost"))
        ready = await admin.ask(get(b"/_hookloop/ready", host=b"localhost"))

    assert b'hookloop_relay_requests_total{status="2xx"} 20.0' in metrics.body
    assert ready.status == 200


@on_a_loop
async def test_workers_that_cannot_start_are_one_sentence():
    """As of a relay of one process."""
    async with workers_of(1) as workers:
        with pytest.raises(ConfigError, match="cannot listen"):
            async with workers_of(2, host="192.0.2.1"):
                pass
        with pytest.raises(ConfigError, match="cannot listen"):
            async with workers_of(2, admin_port=workers.port):
                pass


@on_a_loop
async def test_workers_whose_supervisor_was_killed_end_by_themselves():
    """Nobody would give them names, or start them again."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hookloop", "relay", "--workers", "2", "--port", "0"),
        *("--token", TOKEN, "--log-format", "logfmt"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    ready = 0
    while ready < 2:
        ready += b"worker ready" in await soon(process.stderr.readline())
    process.kill()
    await process.wait()

    await soon(process.stderr.read())  # which ends once the last of them has gone
