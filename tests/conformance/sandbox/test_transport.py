"""The HTTP client of deliveries: names, long answers, reasons."""

import pytest
from aiohttp.resolver import ThreadedResolver
from receiver import Receiver

from hookloop.sandbox.client import RESPONSE_BYTES_MAX, AiohttpTransport, LoopbackResolver

pytestmark = pytest.mark.anyio


@pytest.fixture
def no_dns(monkeypatch):
    """Whoever asks a DNS server gets an error."""

    async def resolve(*_args, **_kwargs):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "a.tun.LOCALHOST", "a.localhost."])
async def test_names_below_localhost_are_this_machine(no_dns, host):
    """Without asking anyone, IPv4 first (RFC 6761 section 6.3)."""
    resolver = LoopbackResolver()

    found = await resolver.resolve(host, 80)

    assert found[0]["host"] == "127.0.0.1"
    assert {entry["host"] for entry in found} <= {"127.0.0.1", "::1"}
    await resolver.close()


async def test_other_names_are_asked_for(no_dns):
    """A name that only ends alike is none of this machine's."""
    async with AiohttpTransport(timeout_seconds=10) as transport:
        reply = await transport.post("http://notlocalhost/", {}, b"")

    assert reply.error == "host not found: notlocalhost"


async def test_a_url_that_cannot_be_used_is_a_reply_too():
    """Nothing raises, whatever an endpoint's URL has become."""
    async with AiohttpTransport(timeout_seconds=10) as transport:
        reply = await transport.post("http://", {}, b"")

    assert reply.status is None
    assert reply.error is not None
    assert reply.error.startswith("no valid answer: Invalid")


async def test_tls_that_fails_says_so():
    """A plain server behind https."""
    async with AiohttpTransport(timeout_seconds=10) as transport, Receiver() as receiver:
        reply = await transport.post(receiver.url().replace("http:", "https:"), {}, b"")

    assert reply.error is not None
    assert reply.error.startswith("TLS failed")


async def test_a_long_answer_is_read_only_as_far_as_it_is_kept():
    """An endless body cannot fill the sandbox's memory."""
    async with AiohttpTransport(timeout_seconds=10) as transport, Receiver() as receiver:
        receiver.text = "x" * 1_000_000
        reply = await transport.post(receiver.url(), {}, b"")

    assert (reply.status, len(reply.excerpt)) == (200, RESPONSE_BYTES_MAX)


async def test_no_proxy_of_the_environment_is_used(monkeypatch):
    """Deliveries go to the endpoint, not to a company's proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with AiohttpTransport(timeout_seconds=10) as transport, Receiver() as receiver:
        reply = await transport.post(receiver.url(), {}, b"")

    assert (reply.status, reply.excerpt) == (200, "so it is")
