"""
A whole loop in one process: relay, agent and a small upstream, all on ports of their own.

Callers and upstreams here speak raw bytes, so that a test sees what is on the wire.
"""

import asyncio
import functools
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, fields, replace

from patience import PATIENCE, TEST_PATIENCE

from hookloop.tunnel.agent import (
    Agent,
    AgentConfig,
    QuietObserver,
    Tunnel,
    TunnelConfig,
    running_agent,
)
from hookloop.tunnel.agent.config import Upstream
from hookloop.tunnel.relay import Relay, RelayConfig, RelayLimits, running_relay

TOKEN = "hlt_only-for-these-tests"
DOMAIN = "tun.test"
NAME = "shop"
HOST = f"{NAME}.{DOMAIN}".encode()
TICK_SECONDS = 0.002  # between two looks at a condition

Fields = list[tuple[bytes, bytes]]


def on_a_loop(test, *, loop_factory=None):
    """Run a test on an event loop of its own; what any callback of it raises fails the test."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        failures = []

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: failures.append(context))
            async with asyncio.timeout(TEST_PATIENCE):
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())
        assert failures == [], failures

    return run


async def until(condition: Callable[[], object]) -> None:
    """Return once *condition* holds; fail when it takes too long."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while not condition():
            tick = asyncio.Event()
            loop.call_later(TICK_SECONDS, tick.set)
            await tick.wait()


async def settled(value) -> None:
    """Wait until *value* has not changed for a while."""
    clock = asyncio.get_running_loop().time
    last, since = value(), clock()

    def has_settled():
        nonlocal last, since
        if (now := value()) != last:
            last, since = now, clock()
        return clock() - since > 0.3

    await until(has_settled)


async def soon(awaitable):
    """Wait for what must come."""
    return await asyncio.wait_for(awaitable, PATIENCE)


# --- HTTP messages, read without help ----------------------------------------------------


@dataclass
class Message:
    """A request or a response as it was on the wire."""

    first_line: bytes
    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    is_whole: bool = True
    """Its body ended as its framing says."""

    @property
    def status(self) -> int:
        return int(self.first_line.split()[1])

    @property
    def method(self) -> bytes:
        return self.first_line.split()[0]

    @property
    def target(self) -> bytes:
        return self.first_line.split()[1]

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower()]


async def read_head(reader: asyncio.StreamReader) -> Message:
    """Raises `IncompleteReadError` if the connection ends first."""
    first_line, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    return Message(first_line, [_field(line) for line in lines])


async def read_body(
    reader: asyncio.StreamReader, message: Message, *, has_body: bool = True
) -> Message:
    """Read the rest of *message*; a connection that ends too early leaves it not whole."""
    if not has_body:
        return message
    lengths = message.values(b"content-length")
    try:
        if message.values(b"transfer-encoding") == [b"chunked"]:
            await _read_chunks(reader, message)
        elif lengths:
            message.body = await reader.readexactly(int(lengths[0]))
        elif message.first_line.startswith(b"HTTP/"):
            message.body = await reader.read()
    except asyncio.IncompleteReadError as error:
        message.body += error.partial
        message.is_whole = False
    except ConnectionResetError:
        message.is_whole = False
    return message


async def _read_chunks(reader: asyncio.StreamReader, message: Message) -> None:
    while size := int((await reader.readuntil(b"\r\n")), 16):
        message.body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        message.trailers.append(_field(line[:-2]))


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b": ")
    return name, value


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """Return a chunked body."""
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return b"".join(chunks) + b"0\r\n" + trailers + b"\r\n"


# --- the upstream ------------------------------------------------------------------------


class Served:
    """One request at the upstream, and the way to answer it."""

    def __init__(self, request: Message, reader, writer) -> None:
        self.request = request
        self.reader = reader
        self.writer = writer

    async def body(self) -> bytes:
        return (await read_body(self.reader, self.request)).body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"", *, head: bytes = b"HTTP/1.1 200 OK\r\n") -> None:
        await self.send(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))

    def reset(self) -> None:
        self.writer.transport.abort()


App = Callable[[Served], Awaitable[None]]


@asynccontextmanager
async def running_upstream(app: App, *, port: int = 0) -> AsyncIterator[int]:
    """
    Serve *app* one request after the other on each connection; yield the port.

    A *port* is one that was free a moment ago: for an app that comes back where it was.
    """
    failures: list[Exception] = []
    writers = set()

    async def serve(reader, writer):
        writers.add(writer)
        try:
            while True:
                await app(Served(await read_head(reader), reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:
            failures.append(error)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            writers.discard(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await server.wait_closed()  # from Python 3.12 on it waits for the connections too
        await until(lambda: not writers)
    assert failures == []


async def echo(served: Served) -> None:
    """Answer with the request's body."""
    await served.answer(await served.body())


# Below what Linux (32768), macOS and Windows (49152) hand out for port 0 and for calls: between
# this look and its use, a port of theirs may become anybody's, in this process or beside it.
_PORTS = range(20_000, 32_000)
_ports = random.Random()  # of the system's: Hypothesis seeds the module's own alike in each worker
_handed_out: set[int] = set()


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody is given by chance."""
    while True:
        port = _ports.choice(_PORTS)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


# --- the caller --------------------------------------------------------------------------


class Caller:
    """A connection to the relay's public port."""

    def __init__(self, reader, writer) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await soon(self.writer.drain())

    async def head(self) -> Message:
        return await soon(read_head(self.reader))

    async def response(self, *, method: bytes = b"GET") -> Message:
        """Read one final response to its end."""
        message = await self.head()
        while message.status < 200:
            message = await self.head()
        has_body = method != b"HEAD" and message.status not in {204, 304}
        return await soon(read_body(self.reader, message, has_body=has_body))

    async def ask(self, request: bytes) -> Message:
        await self.send(request)
        return await self.response(method=request.split()[0])

    async def rest(self) -> bytes:
        """Read what comes until the relay closes."""
        return await soon(self.reader.read())

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        self.writer.transport.abort()


def post(body: bytes, *, host: bytes = HOST, fields: bytes = b"", target: bytes = b"/") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n%b\r\n"
    return head % (target, host, len(body), fields) + body


def get(target: bytes = b"/", *, host: bytes = HOST, fields: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, host, fields)


# --- all together ------------------------------------------------------------------------


class Recorder(QuietObserver):
    """An observer and a sink that remember what they were told."""

    def __init__(self) -> None:
        self.ups: list[str] = []
        self.downs: list[str] = []
        self.waits: list[float] = []
        self.refusals: list[tuple[str, str, float | None]] = []
        self.removed: list[str] = []
        self.captures = []

    def tunnel_up(self, tunnel: Tunnel) -> None:
        self.ups.append(tunnel.url)

    def tunnel_refused(self, tunnel: Tunnel, retry_seconds: float | None) -> None:
        self.refusals.append((tunnel.label, tunnel.refusal.code, retry_seconds))

    def tunnel_removed(self, tunnel: Tunnel) -> None:
        self.removed.append(tunnel.label)

    def session_down(self, reason: str, retry_seconds: float) -> None:
        self.downs.append(reason)
        self.waits.append(retry_seconds)

    def captured(self, exchange) -> None:
        self.captures.append(exchange)


@dataclass
class Loop:
    """A relay, its agent, and the means to call."""

    relay: Relay
    agent: Agent
    agent_config: AgentConfig
    at_relay: Recorder
    at_agent: Recorder
    _stack: AsyncExitStack

    async def call(self, *, receive_buffer_bytes: int | None = None) -> Caller:
        """Open a caller's connection."""
        return await open_caller(self._stack, self.relay.port, receive_buffer_bytes)

    async def ask(self, request: bytes) -> Message:
        return await (await self.call()).ask(request)

    async def another_agent(self, name: str | None, app: App = echo, **settings) -> Agent:
        port = await self._stack.enter_async_context(running_upstream(app))
        upstream = Upstream("127.0.0.1", port)
        tunnel = TunnelConfig(upstream, name)
        config = replace(self.agent_config, tunnels=(tunnel,), **settings)
        return await self._stack.enter_async_context(running_agent(config))


async def open_caller(
    stack: AsyncExitStack, port: int, receive_buffer_bytes: int | None = None
) -> Caller:
    sock = socket.socket()
    if receive_buffer_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    caller = Caller(*await asyncio.open_connection(sock=sock))
    stack.push_async_callback(caller.close)
    return caller


LIMITS = {field.name for field in fields(RelayLimits)}


def relay_config(**settings) -> RelayConfig:
    """Make a relay's settings; those that are limits go where they belong."""
    limits = RelayLimits(**{key: settings.pop(key) for key in LIMITS & set(settings)})
    ours = {"domain": DOMAIN, "tokens": (TOKEN,), "drain_seconds": 2.0, "limits": limits}
    ours["return_seconds"] = 0.0  # these relays are never started again: 404 from the first moment
    ours["agent_wait_seconds"] = 0.0  # nor does anybody but who tests it want to wait for an agent
    return RelayConfig(**{**ours, **settings})


def agent_config(relay: Relay, upstream_port: int, **settings) -> AgentConfig:
    """Return an agent of one tunnel; *settings* are the agent's, or else the tunnel's."""
    own = {field.name for field in fields(AgentConfig)}
    for_agent = {key: value for key, value in settings.items() if key in own}
    for_tunnel = {key: value for key, value in settings.items() if key not in own}
    upstream = Upstream("127.0.0.1", upstream_port)
    tunnel = TunnelConfig(**{"upstream": upstream, "name": NAME, **for_tunnel})
    return AgentConfig(
        **{"relay_url": relay.url, "token": TOKEN, "tunnels": (tunnel,), **for_agent}
    )


@asynccontextmanager
async def loop_of(app: App = echo, *, relay=None, agent=None) -> AsyncIterator[Loop]:
    """Run the loop; when it has ended, nothing may be left of it."""
    at_relay, at_agent = Recorder(), Recorder()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(running_upstream(app))
        its_relay = await stack.enter_async_context(
            running_relay(relay_config(**(relay or {})), sink=at_relay)
        )
        config = agent_config(its_relay, port, **(agent or {}))
        its_agent = await soon(
            stack.enter_async_context(running_agent(config, sink=at_agent, observer=at_agent))
        )
        yield Loop(its_relay, its_agent, config, at_relay, at_agent, stack)
    await until(lambda: is_clean(its_relay))
    await until(lambda: its_agent.statistics().exchanges_open == 0)


def is_clean(relay: Relay) -> bool:
    counts = relay.statistics()
    return counts.sessions == counts.tunnels == counts.downstreams == counts.streams_open == 0
