"""POSTs of 2 KB by wrk, which takes little of the machine itself; or by ourselves without it."""

import asyncio
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from .processes import find
from .roles import HOST

BODY = b"x" * 2048
SCRIPT = """
wrk.method = "POST"
wrk.body = string.rep("x", %d)
wrk.headers["Host"] = "%s"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Stripe-Signature"] = "t=1680640231,v1=" .. string.rep("a", 64)
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %%d, "microseconds": %%d, "p50": %%d, "p99": %%d, "errors": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Measured:
    rate: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float
    requests: int


def generator() -> str:
    return "wrk, one thread" if find("wrk") else "this program (wrk is not installed)"


def measure(port: int, connections: int, seconds: float, folder: Path) -> Measured:
    """Keep *connections* busy with one request each. Raises `SystemExit` if any fails."""
    if find("wrk") is None:
        return uvloop.run(_ask(port, connections, seconds))
    script = folder / "post.lua"
    script.write_text(SCRIPT % (len(BODY), HOST), encoding="ascii")
    command = [find("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script]
    command.append(f"http://127.0.0.1:{port}/hook")
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = json.loads(output.splitlines()[-1])
    if told["errors"]:
        raise SystemExit(f"{told['errors']} of {told['requests']} requests failed:\n{output}")
    rate = told["requests"] / told["microseconds"] * 1e6
    return Measured(rate, told["p50"] / 1e3, told["p99"] / 1e3, told["requests"])


class _Caller(asyncio.Protocol):
    """One connection, one request at a time, until told to stop."""

    def __init__(self, latencies: list[float]) -> None:
        self.latencies, self.received, self.is_stopped = latencies, b"", False
        head = f"POST /hook HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(BODY)}\r\n\r\n"
        self.request = head.encode() + BODY

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.received.endswith(b"ok"):
            return
        if not self.received.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a request failed: {self.received[:200]!r}")
        self.latencies.append(time.perf_counter() - self.asked)
        self.received = b""
        if self.is_stopped:
            self.transport.close()
        else:
            self.ask()


async def _ask(port: int, connections: int, seconds: float) -> Measured:
    loop, latencies = asyncio.get_running_loop(), []
    callers = [
        (await loop.create_connection(lambda: _Caller(latencies), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    took, count = time.perf_counter() - started, len(latencies)
    for caller in callers:
        caller.is_stopped = True
    await asyncio.sleep(0.1)
    ordered = sorted(latencies[:count])
    p50, p99 = ordered[count // 2] * 1e3, ordered[count * 99 // 100] * 1e3
    return Measured(count / took, p50, p99, count)
