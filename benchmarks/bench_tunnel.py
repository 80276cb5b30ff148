"""
Small webhooks through the tunnel, beside what else could carry them.

    python benchmarks/bench_tunnel.py [--seconds 2] [--rounds 3] [--only NAME ...]

POSTs of 2 KB, answered with 2 bytes by one nginx, over 1 and over 64 kept-alive connections
with one request under way each. The peers are those of `tunnel/peers.py`; one that is not
installed is skipped by its name. The tunnel's session is in TLS and its capture is on, at
both ends: every body is hashed and compared.

All processes run on this machine and compete for its cores, so ratios mean more than numbers.
Rounds are interleaved (each peer once, then each again), and the figures are medians of the
rounds. The last line is the CPU time of relay and agent for a request, start and all: the
steadiest number on a machine with other work.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
from pathlib import Path

from tunnel import load, peers

PEERS = {
    "nginx x2": peers.nginx_twice,
    "ssh -R": peers.ssh_reverse,
    "splice": peers.splice,
    "localtunnel": peers.localtunnel,
}
CONNECTIONS = (1, 64)
TARGETS = {
    ("nginx x2", 64): "0.8",
    ("nginx x2", 1): "0.5",
    ("ssh -R", 64): "0.8",
    ("splice", 64): "none",
    ("localtunnel", 64): "3",
}


def main(options: argparse.Namespace) -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            upstream = stack.enter_context(peers.answering_nginx(folder))
        except peers.MissingError as missing:
            raise SystemExit(f"this benchmark needs an upstream: {missing}") from None
        ports = {"direct": upstream}
        for name, peer in PEERS.items():
            if options.only and name not in options.only:
                continue
            try:
                ports[name] = stack.enter_context(peer(folder, upstream))
            except peers.MissingError as missing:
                print(f"skipped: {missing}")
        ours: dict = {}
        ports["hookloop"] = stack.enter_context(peers.hookloop(folder, upstream, ours))
        results: dict = {}
        for number in range(options.rounds + 1):
            for count in CONNECTIONS:
                for name, port in ports.items():
                    # The first round warms everything up, briefly, and is not counted.
                    seconds = options.seconds if number else 1
                    measured = load.measure(port, count, seconds, folder)
                    results.setdefault((name, count), []).append(measured)
    show(results, ports, ours)


def show(results: dict, ports: dict, ours: dict) -> None:
    print(f"POST of 2 KB by {load.generator()}; {os.cpu_count()} cores shared by all\n")
    print("connections  path          requests/s    p50 ms    p99 ms   hookloop is       target")
    for count in CONNECTIONS:
        medians = {name: median(results[name, count][1:]) for name in ports}
        mine = medians["hookloop"]
        for name, (rate, p50, p99) in medians.items():
            told = ""
            if name != "hookloop":
                told = f"{mine[0] / rate:8.2f} of it"
                told += f"       {TARGETS.get((name, count), '')}"
            print(f"{count:11}  {name:12} {rate:11,.0f} {p50:9.3f} {p99:9.3f}   {told}")
        if "nginx x2" in medians:
            times = mine[1] / medians["nginx x2"][1]
            print(f"{'':13}p50 of hookloop: {times:.1f} times that of nginx x2")
    requests = sum(
        one.requests for (name, _), all_ in results.items() for one in all_ if name == "hookloop"
    )
    each = {name: running.cpu_seconds / requests * 1e6 for name, running in ours.items()}
    print(f"\nCPU of a request: relay {each['relay']:.0f} us, agent {each['agent']:.0f} us")


def median(measured: list[load.Measured]) -> tuple[float, float, float]:
    rows = [(one.rate, one.p50_ms, one.p99_ms) for one in measured]
    rate, p50, p99 = (statistics.median(column) for column in zip(*rows, strict=True))
    return rate, p50, p99


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement, whole ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=sorted(PEERS), help="peers to compare with")
    main(parser.parse_args())
