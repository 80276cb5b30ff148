"""The ASGI face does not wait for ever for a body that somebody else has read."""

import asyncio

import pytest

from hookloop import Hooks
from hookloop.events import asgi


async def never() -> dict:
    """Stand for a middleware that took the body: the server has nothing more to hand out."""
    return await asyncio.get_running_loop().create_future()


def test_a_body_taken_by_a_middleware_is_answered_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The sender gets a 500 and sends again, and the log names the cure."""
    monkeypatch.setattr(asgi, "BODY_SECONDS_MAX", 0.01)
    sent = []
    scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"512")]}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(Hooks(secrets="whsec_test").asgi(scope, never, send))

    assert sent[0]["status"] == 500
    assert sent[1]["body"] == b'{"outcome": "raw_body_unavailable"}'
    assert "read it" in caplog.text
