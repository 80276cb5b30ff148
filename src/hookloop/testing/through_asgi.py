"""Into an ASGI application and out again, with the messages a server would exchange."""

import asyncio
from typing import Any
from urllib.parse import unquote

from .answer import Answer
from .signed_request import SignedRequest

__all__ = ["through_asgi"]


async def through_asgi(
    app: Any, request: SignedRequest, method: str, path: str, wait_seconds: float
) -> Answer:
    """
    Call *app* once and return what it sent. Raises `TimeoutError` after *wait_seconds*.

    Its lifespan is not run: an app that opens its database there needs a test that does.
    """
    exchange = _Exchange(request.body)
    error = None
    try:
        async with asyncio.timeout(wait_seconds) as deadline:
            await app(_scope(request, method, path), exchange.receive, exchange.send)
    except Exception as raised:  # the app's own, and any: a server answers 500 and lives on
        if deadline.expired():
            raise TimeoutError(f"the app had not answered after {wait_seconds:g} s") from None
        error = raised
    return exchange.answer(error)


class _Exchange:
    """Both queues of one request."""

    def __init__(self, body: bytes) -> None:
        self._waiting = _messages(body)
        self._sent: list[dict[str, Any]] = []
        self._is_answered = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._waiting:
            return self._waiting.pop(0)
        # A caller who waits for the answer hangs up after it, and not before.
        await self._is_answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self._sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_answered.set()

    def answer(self, error: Exception | None) -> Answer:
        start = next((one for one in self._sent if one["type"] == "http.response.start"), None)
        if start is None:
            # As a server does for an app that ends without an answer.
            return Answer(500, [], b"Internal Server Error", error=error)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in start.get("headers", [])
        ]
        body = b"".join(
            one.get("body", b"") for one in self._sent if one["type"] == "http.response.body"
        )
        return Answer(start["status"], headers, body, error=error)


def _messages(body: bytes) -> list[dict[str, Any]]:
    """Return *body* cut after its first byte and in its middle: no app may count on one piece."""
    half = len(body) // 2
    pieces = [piece for piece in (body[:1], body[1:half], body[half or 1 :]) if piece] or [b""]
    return [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]


def _scope(request: SignedRequest, method: str, path: str) -> dict[str, Any]:
    raw_path, _, query = path.partition("?")
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in request.headers
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"testserver"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
        "state": {},
    }
