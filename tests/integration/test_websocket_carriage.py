"""Sessions inside WebSocket messages, for the proxies that pass nothing else."""

import asyncio
from contextlib import suppress

import pytest
import uvloop
from patience import PATIENCE
from tunnel_loop import (
    Recorder,
    agent_config,
    echo,
    is_clean,
    loop_of,
    on_a_loop,
    post,
    relay_config,
    running_upstream,
    until,
)
from websocket_proxy import running_websocket_proxy
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hookloop.errors import RemoteError
from hookloop.tunnel.agent import running_agent
from hookloop.tunnel.agent.dial import dial
from hookloop.tunnel.relay import running_relay
from hookloop.tunnel.wire.handshake import Carriage

BODY = bytes(range(256)) * 8 * 1024  # 2 MiB


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("via", [None, Carriage.WEBSOCKET], ids=["found out", "asked for"])
def test_a_session_passes_a_proxy_that_speaks_websocket_alone(loop_factory, via):
    """Bodies come through bit for bit, however the proxy cuts the messages anew."""

    async def test():
        async with loop_of() as loop, running_websocket_proxy(loop.relay.port) as proxy:
            agent = await loop.another_agent(
                "inside", relay_url=f"http://127.0.0.1:{proxy.port}", via=via
            )
            host = agent.url.removeprefix("http://").encode()
            answers = [await loop.ask(post(body, host=host)) for body in (b"small", BODY, b"")]
            await until(lambda: proxy.pongs > 4)
            after = await loop.ask(post(b"still here", host=host))

            assert [answer.body for answer in answers] == [b"small", BODY, b""]
            assert after.body == b"still here"
            assert agent.statistics().sessions == 1
            await agent.close()

    on_a_loop(test, loop_factory=loop_factory)()


@on_a_loop
async def test_the_agent_comes_back_through_the_proxy():
    """A proxy that restarts cuts the connection: the name is there again after it."""
    async with running_upstream(echo) as port, running_relay(relay_config()) as relay:
        told = Recorder()
        async with running_websocket_proxy(relay.port) as proxy:
            config = agent_config(relay, port, relay_url=f"http://127.0.0.1:{proxy.port}")
            async with running_agent(config, observer=told) as agent:
                url = agent.url
                [link] = relay._links
                link.drop("cut")
                await until(lambda: len(told.ups) == 2)

                assert told.ups == [url, url]


@on_a_loop
async def test_a_relay_that_leaves_says_so_inside_the_messages():
    """Both ends close without an error, and nothing is left."""
    async with running_upstream(echo) as port:
        told = Recorder()
        async with running_relay(relay_config()) as relay:
            config = agent_config(relay, port, via=Carriage.WEBSOCKET)
            running = running_agent(config, observer=told)
            await running.__aenter__()
            await relay.stop()
            assert is_clean(relay)
            await until(lambda: told.downs)
            await running.__aexit__(None, None, None)


@on_a_loop
async def test_websocket_to_a_relay_that_knows_no_such_token_is_refused_as_ever():
    """The carriage changes nothing about who may enter."""
    async with loop_of() as loop:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(
                    f"ws://127.0.0.1:{loop.relay.port}/_hookloop/session",
                    subprotocols=["hookloop.1"],
                    additional_headers=headers,
                )
            assert refused.value.response.status_code == 401


@on_a_loop
async def test_a_websocket_of_a_later_version_is_told_ours():
    """As with the plain upgrade."""
    async with loop_of() as loop:
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                f"ws://127.0.0.1:{loop.relay.port}/_hookloop/session", subprotocols=["hookloop.2"]
            )
        assert refused.value.response.status_code == 426


@on_a_loop
@pytest.mark.parametrize("sent", ["text", b"\xff" * 9])
async def test_one_that_says_what_is_no_frame_is_cut(sent):
    """Text, and bytes that are none of ours."""
    async with loop_of() as loop:
        client = await connect(
            f"ws://127.0.0.1:{loop.relay.port}/_hookloop/session",
            subprotocols=["hookloop.1"],
            additional_headers={"Authorization": "Bearer hlt_only-for-these-tests"},
        )
        await client.send(sent)
        said = b""
        with suppress(ConnectionClosed):
            async for message in client:
                said += message

        expected = (1003, False) if sent == "text" else (1000, True)
        assert (client.close_code, b"protocol_error" in said) == expected


@on_a_loop
async def test_what_is_no_relay_by_either_carriage_is_named_as_such():
    """The second try must not hide what the first one saw."""

    async def web_page(served):
        await served.answer(b"hello")

    async with running_upstream(web_page) as port:
        with pytest.raises(RemoteError, match="not a hookloop relay"):
            await dial(f"http://127.0.0.1:{port}", "token", timeout=PATIENCE)


@on_a_loop
async def test_a_plain_request_for_a_session_is_told_what_is_missing():
    """A proxy that drops Upgrade is the usual cause."""
    async with loop_of() as loop:
        caller = await loop.call()
        answer = await caller.ask(b"GET /_hookloop/session HTTP/1.1\r\nHost: tun.test\r\n\r\n")

        assert (answer.status, answer.values(b"hookloop-error")) == (426, [b"upgrade_lost"])
