"""Calls a running sandbox from the command line, and says in a sentence what went wrong."""

import json
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp

from hookloop.errors import ConfigError, RemoteError
from hookloop.sandbox.client import LoopbackResolver

__all__ = ["SandboxCaller"]

ANSWER_SECONDS = 30.0


class SandboxCaller:
    """A sandbox at *url*, with the account of *key*; an async context manager."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=LoopbackResolver()),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
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

    async def call(
        self, method: str, path: str, params: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return the status and the JSON of the answer. Raises `ConfigError` without a sandbox."""
        assert self._session is not None, "enter the caller before use"  # noqa: S101
        form = urlencode(params or {})
        query = f"?{form}" if form and method != "POST" else ""
        headers = dict(self._headers)
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            async with self._session.request(
                method,
                f"{self._url}{path}{query}",
                data=form if method == "POST" else None,
                headers=headers,
            ) as response:
                return response.status, json.loads(await response.read())
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
            raise ConfigError(
                f"no sandbox answers at {self._url}: start one with `hookloop sandbox`, or name "
                "its address with --url"
            ) from None

    async def result(self, method: str, path: str, params: dict[str, str] | None = None) -> Any:
        """Return the JSON of a good answer. Raises `RemoteError` with the message of a bad one."""
        status, answer = await self.call(method, path, params)
        if status != 200:
            raise RemoteError(
                f"{method} {path} was answered {status}: {answer['error']['message']}"
            )
        return answer
