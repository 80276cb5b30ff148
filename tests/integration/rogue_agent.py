"""An agent with a good token and bad manners: it sends whatever frames a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tunnel_loop import DOMAIN, TOKEN, soon

from hookloop.tunnel.wire.frames import END, Frame, FrameDecoder, FrameType, encode_frame
from hookloop.tunnel.wire.handshake import session_request
from hookloop.tunnel.wire.messages import Bind, Hello

NAME = "rogue"
HOST = f"{NAME}.{DOMAIN}".encode()
HELLO = Hello("rogue", "rogue/1", 2**31 - 1, 2**31 - 1, streams_max=1_000_000)


class Rogue:
    """The agent's end of one session, frame by frame."""

    def __init__(self, reader, writer) -> None:
        self._reader = reader
        self._decoder = FrameDecoder()
        self._frames: list[Frame] = []
        self.writer = writer

    async def send(self, type_: FrameType, payload=b"", *, stream=0, flags=0) -> None:
        self.writer.write(encode_frame(type_, payload, stream=stream, flags=flags))
        await self.writer.drain()

    async def heard(self, type_: FrameType) -> Frame:
        """Return the next frame of *type_*; what comes before it is dropped."""
        while True:
            while not self._frames:
                data = await soon(self._reader.read(65536))
                assert data, f"the relay closed before {type_.name}"
                self._frames = self._decoder.receive_data(data)
            if (frame := self._frames.pop(0)).type == type_:
                return frame

    async def is_closed(self) -> bool:
        """Read to the end of the session, which must come."""
        with suppress(ConnectionError):
            while await soon(self._reader.read(65536)):
                pass
        return True

    async def answer(self, head: bytes, *bodies: bytes, stream: int, flags: int = END) -> None:
        """Send a response in one write, so that the relay reads it in one turn."""
        frames = [encode_frame(FrameType.RESPONSE, head, stream=stream)]
        for body in bodies:
            is_last = flags if body is bodies[-1] else 0
            frames.append(encode_frame(FrameType.DATA, body, stream=stream, flags=is_last))
        self.writer.write(b"".join(frames))
        await self.writer.drain()


@asynccontextmanager
async def rogue_agent(port: int, *, is_bound: bool = True) -> AsyncIterator[Rogue]:
    """Open a session at the relay on *port*, and bind `NAME` unless told otherwise."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(session_request(DOMAIN, TOKEN))
        await soon(reader.readuntil(b"\r\n\r\n"))
        rogue = Rogue(reader, writer)
        if is_bound:
            await rogue.send(FrameType.HELLO, HELLO.encode())
            await rogue.send(FrameType.BIND, Bind(1, NAME).encode())
            await rogue.heard(FrameType.BOUND)
        yield rogue
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
