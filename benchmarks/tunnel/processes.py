"""Starts what a benchmark compares, on free ports of this machine, and ends it again."""

import contextlib
import datetime as dt
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BENCHMARKS = Path(__file__).parent.parent
READY_SECONDS = 15.0


@dataclass
class Running:
    """A process of ours: where it listens, and what it cost once it was ended."""

    pid: int
    ports: list[int]
    cpu_seconds: float = 0.0

    @property
    def rss_kib(self) -> int:
        """What it holds in memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0])


@contextlib.contextmanager
def role(name: str, *arguments: object) -> Iterator[Running]:
    """Run one of `tunnel.roles`."""
    command = [sys.executable, "-m", "tunnel.roles", name, *map(str, arguments)]
    with subprocess.Popen(command, cwd=BENCHMARKS, stdout=subprocess.PIPE, text=True) as process:
        running = Running(process.pid, [int(word) for word in process.stdout.readline().split()])
        try:
            if not running.ports:
                raise SystemExit(f"the {name} of the benchmark did not start")
            yield running
        finally:
            process.terminate()
            running.cpu_seconds = float(process.stdout.readline() or 0)


@contextlib.contextmanager
def program(command: list[str], port: int, log: Path) -> Iterator[int]:
    """Run another's program until *port* accepts connections."""
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent) as process,
    ):
        try:
            wait_for(port, process, log)
            yield process.pid
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise SystemExit(f"{process.args[0]} did not start:\n{log.read_text(errors='replace')}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def find(program_name: str) -> str | None:
    """Return the path of an installed program; Debian keeps servers in /usr/sbin."""
    return shutil.which(program_name, path=os.environ.get("PATH", "") + ":/usr/sbin")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return files of a certificate for localhost, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hookloop benchmark")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file
