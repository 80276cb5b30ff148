"""The sandbox on its socket: half requests, our own failures, other addresses."""

import asyncio
import logging
import urllib.error
import urllib.request

import pytest
from patience import PATIENCE

from hookloop.sandbox import SandboxConfig, running_sandbox
from hookloop.sandbox.api import Api

pytestmark = pytest.mark.anyio

ANY_PORT = SandboxConfig(port=0)


async def test_half_a_request_is_none(client_of):
    """A client that goes away in the middle of a body has changed nothing."""
    async with running_sandbox(ANY_PORT) as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_one\r\n"
            b"Content-Length: 100\r\n\r\nname=Ada"
        )
        writer.close()
        await writer.wait_closed()

        customers = await asyncio.to_thread(client_of(sandbox.url).v1.customers.list)

    assert customers.data == []


async def test_a_bug_of_ours_is_told_as_one(monkeypatch, caplog):
    """500 without a traceback; the log has that. Nobody is asked to try again."""

    def fail(*_args, **_kwargs):
        raise ZeroDivisionError("the details")

    def get(url: str) -> urllib.error.HTTPError:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url, timeout=PATIENCE)
        return caught.value

    monkeypatch.setattr(Api, "answer", fail)
    with caplog.at_level(logging.ERROR, "hookloop.sandbox"):
        async with running_sandbox(ANY_PORT) as sandbox:
            answer = await asyncio.to_thread(get, f"{sandbox.url}/v1/customers")

    with answer:
        body = answer.read().decode()
        assert (answer.code, answer.headers["Stripe-Should-Retry"]) == (500, "false")
    assert "bug" in body
    assert "ZeroDivisionError" not in body
    assert "the details" in caplog.text
