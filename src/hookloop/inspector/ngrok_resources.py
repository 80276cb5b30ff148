"""
The resources of ngrok's local API: tunnels, endpoints, requests and the agent, as it shows them.

Pure. Names of keys and their order are ngrok's; what is measured is described in
docs/reference/local-api.md.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from hookloop.exchange import Headers, RequestHead, ResponseHead
from hookloop.meter import Reading

__all__ = [
    "KeptRequest",
    "TunnelView",
    "check_definition",
    "endpoint_resource",
    "request_resource",
    "root_resource",
    "status_resource",
    "tunnel_resource",
]

NANOSECONDS = 1_000_000_000
PROTOCOLS = ("http", "tcp", "tls")
BIND_TLS = (True, False, "true", "false", "both")


@dataclass(frozen=True, slots=True)
class TunnelView:
    """One tunnel that callers reach, at a moment."""

    name: str
    """What the agent calls it."""
    url: str
    upstream: str
    protocol: str
    """``http``, ``tcp`` or ``tls``."""
    connections: Reading
    exchanges: Reading
    is_inspected: bool = True


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """One exchange of an http tunnel that was kept, with its bodies."""

    id: str
    tunnel: str
    """What the agent calls the tunnel."""
    remote: str
    started: float
    """Unix seconds."""
    seconds: float
    request: RequestHead
    request_body: bytes
    response: ResponseHead | None
    response_body: bytes = b""


# --- what is shown ---------------------------------------------------------------------------


def root_resource() -> dict[str, Any]:
    return {"tunnels_uri": "/api/tunnels", "http_requests_uri": "/api/requests/http"}


def tunnel_resource(tunnel: TunnelView) -> dict[str, Any]:
    return {
        "name": tunnel.name,
        "ID": _stable_id(tunnel),
        "uri": _uri("tunnels", tunnel.name),
        "public_url": tunnel.url,
        "proto": tunnel.url.partition("://")[0],
        "config": {"addr": tunnel.upstream, "inspect": tunnel.is_inspected},
        "metrics": _metrics(tunnel),
    }


def endpoint_resource(tunnel: TunnelView, *, is_detailed: bool) -> dict[str, Any]:
    """Return what version 3 calls an endpoint; its metrics are in the detail alone."""
    resource = {
        "name": tunnel.name,
        "uri": _uri("endpoints", tunnel.name),
        "url": tunnel.url,
        "upstream": {
            "url": tunnel.upstream,
            "protocol": "http1" if tunnel.protocol == "http" else "",
        },
        "inspect": tunnel.is_inspected,
        "traffic_policy": "",
        "pooling_enabled": False,
    }
    return {**resource, "metrics": _metrics(tunnel)} if is_detailed else resource


def status_resource(
    version: str, *, is_online: bool, relay: str, latency_seconds: float | None
) -> dict[str, Any]:
    latency = "" if latency_seconds is None else f"{round(latency_seconds * 1000)}ms"
    return {
        "status": "online" if is_online else "reconnecting",
        "agent_version": version,
        "session": {"legs": [{"region": relay, "latency": latency}] if is_online else []},
        "uri": "/api/status",
    }


def request_resource(kept: KeptRequest) -> dict[str, Any]:
    """Return the exchange with the bytes of both messages, which need not be text, in base64."""
    request, response = kept.request, kept.response
    line = b"%b %b HTTP/1.1" % (request.method, request.target)
    shown: dict[str, Any] = {
        "uri": _uri("requests/http", kept.id),
        "id": kept.id,
        "tunnel_name": kept.tunnel,
        "remote_addr": kept.remote,
        "start": datetime.fromtimestamp(kept.started, UTC).isoformat(),
        "duration": round(kept.seconds * NANOSECONDS),
        "request": {
            "method": request.method.decode("latin-1"),
            "proto": "HTTP/1.1",
            "headers": _by_name(request.headers),
            "uri": request.target.decode("latin-1"),
            "raw": _raw(line, request.headers, kept.request_body),
        },
        "response": None,
    }
    if response is not None:
        status = b"%d %b" % (response.status, response.reason)
        shown["response"] = {
            "status": status.decode("latin-1").rstrip(),
            "status_code": response.status,
            "proto": "HTTP/1.1",
            "headers": _by_name(response.headers),
            "raw": _raw(b"HTTP/1.1 " + status, response.headers, kept.response_body),
        }
    return shown


# --- what is taken ---------------------------------------------------------------------------


def check_definition(definition: Mapping[str, Any]) -> str | None:
    """Return what ngrok says is wrong with a tunnel of version 2: programs look for it."""
    name = definition.get("name")
    if not name or not isinstance(name, str):
        return "Tunnel declaration must contain a 'name'"
    if definition.get("addr") in {None, ""}:
        return f"Tunnel '{name}' must specify 'addr' to tunnel to"
    protocol = definition.get("proto") or "http"
    if protocol not in PROTOCOLS:
        return f"Invalid protocol name '{protocol}'"
    bind_tls = definition.get("bind_tls")
    if bind_tls is not None and bind_tls not in BIND_TLS:
        return f"HTTP tunnel '{name}' specifies invalid 'bind_tls': {bind_tls}"
    return None


# --- inside ----------------------------------------------------------------------------------


def _uri(kind: str, name: str) -> str:
    return f"/api/{kind}/{quote(name, safe='')}"


def _stable_id(tunnel: TunnelView) -> str:
    """32 hex digits, the same for as long as the tunnel has its name and its URL."""
    return hashlib.sha256(f"{tunnel.name}\n{tunnel.url}".encode()).hexdigest()[:32]


def _metrics(tunnel: TunnelView) -> dict[str, Any]:
    exchanges = _reading(tunnel.exchanges)
    return {
        "conns": {"count": tunnel.connections.count, "gauge": tunnel.connections.gauge}
        | _reading(tunnel.connections),
        "http": exchanges,
    }


def _reading(reading: Reading) -> dict[str, float]:
    """Return it as ngrok has it: rates per second, percentiles in nanoseconds."""
    return {
        "count": reading.count,
        "rate1": reading.rate1,
        "rate5": reading.rate5,
        "rate15": reading.rate15,
        "p50": reading.p50 * NANOSECONDS,
        "p90": reading.p90 * NANOSECONDS,
        "p95": reading.p95 * NANOSECONDS,
        "p99": reading.p99 * NANOSECONDS,
    }


def _by_name(headers: Headers) -> dict[str, list[str]]:
    """Join fields of one name, whatever its case, under the way it is written first of all."""
    spelled: dict[bytes, str] = {}
    found: dict[str, list[str]] = {}
    for name, value in headers:
        shown = spelled.setdefault(name.lower(), _canonical(name))
        found.setdefault(shown, []).append(value.decode("latin-1"))
    return found


def _canonical(name: bytes) -> str:
    """Return ``Content-Type``, as programs that read ngrok's API look for it."""
    return "-".join(
        word[:1].upper() + word[1:].lower() for word in name.decode("latin-1").split("-")
    )


def _raw(line: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> str:
    fields = b"".join(b"%b: %b\r\n" % field for field in headers)
    return base64.b64encode(b"%b\r\n%b\r\n%b" % (line, fields, body)).decode()
