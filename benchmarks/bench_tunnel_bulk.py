"""
Large bodies and many sessions through the tunnel: speed beside OpenSSH, and memory.

    python benchmarks/bench_tunnel_bulk.py [--megabytes 100] [--rounds 3] [--gigabytes 2]
                                           [--sessions 2000]

    bulk     one body of --megabytes down, then one up, straight to the app, by nginx twice, by
             ssh -R and by the tunnel (session in TLS, capture on: both ends hash the body). In
             interleaved rounds, medians; a peer that is not installed is skipped by its name.
    webhooks p99 of small POSTs by themselves, and during an unhurried bulk download
    slow     --gigabytes down to a caller that reads at a tenth of the tunnel's pace at most,
             for as long as it takes: by how much relay and agent grow
    idle     the relay's memory for each of --sessions sessions in TLS that do nothing
"""

import argparse
import contextlib
import resource
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path

from tunnel import load, peers
from tunnel.processes import make_certificate, role
from tunnel.roles import HOST

PEERS = {"nginx x2": peers.nginx_twice, "ssh -R": peers.ssh_reverse}
MEGABYTE = 1_000_000
READ_BYTES = 256 * 1024
SLOW_PAUSE_SECONDS = 0.002  # after each read of the slow reader


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 60)


def down(port: int, length: int, *, pause: float = 0.0) -> float:
    """Return the seconds that a body of *length* bytes took to come."""
    started = time.perf_counter()
    with connect(port) as sock:
        sock.sendall(f"GET /{length} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        received = bytearray()
        while b"\r\n\r\n" not in received:
            received += sock.recv(READ_BYTES)
        head, _, rest = bytes(received).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a download failed: {head!r}")
        left = length - len(rest)
        while left:
            piece = sock.recv(min(left, READ_BYTES))
            if not piece:
                raise SystemExit(f"a download was cut with {left} bytes to come")
            left -= len(piece)
            if pause:
                time.sleep(pause)
    return time.perf_counter() - started


def up(port: int, length: int) -> float:
    """Return the seconds that a body of *length* bytes took to go, and its answer to come."""
    started = time.perf_counter()
    with connect(port) as sock:
        sock.sendall(
            f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        piece = bytes(READ_BYTES)
        left = length
        while left:
            sock.sendall(piece[: min(left, len(piece))])
            left -= min(left, len(piece))
        answer = sock.recv(READ_BYTES)
    if not answer.endswith(b"%d" % length):
        raise SystemExit(f"an upload failed: {answer!r}")
    return time.perf_counter() - started


def bulk(ports: dict[str, int], length: int, rounds: int) -> None:
    taken: dict = {}
    for _ in range(rounds):
        for name, port in ports.items():
            taken.setdefault(name, []).append((down(port, length), up(port, length)))
    speeds = {
        name: [length / MEGABYTE / statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in taken.items()
    }
    print(f"bulk of {length // MEGABYTE} MB   down MB/s     up MB/s   hookloop is (target 0.5)")
    mine = speeds["hookloop"]
    for name, (down_, up_) in speeds.items():
        told = "" if name == "hookloop" else f"{mine[0] / down_:8.2f} and {mine[1] / up_:.2f} of it"
        print(f"  {name:14} {down_:11,.0f} {up_:11,.0f}   {told}")


def webhooks_beside_bulk(port: int, folder: Path) -> None:
    alone = load.measure(port, 4, 2, folder)
    ended = threading.Event()

    def download() -> None:
        while not ended.is_set():
            down(port, 100 * MEGABYTE, pause=SLOW_PAUSE_SECONDS)

    thread = threading.Thread(target=download)
    thread.start()
    try:
        beside = load.measure(port, 4, 2, folder)
    finally:
        ended.set()
        thread.join()
    print(
        f"\nPOSTs of 2 KB, 4 at once: p99 {alone.p99_ms:.1f} ms alone, {beside.p99_ms:.1f} ms "
        f"beside a bulk download ({beside.p99_ms / alone.p99_ms:.1f} times)"
    )


def slow_reader(port: int, ours: dict, length: int) -> None:
    before = {name: running.rss_kib for name, running in ours.items()}
    peak = dict(before)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            for name, running in ours.items():
                peak[name] = max(peak[name], running.rss_kib)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        seconds = down(port, length, pause=SLOW_PAUSE_SECONDS)
    finally:
        ended.set()
        thread.join()
    print(f"\n{length / 1e9:.1f} GB to a slow reader ({seconds:.0f} s); growth (target 64 MB):")
    for name in ours:
        print(f"  {name:6} {(peak[name] - before[name]) / 1024:6.1f} MB")


def idle_sessions(folder: Path, upstream: int, count: int) -> None:
    cert, key = make_certificate(folder)
    with role("relay", cert, key) as relay:
        before = relay.rss_kib
        with role("idle_agents", relay.ports[1], upstream, cert, count):
            each = (relay.rss_kib - before) / count
            print(f"\n{count} idle sessions in TLS: {each:.1f} KB of the relay each (target 60)")


def main(options: argparse.Namespace) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        app = stack.enter_context(role("app")).ports[0]
        ports = {"direct": app}
        for name, peer in PEERS.items():
            try:
                ports[name] = stack.enter_context(peer(folder, app))
            except peers.MissingError as missing:
                print(f"skipped: {missing}")
        ours: dict = {}
        ports["hookloop"] = stack.enter_context(peers.hookloop(folder, app, ours))
        bulk(ports, options.megabytes * MEGABYTE, options.rounds)
        slow_reader(ports["hookloop"], ours, int(options.gigabytes * 1e9))
        webhooks_beside_bulk(ports["hookloop"], folder)
        idle_sessions(folder, app, options.sessions)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--sessions", type=int, default=2000)
    main(parser.parse_args())
