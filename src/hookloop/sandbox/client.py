"""
The HTTP client of deliveries: one POST, and its outcome as a value.

Why aiohttp: docs/decisions/0004-delivery-client.md.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from hookloop.post_outcome import beginning_of, reason_of

__all__ = ["AiohttpTransport", "Reply", "Transport"]

RESPONSE_BYTES_MAX = 2000  # Of a response body we read only what an attempt records of it.

KEEP_ALIVE_SECONDS = 1.5
"""
How long an idle connection may be used again. Shorter than servers keep theirs
(gunicorn 2 s, uvicorn and node 5 s), because a POST that meets a connection being
closed counts as a failed attempt, and the next one is minutes away.
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one POST."""

    status: int | None
    """None where no response came."""
    error: str | None = None
    """Why none came, in a few words."""
    excerpt: str = ""
    """How the body begins."""


class Transport(Protocol):
    """Posts a payload. Whatever the network does comes back as a `Reply`, never as an exception."""

    async def post(self, url: str, headers: Mapping[str, str], payload: bytes) -> Reply: ...


class AiohttpTransport:
    """A `Transport` over real sockets; an async context manager, closed at its end."""

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0,  # the worker bounds attempts per endpoint; a bound in common would join them
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            resolver=LoopbackResolver(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            skip_auto_headers=("Accept-Encoding",),  # Stripe sends none
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, url: str, headers: Mapping[str, str], payload: bytes) -> Reply:
        """Post *payload* once; redirects are answers like any other."""
        assert self._session is not None, "enter the transport before use"  # noqa: S101
        try:
            async with self._session.post(
                url, data=payload, headers=headers, allow_redirects=False
            ) as response:
                return Reply(
                    response.status,
                    excerpt=await beginning_of(response, bytes_max=RESPONSE_BYTES_MAX),
                )
        except TimeoutError:
            return Reply(None, f"no answer within {self._timeout_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(None, reason_of(error))


class LoopbackResolver(AbstractResolver):
    """
    Names under ``.localhost`` are this machine, whatever a DNS server thinks of them.

    RFC 6761 section 6.3 asks for that; many resolvers do not do it. Other names
    are resolved the usual way.
    """

    def __init__(self) -> None:
        self._others = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        name = host.rstrip(".").lower()
        if name != "localhost" and not name.endswith(".localhost"):
            return await self._others.resolve(host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=family_of_address,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address, family_of_address in _LOOPBACK
            if family in (socket.AF_UNSPEC, family_of_address)
        ]

    async def close(self) -> None:
        await self._others.close()


_LOOPBACK = [("127.0.0.1", socket.AF_INET)]
if socket.has_ipv6:
    # Second, since most development servers listen on IPv4 only.
    _LOOPBACK.append(("::1", socket.AF_INET6))
