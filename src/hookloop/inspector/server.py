"""
Serves the inspector's pages, on this machine alone, beside the traffic they show.

Who may ask: only whoever knows it by a local name, because any web page a browser has open may
send requests to 127.0.0.1, under a name of its own (DNS rebinding) or without reading the
answer (cross-site writes). And no page runs what was captured: the content security
policy allows our own one script.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hookloop.errors import ConfigError
from hookloop.inner_server import InnerServer

__all__ = ["HOST", "PORT", "LocalOnly", "inspector_listener", "running_inspector"]

HOST = "127.0.0.1"
PORT = 4040  # ngrok's: people have it in their fingers, programs in their settings
PORTS_MAX = 100  # to look through where it is taken
SHUTDOWN_SECONDS = 0.3  # open event streams end with the command

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def inspector_listener(address: str | None = None) -> socket.socket:
    """
    Listen at *address*, ``host:port``, ``host`` or ``port``; without one, at the first free port.

    Raises `ConfigError` where a named one is taken.
    """
    if address is None:
        for port in range(PORT, PORT + PORTS_MAX):
            with contextlib.suppress(OSError):
                return socket.create_server((HOST, port))
        raise ConfigError(f"all ports from {PORT} to {PORT + PORTS_MAX - 1} are taken: --inspect")
    host, colon, port_text = address.rpartition(":")
    if not colon and not address.isdecimal():
        host, port_text = address, str(PORT)
    try:
        return socket.create_server((host.strip("[]") or HOST, int(port_text)))
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"the inspector cannot listen at {address}: {error}; give another HOST:PORT with "
            "--inspect, or off"
        ) from None


@contextlib.asynccontextmanager
async def running_inspector(
    listener: socket.socket, routes: Sequence[BaseRoute], *, hosts: Sequence[str] = ()
) -> AsyncIterator[str]:
    """Serve *routes* for the length of a with-block; yield the address of the pages."""
    host, port = listener.getsockname()[:2]
    app = LocalOnly(Starlette(routes=list(routes)), hosts=(*hosts, host))
    server = InnerServer(app, shutdown_seconds=SHUTDOWN_SECONDS)
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        await server.listening.wait()
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
        except Exception as error:
            failure = error  # raised again below, where the group cannot wrap it
        finally:
            server.should_exit = True
    if failure is not None:
        raise failure


class LocalOnly:
    """Refuses what comes by another name, and writes that another site's page sends."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str] = ()) -> None:
        """*hosts*: further names by which it may be asked; ``.name`` for all below it."""
        self._app = app
        self._hosts = [host.lower() for host in hosts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(_name(host)):
            text = f'Rejected host "{host}": ask for it as localhost or 127.0.0.1\n'
            await PlainTextResponse(text, 401)(scope, receive, send)
            return
        if scope["method"] not in _SAFE_METHODS and not _is_same_site(headers, host):
            text = "Rejected: another site's page sent this\n"
            await PlainTextResponse(text, 403)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.setdefault("Content-Security-Policy", POLICY)
                answer.setdefault("Cache-Control", "no-store")
                answer["X-Content-Type-Options"] = "nosniff"
                # Not "no-referrer": a form of ours would then say that its Origin is null.
                answer["Referrer-Policy"] = "same-origin"
                answer["Cross-Origin-Resource-Policy"] = "same-origin"
                answer["Cross-Origin-Opener-Policy"] = "same-origin"
                answer["X-Frame-Options"] = "DENY"
            await send(message)

        await self._app(scope, receive, guarded)

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or name.endswith(".localhost"):
            return True
        for host in self._hosts:
            if name == host or (host.startswith(".") and name.endswith(host)):
                return True
        try:
            return ip_address(name).is_loopback
        except ValueError:
            return False


def _name(host: str) -> str:
    """Return a Host's name without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def _is_same_site(headers: Headers, host: str) -> bool:
    """A browser says where a write comes from; a program says nothing, and is no browser."""
    origin = headers.get("origin")
    if origin is not None:
        return origin.lower() in {f"http://{host}".lower(), f"https://{host}".lower()}
    return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
