"""A customer's server, and an outbox that sends to it."""

import asyncio
import contextlib

from aiohttp import web

from hookloop.outbox import Outbox, OutboxSettings
from hookloop.schedule import RetrySchedule

WAIT_SECONDS = 30.0
LOCAL = OutboxSettings(
    allow_http=True,
    allow_networks=("127.0.0.0/8",),
    schedule=RetrySchedule((0.0, 0.0)),
    look_seconds=0.02,
    timeout_seconds=5.0,
)


class Receiver:
    """A real server; answers by a list of statuses, then 200, and keeps what it was sent."""

    def __init__(self, *answers: int, headers: dict[str, str] | None = None) -> None:
        self.answers = list(answers)
        self.headers = headers or {}
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.changed = asyncio.Condition()
        self.hang = asyncio.Event()
        self.hang.set()

    @contextlib.asynccontextmanager
    async def listening(self):
        app = web.Application()
        app.router.add_post("/{any:.*}", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook"
        try:
            yield self
        finally:
            self.hang.set()
            await runner.cleanup()

    async def _take(self, request):
        body = await request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        async with self.changed:
            self.requests.append((headers, body))
            self.changed.notify_all()
        await self.hang.wait()
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, text=f"answer {status}", headers=self.headers)

    async def wait_requests(self, count: int) -> None:
        async with asyncio.timeout(WAIT_SECONDS), self.changed:
            await self.changed.wait_for(lambda: len(self.requests) >= count)


@contextlib.asynccontextmanager
async def running(outbox: Outbox):
    task = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def until_settled(outbox: Outbox, endpoint: str, count: int = 1):
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found = await outbox.history(endpoint)
            if len(found) >= count and all(one.delivery.state.is_settled for one in found):
                return found
            # To read it again at once would hold up what is awaited.
            await outbox._store.wait_due((f"endpoint:{endpoint}",), LOCAL.look_seconds)
