"""A TCP proxy that changes what passes: somebody in the middle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tunnel_loop import until


@asynccontextmanager
async def running_tampering_proxy(to_port: int, old: bytes, new: bytes) -> AsyncIterator[int]:
    """
    Pass bytes on to *to_port*, with *old* replaced by *new* on the way there; yield the port.

    Both must fit one read, and have the same length: framing stays as it was.
    """
    assert len(old) == len(new)
    open_writers = set()

    async def serve(reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", to_port)
        open_writers.update({writer, back})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pump(reader, back, lambda data: data.replace(old, new)))
            tasks.create_task(_pump(there, writer, lambda data: data))
        open_writers.difference_update({writer, back})

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        for writer in list(open_writers):
            writer.transport.abort()
        await until(lambda: not open_writers)


async def _pump(reader, writer, change) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(change(data))
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
