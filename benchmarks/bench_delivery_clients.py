"""
Which HTTP client should post deliveries: aiohttp or niquests?

    pip install niquests
    python benchmarks/bench_delivery_clients.py [--posts 3000] [--concurrency 8]

A receiver in a process of its own answers 200 to everything. Each round posts a
body of a delivery's size with each client in turn; three interleaved rounds,
medians, and the ratio. Without niquests only aiohttp is measured.
"""

import argparse
import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import aiohttp
import uvicorn

ROUNDS = 3
PAYLOAD = b"x" * 1338  # a customer.updated, as delivered
HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    "Accept": "*/*; q=0.5, application/xml",
    "Cache-Control": "no-cache",
    "Stripe-Signature": "t=1492774577,v1=" + "5" * 64 + ",v0=" + "6" * 64,
}

Post = Callable[[str], Awaitable[int]]


async def receive(_scope, receive, send) -> None:
    """Answer 200 to everything, as a bare ASGI application."""
    while (await receive()).get("more_body"):
        pass
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """Run `receive` in another process; yield its URL."""
    command = [sys.executable, __file__, "--receive"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        try:
            yield f"http://127.0.0.1:{port}/hook"
        finally:
            process.terminate()


def run_receiver() -> None:
    """Listen on a free port, say which, and answer until told to end."""
    # With the protocol named asyncio turns Nagle's algorithm off; without, each
    # answer waits 40 ms for an acknowledgement, and that is all one measures.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(receive, log_level="critical", lifespan="off", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


@contextlib.asynccontextmanager
async def aiohttp_post() -> AsyncIterator[Post]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        skip_auto_headers=("Accept-Encoding",),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:

        async def post(url: str) -> int:
            async with session.post(
                url, data=PAYLOAD, headers=HEADERS, allow_redirects=False
            ) as response:
                await response.content.read(2000)
                return response.status

        yield post


@contextlib.asynccontextmanager
async def niquests_post() -> AsyncIterator[Post]:
    import niquests

    async with niquests.AsyncSession(pool_maxsize=64) as session:

        async def post(url: str) -> int:
            response = await session.post(url, data=PAYLOAD, headers=HEADERS, allow_redirects=False)
            return response.status_code

        yield post


async def posts_per_second(post: Post, url: str, posts: int, concurrency: int) -> float:
    """Return the rate at which *concurrency* tasks make *posts* posts together."""
    remaining = iter(range(posts))

    async def work() -> None:
        for _ in remaining:
            status = await post(url)
            if status != 200:
                raise RuntimeError(f"the receiver answered {status}")

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return posts / (time.perf_counter() - began)


async def measure(posts: int, concurrency: int) -> None:
    makers = {"aiohttp": aiohttp_post}
    with contextlib.suppress(ModuleNotFoundError):
        import niquests  # noqa: F401 - only whether it is there

        makers["niquests"] = niquests_post
    rates: dict[str, list[float]] = {name: [] for name in makers}
    with receiver() as url:
        for _ in range(ROUNDS):
            for name, maker in makers.items():
                async with maker() as post:
                    await posts_per_second(post, url, 200, concurrency)  # connections, caches
                    rates[name].append(await posts_per_second(post, url, posts, concurrency))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name:10}{medians[name]:8.0f} posts/s   rounds: {[round(v) for v in values]}")
    if "niquests" in medians:
        print(f"ratio aiohttp / niquests: {medians['aiohttp'] / medians['niquests']:.2f}")
    else:
        print("niquests is not installed here: pip install niquests to compare")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--posts", type=int, default=3000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        run_receiver()
        return
    with asyncio.Runner() as runner:
        runner.run(measure(options.posts, options.concurrency))


if __name__ == "__main__":
    main()
