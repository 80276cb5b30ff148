"""The ASGI face: for uvicorn and its kin, and for mounting in Starlette or FastAPI."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

from .async_runner import AsyncRunner, begin
from .incoming import Incoming
from .receive import Rejected, body_unavailable, judge_head, too_large
from .running import Waiting

if TYPE_CHECKING:
    from .receiver import Receiver

__all__ = ["BODY_SECONDS_MAX", "AsgiFace"]

BODY_SECONDS_MAX = 10.0  # until the body begins; Stripe sends head and body together

_RUNNER = AsyncRunner()

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
        if scope["type"] != "http":
            await _answer_other(self._receiver, scope["type"], receive, send)
            return
        receiver = self._receiver
        most = receiver.body_bytes_max
        request = Incoming(b"", scope["headers"], scope["method"], scope.get("path", ""))
        body: bytes | Rejected | None
        body = judge_head(request.method, request.get("content-length"), most)
        if body is None:
            asking = receive()
            if type(asking) is not CoroutineType:
                asking = _awaited(asking)
            message = begin(asking, BODY_SECONDS_MAX)
            if (
                isinstance(message, Waiting)
                or message.get("more_body", False)
                or message["type"] != "http.request"
            ):
                body = await _read(message, receive, most)
                if body is None:  # the caller has gone
                    return
            else:
                body = message.get("body", b"")
        if isinstance(body, Rejected):
            result = receiver.refuse(body)
        else:
            request.body = body
            answer = receiver.answer(request, _RUNNER)
            result = await answer if isinstance(answer, Waiting) else answer
        headers = result.asgi_headers.copy()  # middlewares add to it
        if isinstance(body, Rejected) and scope.get("http_version", "1.1").startswith("1"):
            # What is left of the body would be taken for the next request; HTTP/2 has no such
            # trouble and forbids the header.
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": result.status, "headers": headers})
        await send({"type": "http.response.body", "body": result.body})


async def _awaited(asking: Awaitable[MutableMapping[str, Any]]) -> MutableMapping[str, Any]:
    return await asking  # a coroutine whatever the server made `receive` of


async def _read(
    first: "MutableMapping[str, Any] | Waiting", receive: Receive, most: int
) -> bytes | Rejected | None:
    """Return the body, whose first message has come; a refusal; None where the caller has gone."""
    if isinstance(first, Waiting):
        try:
            message: MutableMapping[str, Any] = await first
        except TimeoutError:
            # A middleware that took the body and hands nothing on would leave us waiting for
            # ever, and the sender with no answer and us with no line in the log.
            return body_unavailable()
    else:
        message = first
    chunks = []
    size = 0
    while message["type"] == "http.request":
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            return too_large(most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()
    return None


async def _answer_other(receiver: "Receiver", kind: str, receive: Receive, send: Send) -> None:
    """Answer what is no request of HTTP."""
    if kind == "lifespan":
        inbox = receiver.inbox  # without one there is nothing to start or stop
        heard = ""
        while heard != "lifespan.shutdown":
            heard = (await receive())["type"]
            if inbox is not None:
                await asyncio.to_thread(inbox.start if "startup" in heard else inbox.stop)
            await send({"type": heard + ".complete"})
    elif kind == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
