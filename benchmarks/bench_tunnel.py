"""
What the tunnel costs: requests/s and latency through relay and agent, beside two references.

Method: POSTs of 2 KB, answered with 2 bytes, over 1 and over 64 kept-alive connections, each
with one request under way. Three paths to the same upstream process:

    direct   caller -> upstream
    splice   caller -> a plain asyncio TCP proxy that reads no HTTP -> upstream
    tunnel   caller -> relay -> agent -> upstream

Caller, proxy, relay, agent and upstream are processes of their own, all on uvloop, all on
this machine, so that they compete for its cores: ratios mean more than numbers. Rounds are
interleaved (direct, splice, tunnel, direct, ...), so that a busy moment hits all three. Shown
are medians of the rounds: requests/s, p50 and p99 in milliseconds, and the tunnel's
requests/s over those of each reference. The last line is the CPU time that relay and agent
used for each request, start and all: the steadiest number on a machine with other work.

Run: python benchmarks/bench_tunnel.py [--seconds 2] [--rounds 3] [--profile relay|agent]
With the defaults it takes about 45 s. --profile prints where that process spends its time.
"""

import argparse
import asyncio
import contextlib
import cProfile
import os
import pstats
import signal
import statistics
import subprocess
import sys
import time

import uvloop

from hookloop.tunnel.agent import AgentConfig, TunnelConfig, running_agent
from hookloop.tunnel.agent.config import Upstream
from hookloop.tunnel.relay import RelayConfig, running_relay

TOKEN = "hlt_only-for-this-benchmark"
DOMAIN = "tun.test"
NAME = "bench"
BODY = b"x" * 2048
HEAD = (
    b"POST /hook HTTP/1.1\r\nHost: %b.%b\r\nContent-Type: application/json\r\nUser-Agent: bench\r\n"
)
REQUEST = HEAD % (NAME.encode(), DOMAIN.encode()) + b"Content-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
PATHS = ("direct", "splice", "tunnel")
CONNECTIONS = (1, 64)


# --- the processes --------------------------------------------------------------------------


class UpstreamProtocol(asyncio.Protocol):
    """Counts bytes rather than parsing: as cheap as an upstream can be."""

    def connection_made(self, transport):
        self.transport = transport
        self.pending = b""

    def data_received(self, data):
        self.pending += data
        while (end := self.pending.find(b"\r\n\r\n")) >= 0:
            size = end + 4 + len(BODY)
            if len(self.pending) < size:
                return
            self.pending = self.pending[size:]
            self.transport.write(ANSWER)


class Splice(asyncio.Protocol):
    """Passes on what comes; the other end is connected first."""

    def __init__(self, port=None):
        self.port = port
        self.other = None
        self.early = b""

    def connection_made(self, transport):
        self.transport = transport
        if self.port is not None:
            self.connecting = asyncio.ensure_future(self.connect())

    async def connect(self):
        loop = asyncio.get_running_loop()
        transport, back = await loop.create_connection(Splice, "127.0.0.1", self.port)
        back.other, self.other = self.transport, transport
        self.other.write(self.early)

    def data_received(self, data):
        if self.other is None:
            self.early += data
        else:
            self.other.write(data)

    def connection_lost(self, _exc):
        if self.other is not None:
            self.other.close()


async def upstream():
    server = await asyncio.get_running_loop().create_server(UpstreamProtocol, "127.0.0.1", 0)
    await ready(server.sockets[0].getsockname()[1])


async def splice(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Splice(int(port)), "127.0.0.1", 0)
    await ready(server.sockets[0].getsockname()[1])


async def relay():
    async with running_relay(RelayConfig(DOMAIN, (TOKEN,), drain_seconds=0.1)) as running:
        await ready(running.port)


async def agent(relay_port, upstream_port):
    config = AgentConfig(
        relay_url=f"http://127.0.0.1:{relay_port}",
        token=TOKEN,
        tunnels=(TunnelConfig(Upstream("127.0.0.1", int(upstream_port)), NAME),),
    )
    async with running_agent(config):
        await ready(0)


async def ready(port):
    print(port, flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    print(time.process_time(), flush=True)


ROLES = {"upstream": upstream, "splice": splice, "relay": relay, "agent": agent}


def serve(role, ports, *, is_profiled):
    profile = cProfile.Profile()
    if is_profiled:
        profile.enable()
    uvloop.run(ROLES[role](*ports))
    if is_profiled:
        profile.disable()
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(40)


@contextlib.contextmanager
def process(role, *ports, profiled=None, cpu_seconds=None):
    command = [sys.executable, __file__, "--role", role, *map(str, ports)]
    command += ["--profile", role] if profiled == role else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield int(running.stdout.readline())
        finally:
            running.terminate()
            used = running.stdout.readline()
            if cpu_seconds is not None:
                cpu_seconds[role] = float(used)


# --- the caller -----------------------------------------------------------------------------


class Caller(asyncio.Protocol):
    """One connection, one request at a time, until told to stop."""

    def __init__(self, latencies):
        self.latencies = latencies
        self.received = b""
        self.is_stopped = False

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        self.asked = time.perf_counter()
        self.transport.write(REQUEST)

    def data_received(self, data):
        self.received += data
        if not self.received.endswith(b"\r\n\r\nok"):
            return
        assert self.received.startswith(b"HTTP/1.1 200"), self.received
        self.latencies.append(time.perf_counter() - self.asked)
        self.received = b""
        if self.is_stopped:
            self.transport.close()
        else:
            self.ask()


async def measure(port, connections, seconds, requests):
    """Return requests/s, p50 and p99 in milliseconds; add to *requests* of *port*."""
    loop = asyncio.get_running_loop()
    latencies = []
    callers = [
        (await loop.create_connection(lambda: Caller(latencies), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds / 4)  # until connections and caches are warm
    warm_up = len(latencies)
    latencies.clear()
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - started
    count = len(latencies)
    for caller in callers:
        caller.is_stopped = True
    await asyncio.sleep(0.1)
    ordered = sorted(latencies[:count])
    requests[port] = requests.get(port, 0) + warm_up + len(latencies)
    return count / took, ordered[count // 2] * 1e3, ordered[count * 99 // 100] * 1e3


def main(arguments):
    profiled, cpu_seconds, requests = arguments.profile, {}, {}
    with contextlib.ExitStack() as stack:
        upstream_port = stack.enter_context(process("upstream"))
        splice_port = stack.enter_context(process("splice", upstream_port))
        relay_port = stack.enter_context(
            process("relay", profiled=profiled, cpu_seconds=cpu_seconds)
        )
        stack.enter_context(
            process("agent", relay_port, upstream_port, profiled=profiled, cpu_seconds=cpu_seconds)
        )
        ports = {"direct": upstream_port, "splice": splice_port, "tunnel": relay_port}
        results = {(path, count): [] for path in PATHS for count in CONNECTIONS}
        for _ in range(arguments.rounds):
            for count in CONNECTIONS:
                for path in PATHS if not profiled else ("tunnel",):
                    result = uvloop.run(measure(ports[path], count, arguments.seconds, requests))
                    results[path, count].append(result)
    if not profiled:
        show(results)
        each = {role: used / requests[relay_port] * 1e6 for role, used in cpu_seconds.items()}
        print(f"\nCPU of a request: relay {each['relay']:.0f} us, agent {each['agent']:.0f} us")


def show(results):
    print(f"POST of {len(BODY)} bytes, {os.cpu_count()} cores shared by all processes\n")
    print("connections  path     requests/s    p50 ms    p99 ms   tunnel is")
    for count in CONNECTIONS:
        medians = {
            path: [statistics.median(column) for column in zip(*results[path, count], strict=True)]
            for path in PATHS
        }
        for path in PATHS:
            rate, p50, p99 = medians[path]
            ratio = medians["tunnel"][0] / rate
            told = f"{ratio:8.2f} of it" if path != "tunnel" else ""
            print(f"{count:11}  {path:7} {rate:11,.0f} {p50:9.3f} {p99:9.3f}   {told}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", choices=("relay", "agent"))
    parser.add_argument("--role", choices=sorted(ROLES), help=argparse.SUPPRESS)
    parser.add_argument("ports", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        serve(options.role, options.ports, is_profiled=options.profile is not None)
    else:
        main(options)
