"""An upstream that keeps every byte it is sent, and reads its requests without help."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNK_LINE = re.compile(rb"[0-9a-f]{1,16}\r\n")  # no sign, no 0x, no extension, no leading space


@dataclass
class Tap:
    """What came, request by request, over all connections."""

    port: int = 0
    whole: list[bytes] = field(default_factory=list)
    """Each whole request as it was on the wire, but with the pieces of a chunked body as one."""
    cut: list[bytes] = field(default_factory=list)
    """What came of requests whose connection ended before they did."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)


@asynccontextmanager
async def tapped_upstream(answer: bytes = ANSWER) -> AsyncIterator[Tap]:
    """Answer each request with *answer*; yield what is received."""
    tap = Tap()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tap._writers.add(writer)
        try:
            while (request := await _request(reader, tap)) is not None:
                tap.whole.append(request)
                writer.write(answer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            tap._writers.discard(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    tap.port = server.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        server.close()
        for writer in list(tap._writers):
            writer.transport.abort()
        await server.wait_closed()


async def _request(reader: asyncio.StreamReader, tap: Tap) -> bytes | None:
    """Return the next request, or None at the end; what has no end is kept as cut."""
    head = b""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        return await _with_body(reader, head)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        rest = head + getattr(error, "partial", b"")
        if rest:
            tap.cut.append(rest)
        return None


async def _with_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Read a body by its framing, of which there is one and no other."""
    lengths = re.findall(rb"(?im)^content-length:[ \t]*(.*?)\r$", head)
    codings = re.findall(rb"(?im)^transfer-encoding:[ \t]*(.*?)\r$", head)
    assert len(lengths) + len(codings) <= 1, head
    if lengths:
        assert lengths[0].isdigit(), head
        return head + await reader.readexactly(int(lengths[0]))
    if not codings:
        return head
    assert codings == [b"chunked"], head
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        assert CHUNK_LINE.fullmatch(line), line
        if not (size := int(line, 16)):
            break
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    end = b"0\r\n"
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        end += line
    piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head + piece + end + b"\r\n"
