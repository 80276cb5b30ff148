"""
What the inspector costs the tunnel, and how long its pages wait for the store.

The tunnel: the same requests, one after the other on each of 16 connections, through relay and
agent in this process, with capture on and off in turns; the medians' ratio counts, because
the machine's speed changes by the minute. The store: 100,000 exchanges of webhooks in a file on
disk, each question asked several times, the median and the worst shown.

    python benchmarks/bench_inspector.py [--exchanges 100000] [--rounds 5] [--requests 3000]
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parents[1] / "tests" / name)
    for name in ("integration", "unit/inspector", "")
]

from captures import NOW, captured  # noqa: E402  # of the tests
from tunnel_loop import HOST, agent_config, open_caller, post, relay_config, running_upstream  # noqa: E402

from hookloop.exchange import discard  # noqa: E402
from hookloop.inspector import CaptureStore, Recorder, parse_query  # noqa: E402
from hookloop.inspector.recorder import BODY_BYTES_MAX  # noqa: E402
from hookloop.tunnel.agent import running_agent  # noqa: E402
from hookloop.tunnel.relay import running_relay  # noqa: E402

CONNECTIONS = 16
BODY = json.dumps(
    {"id": "evt_1", "object": "event", "type": "invoice.paid", "pad": "x" * 2000}
).encode()
TARGET_RATIO, TARGET_SECONDS = 0.85, 0.1


async def answer(served):
    await served.body()
    await served.answer(b"ok")


async def rate(sink, keep_max, requests) -> float:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(running_upstream(answer))
        relay = await stack.enter_async_context(running_relay(relay_config()))
        config = agent_config(relay, port)
        await stack.enter_async_context(running_agent(config, sink=sink, keep_max=keep_max))
        callers = [await open_caller(stack, relay.port) for _ in range(CONNECTIONS)]
        request = post(BODY, host=HOST)

        async def call(caller, count):
            for _ in range(count):
                await caller.ask(request)

        await asyncio.gather(*(call(caller, 20) for caller in callers))
        began = time.perf_counter()
        await asyncio.gather(*(call(caller, requests // CONNECTIONS) for caller in callers))
        return requests / (time.perf_counter() - began)


def tunnel(folder: Path, rounds: int, requests: int) -> float:
    rates: dict[str, list[float]] = {"off": [], "on": []}
    store = CaptureStore(folder / "tunnel.db")
    with Recorder(store) as recorder:
        for _ in range(rounds):
            rates["off"].append(asyncio.run(rate(discard, 0, requests)))
            rates["on"].append(asyncio.run(rate(recorder, BODY_BYTES_MAX, requests)))
        recorder.flush()
    ratio = statistics.median(rates["on"]) / statistics.median(rates["off"])
    print(f"capture off {statistics.median(rates['off']):8.0f} req/s")
    print(f"capture on  {statistics.median(rates['on']):8.0f} req/s, {recorder.dropped()} dropped")
    print(f"ratio       {ratio:8.2f} (target {TARGET_RATIO})")
    store.close()
    return ratio


def text(number: int) -> bytes:
    about = {"id": f"in_{number}", "customer": f"cus_{number % 997}", "amount": number * 7}
    content = {"id": f"evt_{number}", "object": "event", "type": f"invoice.t{number % 40}"}
    lines = [{"id": f"il_{number}_{at}", "description": f"line {at} of many"} for at in range(20)]
    return json.dumps({**content, "data": {"object": {**about, "lines": lines}}}).encode()


def questions(folder: Path, count: int) -> float:
    store = CaptureStore(folder / "large.db", max_bytes=1 << 40, max_age_seconds=1e9)
    began = time.perf_counter()
    for start in range(0, count, 1000):
        stop = min(count, start + 1000)
        store.add(
            [
                captured(n, body=text(n), status=500 if n % 50 == 0 else 200)
                for n in range(start, stop)
            ],
            now=NOW,
        )
    print(f"written     {count / (time.perf_counter() - began):8.0f} exchanges/s")
    began = time.perf_counter()
    while store.index_some():
        pass
    print(f"indexed     {count / (time.perf_counter() - began):8.0f} exchanges/s")
    middle = store.find(parse_query(f"id:evt_{count // 2}", now=NOW)).items[0].id
    asked = {
        "list": "",
        "list of 5xx": "status:5xx",
        "type": "type:invoice.t7",
        "path that nothing has": "path:/nowhere",
        "event id": f"id:evt_{count // 2}",
        "object id": f"object:in_{count // 3}",
        "text, one hit": f'body:"in_{count // 2}"',
        "text, many hits": 'body:"line 3 of many"',
        "text, no hit": "body:nothing_like_this_here",
        "words and status": f"cus_{996} status:5xx",
    }
    worst = 0.0
    for name, query in asked.items():
        worst = max(worst, timed(name, lambda query=query: store.find(parse_query(query, now=NOW))))
    worst = max(worst, timed("open", lambda: store.get(middle)))
    timed("count of 5xx", lambda: store.count(parse_query("status:5xx", now=NOW)))
    size = (folder / "large.db").stat().st_size / 1024 / 1024
    print(f"file        {size:8.0f} MB; worst median {worst * 1000:.1f} ms (target 100)")
    store.close()
    return worst


def timed(name: str, ask) -> float:
    took = []
    for _ in range(7):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    print(f"  {name:24} {statistics.median(took) * 1000:8.2f} ms   worst {max(took) * 1000:8.2f}")
    return statistics.median(took)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exchanges", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=3200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        worst = questions(Path(folder), given.exchanges)
        ratio = tunnel(Path(folder), given.rounds, given.requests)
    return 0 if worst < TARGET_SECONDS and ratio >= TARGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
