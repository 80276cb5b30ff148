"""A proxy before the relay that speaks WebSocket and knows of no other upgrade."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

PIECE_BYTES = 3000  # messages are cut anew here, and end where no frame of ours does
PING_SECONDS = 0.02  # it asks whether both sides are there, all the time


class WebSocketProxy:
    """Ends each connection here and opens another, as CDNs and meeting-room gateways do."""

    def __init__(self) -> None:
        self.port = 0
        self.opened = 0
        self.messages = 0
        self.pongs = 0


@asynccontextmanager
async def running_websocket_proxy(to_port: int) -> AsyncIterator[WebSocketProxy]:
    proxy = WebSocketProxy()

    async def pass_on(client) -> None:
        request = client.request
        headers = {"Authorization": request.headers["Authorization"]}
        try:
            server = await connect(
                f"ws://127.0.0.1:{to_port}{request.path}",
                subprotocols=[client.subprotocol],
                additional_headers=headers,
                compression=None,
                max_size=None,
                ping_interval=None,
            )
        except InvalidStatus:
            await client.close(1011)
            return
        proxy.opened += 1
        async with server, asyncio.TaskGroup() as tasks:
            for source, target in ((client, server), (server, client)):
                tasks.create_task(_pump(proxy, source, target))
            asking = tasks.create_task(_ask(proxy, client, server))
            with suppress(ConnectionClosed):
                await client.wait_closed()
            asking.cancel()

    async with serve(
        pass_on,
        "127.0.0.1",
        0,
        subprotocols=["hookloop.1"],
        compression=None,
        max_size=None,
        ping_interval=None,
    ) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy


async def _pump(proxy: WebSocketProxy, source, target) -> None:
    with suppress(ConnectionClosed):
        async for message in source:
            proxy.messages += 1
            pieces = [message[at : at + PIECE_BYTES] for at in range(0, len(message), PIECE_BYTES)]
            # One message in fragments, then the next: both are what RFC 6455 allows a proxy.
            await target.send(pieces if proxy.messages % 2 else message)
    await target.close()


async def _ask(proxy: WebSocketProxy, *sides) -> None:
    loop = asyncio.get_running_loop()
    with suppress(ConnectionClosed):
        while True:
            for side in sides:
                await (await side.ping())
                proxy.pongs += 1
            tick = asyncio.Event()
            loop.call_later(PING_SECONDS, tick.set)
            await tick.wait()
