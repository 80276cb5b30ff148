"""The ASGI face: for uvicorn and its kin, and for mounting in Starlette or FastAPI."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .hooks import Hooks, Result

__all__ = ["AsgiFace"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiFace:
    """
    An ASGI application that answers webhooks at whatever path it is asked.

    An object rather than a function, so that a Starlette ``Route`` takes it as an
    application and a path with or without a slash at its end is answered, never redirected.
    """

    def __init__(self, hooks: "Hooks") -> None:
        self._hooks = hooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await _answer(send, *await self._result(scope, receive))

    async def _result(self, scope: Scope, receive: Receive) -> "tuple[Result, bool]":
        """Return the result and whether the request's body was read to its end."""
        from .hooks import Result

        if scope["method"] != "POST":
            allow = (("Allow", "POST"), ("Content-Type", "application/json"))
            return Result(405, "method_not_allowed", allow), False
        body = await _read_body(scope, receive, self._hooks.body_bytes_max)
        if body is None:
            return Result(413, "body_too_large"), False
        return await self._hooks.areceive(body, scope["headers"]), True


async def _read_body(scope: Scope, receive: Receive, most: int) -> bytes | None:
    """Return the body, or None where it is over *most* bytes: then no more of it is read."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            return None
    chunks = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


async def _answer(send: Send, result: "Result", is_body_read: bool) -> None:
    body = result.body
    headers = [(name.lower().encode(), value.encode()) for name, value in result.headers]
    headers.append((b"content-length", b"%d" % len(body)))
    if not is_body_read:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": result.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """There is nothing to start or stop; say so, as a server with lifespan on expects."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
