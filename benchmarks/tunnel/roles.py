"""
The processes of a benchmark that are ours, each one `python -m tunnel.roles ROLE ...`.

    relay    callers come to a plain port, agents to a TLS port of the same relay
    agent    opens its session by TLS, verified, and forwards to an upstream
    app      the slow or large answers that nginx does not give: bulk down, bulk up
    splice   a TCP proxy that reads no HTTP: what any raw forwarder in Python must do

A role prints its ports when it is ready, and at SIGTERM the CPU seconds that it has used.
"""

import asyncio
import contextlib
import ssl
import sys
import time
from pathlib import Path

import uvloop

from hookloop.cli.long_running import settle_in
from hookloop.tunnel.agent import AgentConfig, running_agent
from hookloop.tunnel.agent.config import TunnelConfig, Upstream
from hookloop.tunnel.agent.trust import Trust
from hookloop.tunnel.relay import RelayConfig, running_relay

TOKEN = "hlt_only-for-this-benchmark"
DOMAIN = "tun.localhost"
NAME = "bench"
HOST = f"{NAME}.{DOMAIN}"
PIECE = bytes(64 * 1024)


class Counter:
    """A capture sink: what every finished exchange costs when somebody listens."""

    def __init__(self) -> None:
        self.exact = 0

    def captured(self, exchange) -> None:
        self.exact += exchange.is_exact is True


async def ready(*ports: int) -> None:
    """Say where we listen, and wait to be ended."""
    print(*ports, flush=True)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(15, ended.set)
    await ended.wait()
    print(time.process_time(), flush=True)


async def relay(cert: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    config = RelayConfig(DOMAIN, (TOKEN,), drain_seconds=0.1)
    loop = asyncio.get_running_loop()
    async with running_relay(config, sink=Counter()) as running:
        agents = await loop.create_server(running.new_downstream, "127.0.0.1", 0, ssl=context)
        await ready(running.port, agents.sockets[0].getsockname()[1])
        agents.close()


async def agent(relay_port: str, upstream_port: str, ca_file: str, names: str = NAME) -> None:
    tunnels = [
        TunnelConfig(Upstream("127.0.0.1", int(upstream_port)), name) for name in names.split(",")
    ]
    config = AgentConfig(
        relay_url=f"https://localhost:{relay_port}",
        token=TOKEN,
        tunnels=tuple(tunnels),
        trust=Trust(ca_file=Path(ca_file)),
    )
    async with running_agent(config, sink=Counter()):
        await ready(0)


async def idle_agents(relay_port: str, upstream_port: str, ca_file: str, count: str) -> None:
    """Hold *count* sessions, each with a tunnel, and do nothing."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(int(count)):
            tunnel = TunnelConfig(Upstream("127.0.0.1", int(upstream_port)), f"idle-{number}")
            config = AgentConfig(
                relay_url=f"https://localhost:{relay_port}",
                token=TOKEN,
                tunnels=(tunnel,),
                trust=Trust(ca_file=Path(ca_file)),
            )
            await stack.enter_async_context(running_agent(config))
        await ready(0)


async def app() -> None:
    """GET /BYTES answers so many; POST reads all that comes and says how much it was."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await answer(head, reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024 * 1024)
    await ready(server.sockets[0].getsockname()[1])


async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if head.startswith(b"GET"):
        left = int(head.split(b" ", 2)[1].strip(b"/") or 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
        while left:
            piece = PIECE[: min(left, len(PIECE))]
            writer.write(piece)
            left -= len(piece)
            await writer.drain()
        return
    lines = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:-1])
    left = length = int(lines[b"content-length"])
    while left:
        left -= len(await reader.read(min(left, 1024 * 1024)))
    body = b"%d" % length
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


class Splice(asyncio.Protocol):
    """Passes on what comes, in both directions."""

    def __init__(self, port: int | None = None) -> None:
        self.port, self.other, self.early = port, None, b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        if self.port is not None:
            self.connecting = asyncio.ensure_future(self.connect())

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        transport, back = await loop.create_connection(Splice, "127.0.0.1", self.port)
        back.other, self.other = self.transport, transport
        self.other.write(self.early)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early += data
        else:
            self.other.write(data)

    def connection_lost(self, _exc) -> None:
        if self.other is not None:
            self.other.close()


async def splice(port: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Splice(int(port)), "127.0.0.1", 0)
    await ready(server.sockets[0].getsockname()[1])


ROLES = {each.__name__: each for each in (relay, agent, idle_agents, app, splice)}

if __name__ == "__main__":
    settle_in()  # as the commands do
    uvloop.run(ROLES[sys.argv[1]](*sys.argv[2:]))
