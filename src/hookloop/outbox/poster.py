"""One signed POST over aiohttp, to public addresses only, and its outcome as a value."""

import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from hookloop.post_outcome import beginning_of, reason_of
from hookloop.version import __version__

from .guard import AddressGuard
from .judgement import Reply

__all__ = ["AiohttpPoster", "Poster"]

EXCERPT_BYTES_MAX = 2000
"""Of an answer, what its record shows; a hostile one may have no end."""

KEEP_ALIVE_SECONDS = 1.5
"""Shorter than servers keep theirs: a POST that meets a connection being closed has failed."""


class Poster(Protocol):
    """Posts. Whatever the network does comes back as a `Reply`, never as an exception."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply: ...


class AiohttpPoster:
    """A `Poster` over real sockets; an async context manager, closed at its end."""

    def __init__(self, guard: AddressGuard, *, timeout_seconds: float) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the lanes bound it: a bound in common would join the endpoints
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                resolver=_GuardedResolver(self._guard),
            ),
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            skip_auto_headers=("Accept-Encoding",),  # an answer that unpacks into gigabytes
            headers={"User-Agent": f"hookloop/{__version__}"},
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

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        assert self._session is not None, "enter the poster before use"  # noqa: S101
        # A literal address goes past the resolver.
        if refusal := self._guard.refusal_of_name(URL(url).host or ""):
            return Reply(None, f"not sent: {refusal}", is_refused=True)
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                beginning = await beginning_of(response, bytes_max=EXCERPT_BYTES_MAX)
                return Reply(
                    response.status,
                    retry_after=response.headers.get("Retry-After"),
                    excerpt=" ".join(beginning.split()),
                )
        except TimeoutError:
            return Reply(None, f"no answer within {self._timeout_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(None, _reason(error))


class _RefusedAddressError(OSError):
    """A name led to an address that is not posted to."""


class _GuardedResolver(AbstractResolver):
    """Refuses names of addresses that are not posted to: what it returns is connected to."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        refusals = [self._guard.refusal(result["host"]) for result in found]
        if any(refusals):  # one bad address of several is a trick, not a mistake
            raise _RefusedAddressError(f"not sent: {next(filter(None, refusals))}")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError) and isinstance(
        error.os_error, _RefusedAddressError
    ):
        return str(error.os_error)
    return reason_of(error)
