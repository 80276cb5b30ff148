"""
How fast is the sandbox, beside a bare Starlette handler on the same server?

    python benchmarks/bench_sandbox.py [--requests 6000] [--concurrency 16]

Each server runs in a process of its own, on uvloop where there is one; the load
comes from this process over kept-alive connections. Three interleaved rounds,
medians, and the ratio to the bare handler. Measured are

    bare        POST of a form, answered with a constant customer
    create      POST /v1/customers, into a new account each round
    retrieve    GET /v1/customers/{id}
    list        GET /v1/customers?limit=10 of an account with as many as were created
    deliver     POST /v1/customers with one endpoint, until all events are delivered and signed
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

from hookloop.sandbox import SandboxConfig, running_sandbox
from hookloop.sandbox.address import bound_socket

ROUNDS = 3
FORM = b"email=jenny%40example.com&name=Jenny+Rosen&metadata[order_id]=6735"
KEYS = count()

# --- the servers ------------------------------------------------------------------------


async def serve_sandbox() -> None:
    async with running_sandbox(SandboxConfig(port=0)) as sandbox:
        print(sandbox.url.rpartition(":")[2], flush=True)
        await asyncio.Event().wait()


async def serve_bare() -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    body = b"x" * 700  # as long as a customer

    async def create(request: Request) -> Response:
        await request.body()
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/v1/customers", create, methods=["POST"])])
    with bound_socket("127.0.0.1", 0) as bound:
        print(bound.getsockname()[1], flush=True)
        config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
        await uvicorn.Server(config).serve(sockets=[bound])


@contextlib.contextmanager
def server(name: str) -> Iterator[int]:
    """Run a server in another process; yield its port."""
    command = [sys.executable, __file__, "--serve", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


# --- the load ---------------------------------------------------------------------------


def request(method: str, path: str, key: str, body: bytes = b"") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes
) -> bytes:
    """Send a request, return the body of its answer."""
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"the server answered {head[:40]!r}")
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length))


async def rate(port: int, sent: bytes, requests: int, concurrency: int) -> float:
    """Return how many times a second *sent* is answered."""
    remaining = iter(range(requests))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in remaining:
            await exchange(reader, writer, sent)
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return requests / (time.perf_counter() - began)


async def once(port: int, sent: bytes) -> dict[str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = json.loads(await exchange(reader, writer, sent))
    writer.close()
    await writer.wait_closed()
    return answer


class Receiver(asyncio.Protocol):
    """Answers 200 to each request, whose end it knows by the last bytes of an event."""

    END = b'"type": "customer.created"\n}'
    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def __init__(self, taken: Callable[[], None]) -> None:
        self._taken = taken
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-len(self.END) :]
        if self._tail == self.END:
            self._tail = b""
            self._transport.write(self.ANSWER)
            self._taken()


async def deliveries_per_second(port: int, key: str, requests: int, concurrency: int) -> float:
    remaining = requests
    all_taken = asyncio.Event()

    def taken() -> None:
        nonlocal remaining
        remaining -= 1
        if not remaining:
            all_taken.set()

    with bound_socket("127.0.0.1", 0) as bound:
        loop = asyncio.get_running_loop()
        receiver = await loop.create_server(lambda: Receiver(taken), sock=bound)
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        form = f"url={url}&enabled_events[]=*".encode()
        await once(port, request("POST", "/v1/webhook_endpoints", key, form))
        began = time.perf_counter()
        await rate(port, request("POST", "/v1/customers", key, FORM), requests, concurrency)
        await all_taken.wait()
        took = time.perf_counter() - began
        receiver.close()
    return requests / took


async def measure(requests: int, concurrency: int) -> None:
    rates: dict[str, list[float]] = {}

    async def note(name: str, measured: Awaitable[float]) -> None:
        rates.setdefault(name, []).append(await measured)

    with server("bare") as bare, server("sandbox") as sandbox:
        create = request("POST", "/v1/customers", "sk_test_warm", FORM)
        await rate(bare, create, 500, concurrency)
        await rate(sandbox, create, 500, concurrency)
        for _ in range(ROUNDS):
            key = f"sk_test_{next(KEYS)}"
            create = request("POST", "/v1/customers", key, FORM)
            await note("bare", rate(bare, create, requests, concurrency))
            await note("create", rate(sandbox, create, requests, concurrency))
            customer = await once(sandbox, create)
            retrieve = request("GET", f"/v1/customers/{customer['id']}", key)
            await note("retrieve", rate(sandbox, retrieve, requests, concurrency))
            few = request("GET", "/v1/customers?limit=10", key)
            await note("list", rate(sandbox, few, requests // 4, concurrency))
            fresh = f"sk_test_{next(KEYS)}"
            await note("deliver", deliveries_per_second(sandbox, fresh, requests, concurrency))
    for name, values in rates.items():
        median = statistics.median(values)
        ratio = median / statistics.median(rates["bare"])
        rounds = [round(value) for value in values]
        print(f"{name:10}{median:8.0f}/s   {ratio:5.2f} of bare   rounds: {rounds}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--serve", choices=["bare", "sandbox"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    jobs = {"bare": serve_bare, "sandbox": serve_sandbox}
    job = jobs[options.serve]() if options.serve else measure(options.requests, options.concurrency)
    with (
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
        contextlib.suppress(KeyboardInterrupt),
    ):
        runner.run(job)


def _loop_factory():
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
