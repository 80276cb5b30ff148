"""TCP tunnels and TLS that is passed through: real sockets at both ends, by both event loops."""

import asyncio
import logging
import resource
import socket
import ssl
import struct
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import uvloop
from made_certificates import Authority
from patience import PATIENCE
from tunnel_loop import TOKEN, free_port, get, is_clean, on_a_loop, relay_config, soon, until

from hookloop.errors import RefusedError
from hookloop.tunnel.agent import Agent, AgentConfig, running_agent
from hookloop.tunnel.agent.config import TunnelConfig, Upstream
from hookloop.tunnel.agent.trust import Trust
from hookloop.tunnel.relay import Relay, running_relay
from hookloop.tunnel.relay.limits import RelayLimits
from hookloop.tunnel.relay.raw_settings import RawSettings
from hookloop.tunnel.relay.tls_settings import TlsSettings

DOMAIN = "tun.localhost"
SHOP = f"shop.{DOMAIN}"
BOTH_LOOPS = pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop])
MEGABYTE = 1024 * 1024


async def echo_bytes(reader, writer):
    """Send back what comes, and end when it ends."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


@asynccontextmanager
async def running_server(serve, **settings):
    """Serve connections by *serve*; yield the port. Each is closed once *serve* returns."""
    writers = set()

    async def accept(reader, writer):
        writers.add(writer)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            writers.discard(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, **settings)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await until(lambda: not writers)


@dataclass
class RawLoop:
    relay: Relay
    agent: Agent
    ended: list = field(default_factory=list)

    @property
    def port(self) -> int:
        """The public port of a TCP tunnel."""
        return int(self.agent.url.rpartition(":")[2])


@asynccontextmanager
async def raw_loop(upstream_port, *, relay=None, raw=None, trust=None, **tunnel):
    ended = []
    ports = f"{free_port()}"
    settings = RawSettings(**{"tcp_ports": ports, **(raw or {})})
    config = relay_config(domain=DOMAIN, raw=settings, **(relay or {}))
    async with running_relay(config) as its_relay:
        upstream = Upstream("127.0.0.1", upstream_port, "tcp")
        one = TunnelConfig(upstream, **{"protocol": "tcp", **tunnel})
        agent_config = AgentConfig(its_relay.url, TOKEN, (one,), trust=trust or Trust())
        async with running_agent(agent_config, connection_ended=ended.append) as agent:
            yield RawLoop(its_relay, agent, ended)
    await until(lambda: is_clean(its_relay))
    assert agent.statistics().exchanges_open == 0


async def call(port, stack=None, **settings):
    reader, writer = await soon(asyncio.open_connection("127.0.0.1", port, **settings))
    if stack is not None:
        stack.callback(writer.close)
    return reader, writer


async def is_reset(reader) -> bool:
    try:
        return await soon(reader.read()) is None
    except ConnectionResetError:
        return True


def reset(writer):
    """End a connection as a program does that is killed."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def memory_bytes() -> int:
    """Return what this process has in memory now, on Linux; elsewhere the most it ever had."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# --- bytes --------------------------------------------------------------------------------


@BOTH_LOOPS
def test_bytes_pass_both_ways(loop_factory):
    """As they are, whatever they mean; and the URL says where."""

    async def main():
        async with (
            running_server(echo_bytes) as upstream,
            raw_loop(upstream) as loop,
            AsyncExitStack() as stack,
        ):
            reader, writer = await call(loop.port, stack)
            for message in (b"\0\xff not HTTP\r\n\r\n", bytes(range(256)) * 1000):
                writer.write(message)
                assert await soon(reader.readexactly(len(message))) == message

            assert loop.agent.url == f"tcp://{DOMAIN}:{loop.port}"
            assert loop.relay.statistics().streams_open == 1

    on_a_loop(main, loop_factory=loop_factory)()


@BOTH_LOOPS
def test_either_side_may_end_its_half_first(loop_factory):
    """The caller says that it is done, and is answered after it; and the other way round."""

    async def answer_at_the_end(reader, writer):
        received = await reader.read()
        writer.write(b"received %d" % len(received))
        await writer.drain()

    async def talk_first(reader, writer):
        writer.write(b"that is all")
        writer.write_eof()
        assert await reader.read() == b"thank you"

    async def main():
        async with running_server(answer_at_the_end) as port, raw_loop(port) as loop:
            reader, writer = await call(loop.port)
            writer.write(b"x" * 300_000)
            writer.write_eof()
            assert await soon(reader.read()) == b"received 300000"
            writer.close()
            await until(lambda: loop.ended)
            assert loop.ended[0].failure is None
        async with running_server(talk_first) as port, raw_loop(port) as loop:
            reader, writer = await call(loop.port)
            assert await soon(reader.read()) == b"that is all"
            writer.write(b"thank you")
            writer.close()
            await until(lambda: loop.ended)
            assert (loop.ended[0].bytes_in, loop.ended[0].bytes_out) == (9, 11)
            assert loop.ended[0].failure is None

    on_a_loop(main, loop_factory=loop_factory)()


@BOTH_LOOPS
def test_a_hundred_megabytes_pass_in_bounded_memory(loop_factory):
    """Each way, with a sender that never waits for the reader."""
    piece = bytes(range(256)) * 1024

    async def count(reader, writer):
        received = 0
        while data := await reader.read(MEGABYTE):
            received += len(data)
        writer.write(b"%d " % received)
        for _ in range(100 * MEGABYTE // len(piece)):
            writer.write(piece)
            await writer.drain()

    async def main():
        async with running_server(count) as port, raw_loop(port) as loop:
            reader, writer = await call(loop.port)
            before = most = memory_bytes()
            for _ in range(100 * MEGABYTE // len(piece)):
                writer.write(piece)
                await writer.drain()
                most = max(most, memory_bytes())
            writer.write_eof()
            assert await soon(reader.readuntil(b" ")) == b"%d " % (100 * MEGABYTE)
            received = 0
            while data := await soon(reader.read(MEGABYTE)):
                received += len(data)
                most = max(most, memory_bytes())
            writer.close()

            assert received == 100 * MEGABYTE
            assert most - before < 48 * MEGABYTE

    on_a_loop(main, loop_factory=loop_factory)()


@BOTH_LOOPS
def test_a_slow_reader_slows_its_own_source_only(loop_factory):
    """What it does not read stays with the upstream, and others go on."""
    written = 0

    async def pour(reader, writer):
        nonlocal written
        if (await reader.readexactly(1)) == b"e":
            await echo_bytes(reader, writer)
            return
        while True:
            writer.write(bytes(65536))
            await writer.drain()
            written += 65536

    async def main():
        async with running_server(pour) as port, raw_loop(port) as loop, AsyncExitStack() as stack:
            _slow, slow_writer = await call(loop.port, stack, limit=1024)
            slow_writer.write(b"p")
            await until(lambda: written)
            last = -1
            while written != last:
                last = written
                reader, writer = await call(loop.port, stack)
                writer.write(b"e" + b"x" * 50_000)
                assert await soon(reader.readexactly(50_000)) == b"x" * 50_000
                reset(writer)

            # Two socket buffers on each hop, and the stream's credit between them.
            assert written < 24 * MEGABYTE

    on_a_loop(main, loop_factory=loop_factory)()


# --- ends before their time ---------------------------------------------------------------


@BOTH_LOOPS
def test_a_refused_caller_sees_a_reset(loop_factory):
    """Never a hang, and no clean end either."""

    async def main():
        async with raw_loop(free_port()) as loop:
            reader, writer = await call(loop.port)
            assert await is_reset(reader)
            writer.close()
            await until(lambda: loop.ended)
            assert "cannot connect to tcp://127.0.0.1" in loop.ended[0].failure

    on_a_loop(main, loop_factory=loop_factory)()


@BOTH_LOOPS
@pytest.mark.parametrize("who", ["caller", "upstream"])
def test_a_reset_on_one_side_is_one_on_the_other(loop_factory, who):
    """What was cut looks cut."""
    seen = []

    async def serve(reader, writer):
        writer.write(b"hello")
        if who == "upstream":
            await reader.readexactly(1)
            reset(writer)
            return
        seen.append(await is_reset(reader))

    async def main():
        async with running_server(serve) as port, raw_loop(port) as loop:
            reader, writer = await call(loop.port)
            assert await soon(reader.readexactly(5)) == b"hello"
            if who == "upstream":
                writer.write(b"x")
                assert await is_reset(reader)
                writer.close()
            else:
                reset(writer)
                await until(lambda: seen)
                assert seen == [True]
            await until(lambda: loop.ended)
            assert loop.ended[0].failure

    on_a_loop(main, loop_factory=loop_factory)()


@on_a_loop
async def test_a_lost_agent_resets_its_callers_and_keeps_its_port():
    """It comes back to the same one; in between callers are reset at once."""
    async with (
        running_server(echo_bytes) as upstream,
        raw_loop(upstream) as loop,
        AsyncExitStack() as stack,
    ):
        url = loop.agent.url
        reader, writer = await call(loop.port, stack)
        writer.write(b"x")
        await soon(reader.readexactly(1))

        loop.agent._session.carrier.drop("cut by the test")

        assert await is_reset(reader)
        await until(lambda: loop.agent.statistics().sessions == 2 and loop.agent.tunnels[0].is_up)
        reader, writer = await call(loop.port, stack)
        writer.write(b"again")
        assert await soon(reader.readexactly(5)) == b"again"
        assert loop.agent.url == url


@on_a_loop
async def test_a_port_given_back_is_closed():
    """And free for the next agent."""
    async with running_server(echo_bytes) as upstream, raw_loop(upstream) as loop:
        port = loop.port
        loop.agent.remove_tunnel("tunnel")

        async def is_closed():
            try:
                _, writer = await call(port)
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:  # it was about to be closed
                return False
            writer.close()
            return False

        async with asyncio.timeout(PATIENCE):
            while not await is_closed():
                pass
        assert loop.relay.statistics().tunnels == 0


@on_a_loop
async def test_an_idle_connection_ends_where_a_limit_is_set():
    """Without one it may be silent for days."""
    async with (
        running_server(echo_bytes) as upstream,
        raw_loop(upstream, raw={"idle_seconds": 0.1}) as loop,
    ):
        reader, writer = await call(loop.port)
        assert await is_reset(reader)
        writer.close()


@on_a_loop
async def test_a_caller_that_takes_nothing_is_cut():
    """What it holds up is shared with the agent's other callers."""

    async def pour(_reader, writer):
        with suppress(ConnectionError):
            while True:
                writer.write(bytes(65536))
                await writer.drain()

    async with running_server(pour) as port, raw_loop(port, raw={"stall_seconds": 0.2}) as loop:
        _, writer = await call(loop.port, limit=1024)
        await until(lambda: loop.ended)
        assert "nothing was taken" in loop.ended[0].failure
        writer.close()


@on_a_loop
async def test_a_tunnel_has_so_many_connections():
    """One more is reset, and those that are open stay."""
    async with (
        running_server(echo_bytes) as upstream,
        raw_loop(upstream, raw={"connections_per_tunnel_max": 2}) as loop,
        AsyncExitStack() as stack,
    ):
        first = [await call(loop.port, stack) for _ in range(2)]
        await until(lambda: loop.relay.statistics().streams_open == 2)
        reader, _ = await call(loop.port, stack)
        assert await is_reset(reader)

        reader, writer = first[0]
        writer.write(b"still here")
        assert await soon(reader.readexactly(10)) == b"still here"


@on_a_loop
async def test_an_address_has_so_many_connections():
    """Over all tunnels, whatever they carry."""
    limits = RelayLimits(connections_per_address_max=2)
    async with (
        running_server(echo_bytes) as upstream,
        raw_loop(upstream, relay={"limits": limits}) as loop,
        AsyncExitStack() as stack,
    ):
        first = [await call(loop.port, stack) for _ in range(2)]
        for reader, writer in first:
            writer.write(b"x")
            assert await soon(reader.readexactly(1)) == b"x"
        other, _ = await call(loop.port, stack)
        assert await is_reset(other)

        reader, writer = first[0]
        writer.write_eof()
        assert await soon(reader.read()) == b""
        await until(lambda: loop.ended)
        reader, writer = await call(loop.port, stack)
        writer.write(b"y")
        assert await soon(reader.readexactly(1)) == b"y"


@on_a_loop
async def test_a_relay_that_stops_lets_connections_end():
    """For as long as it drains; then they are cut."""
    async with running_server(echo_bytes) as upstream, AsyncExitStack() as stack:
        async with raw_loop(upstream, relay={"drain_seconds": 0.2}) as loop:
            reader, writer = await call(loop.port, stack)
            writer.write(b"x")
            await soon(reader.readexactly(1))
        assert await is_reset(reader)


# --- ports --------------------------------------------------------------------------------


@on_a_loop
async def test_a_port_may_be_asked_for():
    """It is given if it is in the relay's range and free."""
    wanted = free_port()
    async with (
        running_server(echo_bytes) as upstream,
        raw_loop(upstream, raw={"tcp_ports": f"{wanted}-{wanted}"}, remote_port=wanted) as loop,
    ):
        assert loop.port == wanted
        other = AgentConfig(
            loop.relay.url, TOKEN, (TunnelConfig(Upstream("127.0.0.1", 1), protocol="tcp"),)
        )
        with pytest.raises(RefusedError, match="all ports of this relay are in use"):
            async with running_agent(other):
                pass


@pytest.mark.parametrize(
    ("raw", "tunnel", "said"),
    [
        ({"tcp_ports": ""}, {}, "gives no TCP ports"),
        ({"tcp_ports": "20000-20001"}, {"remote_port": 5432}, "gives the ports 20000 to 20001"),
        ({}, {"protocol": "tls", "name": "shop"}, "has no TLS port"),
    ],
)
def test_what_a_relay_does_not_give_it_refuses_in_words(raw, tunnel, said):
    """The agent ends with them."""

    async def main():
        with pytest.raises(RefusedError, match=said):
            async with raw_loop(1, raw=raw, **tunnel):
                pass

    on_a_loop(main)()


@on_a_loop
async def test_a_port_of_somebody_else_is_refused():
    """As a name is."""
    tokens = (TOKEN, "hlt_another-for-these-tests")
    async with (
        running_server(echo_bytes) as upstream,
        raw_loop(upstream, relay={"tokens": tokens}) as loop,
    ):
        tunnel = TunnelConfig(Upstream("127.0.0.1", 1), protocol="tcp", remote_port=loop.port)
        with pytest.raises(RefusedError, match=f"port {loop.port} is in use"):
            async with running_agent(AgentConfig(loop.relay.url, tokens[1], (tunnel,))):
                pass


# --- the caller's address -----------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_upstream_is_told_who_calls(version):
    """By a PROXY header before the first byte."""
    seen = []

    async def serve(reader, writer):
        if version == "v1":
            seen.append(await reader.readline())
        else:
            head = await reader.readexactly(16)
            seen.append(head + await reader.readexactly(int.from_bytes(head[14:])))
        writer.write(await reader.readexactly(5))

    async def main():
        async with (
            running_server(serve) as upstream,
            raw_loop(upstream, proxy_protocol=version) as loop,
            AsyncExitStack() as stack,
        ):
            reader, writer = await call(loop.port, stack)
            writer.write(b"hello")
            assert await soon(reader.readexactly(5)) == b"hello"
            caller_port = writer.get_extra_info("sockname")[1]
            if version == "v1":
                text = f"PROXY TCP4 127.0.0.1 0.0.0.0 {caller_port} {loop.port}\r\n"
                assert seen == [text.encode()]
            else:
                assert seen[0][:16] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
                assert seen[0][16:] == b"\x7f\0\0\x01\0\0\0\0" + struct.pack(
                    "!HH", caller_port, loop.port
                )

    on_a_loop(main)()


# --- TLS passed through -------------------------------------------------------------------


@BOTH_LOOPS
def test_tls_goes_through_to_who_has_the_key(tmp_path, loop_factory):
    """The caller verifies the service's own certificate; the relay's is for all other names."""
    theirs, ours = Authority(tmp_path / "theirs"), Authority(tmp_path / "ours")
    files = theirs.issue("service", SHOP)
    service = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    service.load_cert_chain(files.certificate, files.key)
    service.set_alpn_protocols(["h2"])
    relay_files = ours.issue("relay", DOMAIN, f"*.{DOMAIN}")

    async def main():
        tls = TlsSettings(files=(relay_files,))
        trust = Trust(ca_file=ours.ca_file)
        async with (
            running_server(echo_bytes_of_tls, ssl=service) as upstream,
            raw_loop(
                upstream, relay={"tls": tls}, trust=trust, protocol="tls", name="shop"
            ) as loop,
            AsyncExitStack() as stack,
        ):
            context = theirs.client_context()
            context.set_alpn_protocols(["h2"])
            reader, writer = await call(loop.relay.port, stack, ssl=context, server_hostname=SHOP)
            writer.write(b"secret" * 50_000)
            assert await soon(reader.readexactly(300_000)) == b"secret" * 50_000
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
            assert loop.agent.url == f"tls://{SHOP}:{loop.relay.port}"

            reader, writer = await call(
                loop.relay.port,
                stack,
                ssl=ours.client_context(),
                server_hostname=f"other.{DOMAIN}",
            )
            writer.write(get(host=SHOP.encode()))
            assert (await soon(reader.readline())).startswith(b"HTTP/1.1 421 ")

            writer.write(get(host=f"other.{DOMAIN}".encode()))
            assert b"unknown_tunnel" in await soon(reader.readuntil(b"unknown_tunnel"))

    on_a_loop(main, loop_factory=loop_factory)()


@on_a_loop
async def test_behind_a_balancer_the_caller_is_known_by_its_own_address(tmp_path):
    """A PROXY header comes in before the ClientHello, and another goes out to the upstream."""
    ours = Authority(tmp_path)
    relay = {
        "tls": TlsSettings(files=(ours.issue("relay", DOMAIN, f"*.{DOMAIN}"),)),
        "proxy_protocol": True,
        "trusted_proxies": (ip_network("127.0.0.0/8"),),
    }
    seen = []

    async def serve(reader, writer):
        seen.append(await reader.readline())
        seen.append(await reader.readexactly(3))
        writer.write(b"hello")

    config = relay_config(domain=DOMAIN, **relay)
    async with running_server(serve) as upstream, running_relay(config) as its_relay:
        tunnel = TunnelConfig(
            Upstream("127.0.0.1", upstream, "tcp"), "shop", protocol="tls", proxy_protocol="v1"
        )
        agent_config = AgentConfig(its_relay.url, TOKEN, (tunnel,), trust=Trust(is_skipped=True))
        async with balanced(its_relay) as url:
            agent_config = replace(agent_config, relay_url=url)
            async with running_agent(agent_config):
                reader, writer = await call(its_relay.port)
                writer.write(b"PROXY TCP4 203.0.113.9 198.51.100.1 51000 443\r\n")
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                hello = ours.client_context().wrap_bio(incoming, outgoing, server_hostname=SHOP)
                with pytest.raises(ssl.SSLWantReadError):
                    hello.do_handshake()
                writer.write(outgoing.read())
                assert await soon(reader.readexactly(5)) == b"hello"
                writer.close()

    assert seen[0].split()[:3] == [b"PROXY", b"TCP4", b"203.0.113.9"]
    assert seen[0].split()[4] == b"51000"
    assert seen[1][:1] == b"\x16"


@asynccontextmanager
async def balanced(relay):
    """Yield the address of a balancer before *relay*, which says whose each connection is."""

    async def serve(reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", relay.port)
        back.write(b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 443\r\n")

        async def copy(source, target):
            with suppress(ConnectionError):
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            target.close()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(copy(reader, back))
            tasks.create_task(copy(there, writer))

    async with running_server(serve) as port:
        yield f"https://{DOMAIN}:{port}"


async def echo_bytes_of_tls(reader, writer):
    """TLS has no half-close here."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@on_a_loop
async def test_a_name_that_is_passed_through_is_reset_while_its_agent_is_away(tmp_path):
    """The relay has no key to answer in its name."""
    ours = Authority(tmp_path)
    tls = TlsSettings(files=(ours.issue("relay", DOMAIN, f"*.{DOMAIN}"),))
    trust = Trust(ca_file=ours.ca_file)
    async with raw_loop(1, relay={"tls": tls}, trust=trust, protocol="tls", name="shop") as loop:
        caller = ours.client_context()
        with pytest.raises(ConnectionError):  # the upstream refuses
            await call(loop.relay.port, ssl=caller, server_hostname=SHOP)
        loop.agent._is_leaving = True
        loop.agent._session.carrier.drop("cut by the test")
        await until(lambda: loop.relay.statistics().sessions == 0)
        with pytest.raises(ConnectionError):  # the name is held
            await call(loop.relay.port, ssl=caller, server_hostname=SHOP)


# --- a log --------------------------------------------------------------------------------


def test_each_connection_is_in_the_log(caplog):
    """With what passed, and why it ended."""

    async def main():
        async with running_server(echo_bytes) as upstream, raw_loop(upstream) as loop:
            reader, writer = await call(loop.port)
            writer.write(b"12345")
            writer.write_eof()
            assert await soon(reader.read()) == b"12345"
            writer.close()
            await until(lambda: "connection ended" in caplog.text)

    with caplog.at_level(logging.INFO, "hookloop.relay"):
        on_a_loop(main)()
    (line,) = [r.message for r in caplog.records if "connection ended" in r.message]
    assert "tunnel=tcp:" in line
    assert "bytes_in=5 bytes_out=5" in line
