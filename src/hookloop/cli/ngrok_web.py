"""Where ngrok's local API is served, and to whom: this machine's programs and no web page."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute

from hookloop.errors import ConfigError
from hookloop.inner_server import InnerServer

__all__ = ["bound_web", "is_local_host", "running_web"]

WEB_HOST, WEB_PORT = "127.0.0.1", 4040  # where everybody looks for ngrok's
PORTS_TRIED = 10
SHUTDOWN_SECONDS = 1.0

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def bound_web(addr: str | None, warn: Callable[[str], None]) -> socket.socket:
    """
    Listen at *addr*, or without one at 127.0.0.1:4040 or the next port that is free.

    Raises `ConfigError` where a place that was asked for is taken.
    """
    if addr is not None:
        host, _, port = addr.rpartition(":")
        if not (port.isascii() and port.isdecimal()):
            raise ConfigError(f"web_addr is {addr!r}: give it as host:port")
        try:
            return socket.create_server((host.strip("[]") or WEB_HOST, int(port)))
        except (OSError, OverflowError) as error:
            raise ConfigError(f"cannot serve the web interface at {addr}: {error}") from None
    for number in range(PORTS_TRIED):
        try:
            return socket.create_server((WEB_HOST, WEB_PORT + number))
        except OSError:
            if number == 0:
                warn("can't bind default web address, trying alternatives")
    raise ConfigError(
        f"ports {WEB_PORT} to {WEB_PORT + PORTS_TRIED - 1} are taken: set web_addr to a free one"
    )


@contextlib.asynccontextmanager
async def running_web(listener: socket.socket, routes: list[BaseRoute]) -> AsyncIterator[str]:
    """Serve *routes* on *listener* for the length of a with-block, and yield host:port."""
    server = InnerServer(_only_local(Starlette(routes=routes)), shutdown_seconds=SHUTDOWN_SECONDS)
    host, port = listener.getsockname()[:2]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


def is_local_host(host: str) -> bool:
    """Say whether only this machine is called so: other names can be made to lead here."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _only_local(app: Asgi) -> Asgi:
    """A page of the web may have its own name lead to 127.0.0.1: its Host tells."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
            if not is_local_host(host):
                answer = PlainTextResponse(
                    f"Rejected host {host!r}. Call it localhost or 127.0.0.1.\n", status_code=401
                )
                await answer(scope, receive, send)
                return
        await app(scope, receive, send)

    return guarded
