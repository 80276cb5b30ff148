"""
What does the console of `hookloop http` cost the tunnel at full load?

    python benchmarks/bench_console.py [--requests 10000] [--rounds 3]

A relay, and an agent that is a process of its own, are asked by 32 connections that each wait
for their answer: 2 KB POSTs, named by X-GitHub-Event. The agent shows its screen on a terminal of
120 x 50, writes its log into a pipe that is read, or shows nothing at all. What is compared is the
processor time the agent takes for a request, not requests per second: of that a neighbour takes its
share. Each round measures all three, one after the other; the medians are shown.

Below: what one exchange costs on the path of traffic, in this process, and what a frame costs.
"""

import argparse
import asyncio
import fcntl
import json
import os
import statistics
import struct
import subprocess
import sys
import termios
import threading
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from rich.console import Console

from hookloop.cli.console_painter import Painter
from hookloop.cli.console_screen import screen_lines
from hookloop.cli.console_state import ConsoleState
from hookloop.clock import SystemClock
from hookloop.exchange import Exchange, RequestHead, ResponseHead

TOKEN = "hlt_only-for-the-benchmark"
CONNECTIONS = 32
BODY = b"x" * 2048
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MODES = {"nothing": ["--log", "false"], "screen": [], "logfmt": ["--log-format", "logfmt"]}
WIDTH, HEIGHT = 120, 50

# Makes its standard input the terminal that controls it, then becomes the command.
ON_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class App(asyncio.Protocol):
    """Answers whatever has ended; it reads no more than that needs."""

    def connection_made(self, transport) -> None:
        self._transport, self._waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while b"\r\n\r\n" in self._waiting:
            head, _, rest = self._waiting.partition(b"\r\n\r\n")
            length = len(BODY) if head.startswith(b"POST") else 0
            if len(rest) < length:
                return
            self._waiting = rest[length:]
            self._transport.write(ANSWER)


@contextmanager
def agent(mode: str, upstream: int, relay: str) -> Iterator[int]:
    """Run an agent that shows what *mode* says; yield its process id."""
    command = [sys.executable, "-m", "hookloop", "http", str(upstream), "--relay", relay]
    command += ["--token", TOKEN, "--name", mode, *MODES[mode]]
    reading, writing = os.pipe()
    if mode == "screen":
        os.close(reading), os.close(writing)
        reading, writing = os.openpty()
        fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        command = [sys.executable, "-c", ON_A_TERMINAL, *command]
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command,
        stdin=writing if mode == "screen" else subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
    os.close(writing)
    threading.Thread(target=read_all, args=(reading,), daemon=True).start()
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def read_all(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1 << 16):
            pass
    except OSError:  # a terminal that nobody has open any more
        pass


async def ask(port: int, host: bytes, count: int) -> None:
    """Send *count* requests, over all connections together."""
    request = b"POST /webhooks/github HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n"
    request = request % (host, len(BODY)) + b"X-GitHub-Event: push\r\n\r\n" + BODY
    left = iter(range(count))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"the tunnel answers {head!r}")
            await reader.readexactly(2)
        writer.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(one())


async def is_up(port: int, host: bytes) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host)
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


@contextmanager
def relay() -> Iterator[str]:
    """Run a relay; yield its address."""
    command = [sys.executable, "-m", "hookloop", "relay", "--port", "0", "--token", TOKEN, "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield json.loads(process.stdout.readline())["value"]
    finally:
        process.terminate()
        process.wait()


async def measure(address: str, requests: int, rounds: int) -> dict[str, list[float]]:
    """Return the agent's microseconds of processor time a request, by mode."""
    server = await asyncio.get_running_loop().create_server(App, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]
    port = int(address.rpartition(":")[2])
    taken: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode in MODES:
            host = f"{mode}.tun.localhost:{port}".encode()
            with agent(mode, upstream, address) as pid:
                while not await is_up(port, host):  # noqa: ASYNC110  # it is another process
                    await asyncio.sleep(0.1)
                await ask(port, host, requests // 10)  # warm
                before = processor_seconds(pid)
                await ask(port, host, requests)
                taken[mode].append((processor_seconds(pid) - before) / requests * 1e6)
    server.close()
    return taken


def parts() -> Iterator[tuple[str, float]]:
    """Yield what each part costs in this process, in microseconds."""
    fields = tuple((b"Header-%d" % number, b"value") for number in range(8))
    request = RequestHead(b"POST", b"/webhooks/github", (*fields, (b"X-GitHub-Event", b"push")))
    response = ResponseHead(200, b"OK", ())
    exchange = Exchange(
        "agent", "shop", "1.2.3.4:5", request, response, 2048, 2, 1.0, 1.1, 1.2, None
    )
    state = ConsoleState(SystemClock(), Random(1), version="1")
    painter = Painter(1, Console(force_terminal=True, color_system="256"))

    def captured() -> None:
        state.captured(exchange)

    def frame() -> None:
        for _ in range(HEIGHT):
            state.captured(exchange)  # so that every line is a new one
        lines = screen_lines(state.view(rows_max=HEIGHT), WIDTH, HEIGHT)
        painter.forget()
        painter.drawn(lines, (WIDTH, HEIGHT))

    for what, part, number in (("an exchange", captured, 2000), ("a frame, all new", frame, 20)):
        yield what, min(timeit.repeat(part, number=number, repeat=10)) / number * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="what the console costs")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with relay() as address:
        taken = asyncio.run(measure(address, arguments.requests, arguments.rounds))
    nothing = statistics.median(taken["nothing"])
    print("agent's processor time a request, 2 KB POSTs at 32 connections")
    for mode, values in taken.items():
        median = statistics.median(values)
        print(f"  {mode:<8} {median:7.1f} us   {median / nothing:.2f} of showing nothing")
    for what, microseconds in parts():
        print(f"{what:<20} {microseconds:9.2f} us")


if __name__ == "__main__":
    main()
