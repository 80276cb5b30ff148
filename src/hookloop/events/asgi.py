"""The ASGI face: for uvicorn and its kin, and for mounting in Starlette or FastAPI."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .receive import Rejected, body_unavailable, judge_head, too_large
from .result import JSON_HEADERS
from .running import within

if TYPE_CHECKING:
    from .receiver import Receiver
    from .result import Result

__all__ = ["BODY_SECONDS_MAX", "AsgiFace"]

BODY_SECONDS_MAX = 10.0  # until the body begins; Stripe sends head and body together

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiFace:
    """
    An ASGI application that answers webhooks at whatever path it is asked.

    An object rather than a function, so that a Starlette ``Route`` takes it as an
    application and a path with or without a slash at its end is answered, never redirected.
    """

    def __init__(self, receiver: "Receiver") -> None:
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = await self._read(scope, receive)
            if isinstance(body, Rejected):
                # What is left of the body would be taken for the next request; HTTP/2 has
                # no such trouble and forbids the header.
                closes = scope.get("http_version", "1.1").startswith("1")
                await _answer(send, self._receiver.refuse(body), closes=closes)
            elif body is not None:
                result = await self._receiver.areceive(
                    body, scope["headers"], path=scope.get("path", "")
                )
                await _answer(send, result, closes=False)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _read(self, scope: Scope, receive: Receive) -> bytes | Rejected | None:
        """Return the body, a refusal without reading more, or None where the caller has gone."""
        most = self._receiver.body_bytes_max
        length = b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
                break
        refused = judge_head(scope["method"], length, body_bytes_max=most)
        if refused is not None:
            return refused
        try:
            message = await within(BODY_SECONDS_MAX, _next(receive))
        except TimeoutError:
            # A middleware that took the body and hands nothing on would leave us waiting for
            # ever, and the sender with no answer and us with no line in the log.
            return body_unavailable()
        if message["type"] != "http.request":
            return None
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            return await _read_rest(body, receive, most)
        return body if len(body) <= most else too_large(most)


async def _next(receive: Receive) -> MutableMapping[str, Any]:
    return await receive()  # a coroutine whatever the server made `receive` of


async def _read_rest(first: bytes, receive: Receive, most: int) -> bytes | Rejected | None:
    chunks = [first]
    size = len(first)
    more = True
    while more:
        if size > most:
            return too_large(most)
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks) if size <= most else too_large(most)


async def _answer(send: Send, result: "Result", *, closes: bool) -> None:
    headers = [(b"content-length", b"%d" % len(result.body))]
    headers += _JSON if result.headers is JSON_HEADERS else _encoded(result.headers)
    if closes:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": result.status, "headers": headers})
    await send({"type": "http.response.body", "body": result.body})


def _encoded(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


_JSON = _encoded(JSON_HEADERS)  # those of nearly every answer


async def _live(receive: Receive, send: Send) -> None:
    """There is nothing to start or stop; say so, as a server with lifespan on expects."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
