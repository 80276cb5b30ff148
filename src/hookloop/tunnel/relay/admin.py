"""
The admin listener: metrics, liveness and readiness, on an address the public does not reach.

It serves them through the same `Downstream` as any caller's request, with the same limits: no
second HTTP server to get wrong.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

from hookloop.clock import Clock
from hookloop.errors import ConfigError
from hookloop.exchange import CaptureSink, RequestHead, ResponseHead, discard

from .config import RelayConfig
from .counts import Counts
from .downstream import Downstream
from .forwarded import Proxies
from .front import Page, Route, peer_name
from .http_head import Admitted
from .listening import cannot_listen
from .refusal import Refusal

__all__ = ["Admin", "start_admin"]

LIVE, READY, METRICS = b"/_hookloop/live", b"/_hookloop/ready", b"/metrics"
CONNECTIONS_MAX = 100  # a scraper and a few probes; so that a mistake here takes nothing there


class Admin:
    """The `Front` of the admin listener's connections. Call `close` in the end."""

    def __init__(
        self,
        config: RelayConfig,
        clock: Clock,
        *,
        why_not_ready: Callable[[], str | None],
        metrics: Callable[[], tuple[bytes, bytes]],
    ) -> None:
        """*metrics* returns a Content-Type and a body."""
        self.config = replace(config, access_log=False)  # a scrape is nobody's exchange
        self.clock = clock
        self.sink: CaptureSink = discard
        self.counts = Counts()  # of the admin listener itself, which nobody asks for
        self.proxies = Proxies(())
        self.scheme = "http"
        self.is_leaving = False
        self._why_not_ready = why_not_ready
        self._metrics = metrics
        self._downstreams: set[Downstream] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Raises `OSError` if the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._new_downstream, host, port)

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._server is not None, "start it first"  # noqa: S101  # caller's duty
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        host = self.config.admin_host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for downstream in list(self._downstreams):
                downstream.abort()
            await self._server.wait_closed()
            self._server = None

    # --- Front --------------------------------------------------------------------------------

    def peer_of(self, transport: asyncio.BaseTransport) -> tuple[str, int]:
        return peer_name(transport)

    def enter(self, downstream: Downstream, host: str) -> Refusal | None:  # noqa: ARG002
        return None  # the oldest makes room instead

    def route(self, admitted: Admitted) -> Route | Page | Refusal:
        if admitted.head.method not in {b"GET", b"HEAD"}:
            return Refusal(405, "bad_method", "the admin listener is read by GET")
        path = admitted.head.target.partition(b"?")[0]
        if path == LIVE:
            return _status(200, "live")
        if path == READY:
            why_not = self._why_not_ready()
            return _status(503, why_not) if why_not else _status(200, "ready")
        if path == METRICS:
            content_type, body = self._metrics()
            return _page(200, content_type, body)
        known = b", ".join([LIVE, READY, METRICS]).decode()
        return Refusal(404, "not_found", f"the admin listener has {known}")

    def is_of_agent(
        self,
        admitted: Admitted,  # noqa: ARG002  # as `Front` says
        upgrade: RequestHead,  # noqa: ARG002
    ) -> bool:
        return True  # nobody's: `open_session` refuses it

    def open_session(
        self,
        upgrade: RequestHead,  # noqa: ARG002
        transport: asyncio.Transport,  # noqa: ARG002
        rest: bytes,  # noqa: ARG002
    ) -> Refusal | None:
        return Refusal(404, "not_found", "agents connect to the public port")

    def downstream_lost(self, downstream: Downstream) -> None:
        self._downstreams.discard(downstream)

    # --- inside -------------------------------------------------------------------------------

    def _new_downstream(self) -> Downstream:
        for oldest in list(self._downstreams)[: -CONNECTIONS_MAX + 1]:
            oldest.abort()
        downstream = Downstream(self)
        self._downstreams.add(downstream)
        return downstream


async def start_admin(
    config: RelayConfig,
    clock: Clock,
    *,
    why_not_ready: Callable[[], str | None],
    metrics: Callable[[], tuple[bytes, bytes]],
) -> Admin | None:
    """Start the listener where the settings ask for one. Raises `ConfigError` if it cannot."""
    if config.admin_port is None:
        return None
    admin = Admin(config, clock, why_not_ready=why_not_ready, metrics=metrics)
    try:
        await admin.start(config.admin_host, config.admin_port)
    except OSError as error:
        why = cannot_listen(config.admin_host, config.admin_port, error, option="--admin")
        raise ConfigError(why) from error
    return admin


def _status(status: int, text: str) -> Page:
    body = json.dumps({"status": text}).encode() + b"\n"
    return _page(status, b"application/json", body)


def _page(status: int, content_type: bytes, body: bytes) -> Page:
    headers = (
        (b"Content-Type", content_type),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
    )
    reason = b"OK" if status == 200 else b"Service Unavailable"
    return Page(ResponseHead(status, reason, headers), body)
