"""A real receiver on a real socket, and a clock the test moves."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web
from patience import PATIENCE


class ManualClock:
    """Stands still until it is advanced."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Receiver:
    """An HTTP server that keeps what it is sent and answers as it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        """Where each came to."""
        self.statuses: list[int] = []
        """The next answers; 200 once there are none."""
        self.headers: dict[str, str] = {}
        self.text = "so it is"
        self.gate = asyncio.Event()
        """Nothing is answered while it is not set."""
        self.gate.set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self._runner.cleanup()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def wait_received(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.received) >= count)

    async def first_at(self, path: str) -> tuple[dict[str, str], bytes]:
        """Return the first thing that came to *path*, once something has."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: path in self.paths)
        return self.received[self.paths.index(path)]

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._changed:
            self.received.append((dict(request.headers), body))
            self.paths.append(request.path)
            self._changed.notify_all()
        await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, text=self.text, headers=self.headers)


class Watcher:
    """Keeps what an observer is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.ended: list[Any] = []
        self.requests: list[Any] = []
        self._news = asyncio.Event()

    def request_answered(self, request: Any) -> None:
        self.requests.append(request)
        self._news.set()

    def attempt_started(self, attempt: Any) -> None:
        self.started.append(attempt)
        self._news.set()

    def attempt_ended(self, attempt: Any) -> None:
        self.ended.append(attempt)
        self._news.set()

    async def wait_until(self, condition: Callable[["Watcher"], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._news.clear()
                await self._news.wait()

    async def wait_ended(self, count: int) -> None:
        await self.wait_until(lambda watcher: len(watcher.ended) >= count)
