"""What is particular to ASGI: lifespan, bodies in parts, callers that leave."""

import asyncio

import pytest

from hookloop import Hooks
from hookloop.testing import make, sign

SECRET = "whsec_x"


class Server:
    """Plays the server's part, message by message."""

    def __init__(self, *messages: dict) -> None:
        self._messages = list(messages)
        self.sent: list[dict] = []
        self.read = 0

    async def receive(self) -> dict:
        if self.read == len(self._messages):
            await asyncio.Event().wait()
        self.read += 1
        return self._messages[self.read - 1]

    async def send(self, message: dict) -> None:
        self.sent.append(message)

    def run(self, hooks: Hooks, scope: dict) -> list[dict]:
        asyncio.run(asyncio.wait_for(hooks.asgi(scope, self.receive, self.send), 5))
        return self.sent


def part(body: bytes, *, more: bool = False) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


def scope(request, *, version: str = "1.1", without: str = "") -> dict:
    headers = [(n.lower().encode(), v.encode()) for n, v in request.headers if n != without]
    return {
        "type": "http",
        "http_version": version,
        "method": "POST",
        "path": "/",
        "headers": headers,
    }


@pytest.fixture
def hooks() -> Hooks:
    hooks = Hooks(SECRET, body_bytes_max=10_000)
    hooks.on_any(lambda event: None)
    return hooks


def test_lifespan_is_answered(hooks: Hooks):
    """A server with lifespan on refuses to start otherwise."""
    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})

    sent = server.run(hooks, {"type": "lifespan"})

    assert [m["type"] for m in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_websocket_is_closed(hooks: Hooks):
    """Nobody calls us that way on purpose."""
    sent = Server({"type": "websocket.connect"}).run(hooks, {"type": "websocket"})

    assert sent == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_a_body_in_any_parts_is_one_body(hooks: Hooks, size: int):
    """What was signed is their sum."""
    request = sign(make("customer.updated"), SECRET)
    chunks = [request.body[i : i + size] for i in range(0, len(request.body), size)]
    server = Server(*(part(chunk, more=True) for chunk in chunks), part(b""))

    sent = server.run(hooks, scope(request))

    assert sent[0]["status"] == 200


def test_a_body_without_a_length_is_refused_once_it_is_too_large(hooks: Hooks):
    """And no more of it is read."""
    request = sign(make("customer.updated"), SECRET)
    server = Server(*(part(b"x" * 4000, more=True) for _ in range(100)))

    sent = server.run(hooks, scope(request, without="Content-Length"))

    assert sent[0]["status"] == 413
    assert server.read == 3


def test_a_body_announced_too_large_is_refused_unread(hooks: Hooks):
    """The connection ends: what is left would be taken for the next request."""
    request = sign(b"x" * 10_001, SECRET)
    server = Server(part(request.body))

    sent = server.run(hooks, scope(request))

    assert (sent[0]["status"], server.read) == (413, 0)
    assert (b"connection", b"close") in sent[0]["headers"]


def test_http_2_is_told_nothing_of_connections(hooks: Hooks):
    """The header is forbidden there."""
    request = sign(b"x" * 10_001, SECRET)

    sent = Server(part(request.body)).run(hooks, scope(request, version="2"))

    assert b"connection" not in dict(sent[0]["headers"])


@pytest.mark.parametrize("parts", [[], [part(b"{", more=True)]], ids=["at once", "in the middle"])
def test_a_caller_that_leaves_while_it_sends_gets_no_answer(hooks: Hooks, parts: list):
    """And is no error of ours."""
    request = sign(make("customer.updated"), SECRET)
    server = Server(*parts, {"type": "http.disconnect"})

    assert server.run(hooks, scope(request)) == []


def test_handlers_run_to_their_end_when_the_request_is_cancelled(hooks: Hooks):
    """As some servers do when the caller hangs up; the next attempt finds the event done."""
    request = sign(make("customer.updated"), SECRET)

    async def main() -> tuple[list[str], int]:
        begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        seen = []

        @hooks.on_any
        async def slow(event) -> None:
            begun.set()
            await may_end.wait()
            seen.append(event.id)
            ended.set()

        server = Server(part(request.body))
        asking = asyncio.ensure_future(hooks.asgi(scope(request), server.receive, server.send))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        may_end.set()
        await ended.wait()
        await asyncio.sleep(0)  # the turn in which it is noted as done
        again = Server(part(request.body))
        await hooks.asgi(scope(request), again.receive, again.send)
        return seen, again.sent[1]["body"]

    seen, body = asyncio.run(asyncio.wait_for(main(), 5))

    assert len(seen) == 1
    assert body == b'{"outcome": "duplicate"}'
