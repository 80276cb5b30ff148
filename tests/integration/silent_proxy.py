"""A way to the relay that goes silent without closing, as connections of a sleeping laptop do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tunnel_loop import until


class SilentProxy:
    """Passes bytes both ways, until `go_silent` mutes the connections that are open then."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        """All that were ever opened."""
        self.open: dict[asyncio.StreamWriter, asyncio.Event] = {}

    def go_silent(self) -> None:
        """Swallow what comes from now on; connections opened after this one pass again."""
        for is_mute in self.open.values():
            is_mute.set()

    async def serve(self, to_port: int, reader, writer) -> None:
        is_mute = asyncio.Event()
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", to_port)
        self.open |= {writer: is_mute, back: is_mute}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, back, is_mute))
                tasks.create_task(_pump(there, writer, is_mute))
        finally:
            for each in (writer, back):
                del self.open[each]
                each.transport.abort()


@asynccontextmanager
async def running_silent_proxy(to_port: int) -> AsyncIterator[SilentProxy]:
    proxy = SilentProxy()
    server = await asyncio.start_server(
        lambda reader, writer: proxy.serve(to_port, reader, writer), "127.0.0.1", 0
    )
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for writer in list(proxy.open):
            writer.transport.abort()
        await until(lambda: not proxy.open)


async def _pump(reader, writer, is_mute) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            if not is_mute.is_set():
                writer.write(data)
                await writer.drain()
    if not is_mute.is_set():
        writer.close()
