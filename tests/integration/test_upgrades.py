"""
Requests that leave HTTP, through both ends: WebSocket with a real client and a real server, and
what nobody's library would send.
"""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop
from tunnel_loop import HOST, free_port, get, loop_of, on_a_loop, post, soon, until
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from hookloop.tunnel.agent.config import Upstream

LARGE = bytes(range(256)) * 64 * 1024  # 16 MiB
ON_BOTH_LOOPS = pytest.mark.parametrize(
    "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop]
)
ASK = get(b"/live", fields=b"Connection: Upgrade\r\nUpgrade: shout/1\r\n")
GRANT = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout/1\r\n\r\n"


@asynccontextmanager
async def dialled(loop, host=HOST, **settings):
    """A WebSocket client that calls through the relay."""
    uri = f"ws://{host.decode()}:{loop.relay.port}/live?a=1"
    settings = {"max_size": None, "ping_interval": None, **settings}
    async with connect(uri, host="127.0.0.1", port=loop.relay.port, **settings) as client:
        yield client


@asynccontextmanager
async def websocket(handler, *, relay=None, client=None, **settings):
    """Yield the loop and a client whose server runs *handler*."""
    async with serve(
        handler, "127.0.0.1", 0, max_size=None, ping_interval=None, **settings
    ) as server:
        port = server.sockets[0].getsockname()[1]
        async with loop_of(relay=relay, agent={"upstream": Upstream("127.0.0.1", port)}) as loop:
            async with dialled(loop, **(client or {})) as connection:
                yield loop, connection
            await until(lambda: loop.relay.statistics().streams_open == 0)


async def echo(connection):
    with suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


# --- WebSocket ----------------------------------------------------------------------------


@ON_BOTH_LOOPS
def test_messages_go_both_ways(loop_factory):
    """Text and bytes, empty, in fragments, and 16 MiB in one frame."""

    async def test():
        async with websocket(echo) as (_, client):
            for message in ("text é", b"", b"\x00\xff", LARGE):
                await client.send(message)
                assert await soon(client.recv()) == message
            await client.send([b"in ", b"three ", b"fragments"])
            assert await soon(client.recv()) == b"in three fragments"

    on_a_loop(test, loop_factory=loop_factory)()


@on_a_loop
async def test_many_messages_at_once_keep_their_order():
    """Each side sends without waiting for the other."""
    count = 2000

    async def chatty(connection):
        sending = asyncio.ensure_future(send_all(connection))
        got = [await connection.recv() for _ in range(count)]
        await sending
        await connection.send(str(got == numbered))

    async def send_all(connection):
        for message in numbered:
            await connection.send(message)

    numbered = [f"message {number}" for number in range(count)]
    async with websocket(chatty) as (_, client):
        sending = asyncio.ensure_future(send_all(client))
        got = [await soon(client.recv()) for _ in range(count)]
        await soon(sending)

        assert got == numbered
        assert await soon(client.recv()) == "True"


@on_a_loop
async def test_pings_and_pongs_pass_end_to_end():
    """They are the two ends' business: the tunnel answers none of them."""
    latencies = []

    async def pinging(connection):
        latencies.append(await (await connection.ping(b"from the server")))
        await connection.send("pinged")
        await connection.wait_closed()

    async with websocket(pinging) as (_, client):
        assert await soon(client.recv()) == "pinged"
        assert await soon(await client.ping(b"from the client")) > 0
        assert latencies[0] > 0


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_close_has_its_code_and_its_reason(who):
    """Whoever begins it."""
    seen = []

    async def closing(connection):
        if who == "server":
            await connection.close(4002, "server is done")
        await connection.wait_closed()
        seen.append((connection.close_code, connection.close_reason))

    async def test():
        async with websocket(closing) as (_, client):
            if who == "client":
                await client.close(4001, "client is done")
            await soon(client.wait_closed())
            at_client = (client.close_code, client.close_reason)
            await until(lambda: seen)

        expected = {"client": (4001, "client is done"), "server": (4002, "server is done")}[who]
        assert seen == [expected]
        assert at_client == expected

    on_a_loop(test)()


@on_a_loop
async def test_subprotocol_extension_and_fields_pass():
    """The handshake is the two ends' business too; where the caller is, the relay says."""
    seen = {}

    async def telling(connection):
        seen.update(connection.request.headers.raw_items())
        await connection.send("hello " * 100)

    asked = {"subprotocols": ["chat"], "compression": "deflate"}
    async with websocket(telling, client=asked, subprotocols=["chat"]) as (_, client):
        assert await soon(client.recv()) == "hello " * 100
        assert client.subprotocol == "chat"
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]

    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["Upgrade"] == "websocket"


@on_a_loop
async def test_a_refused_websocket_is_answered_as_the_server_did():
    """The caller's library gets status and body."""

    def refuse(connection, _request):
        return connection.respond(403, "not you\n")

    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        async with loop_of(agent={"upstream": Upstream("127.0.0.1", port)}) as loop:
            with pytest.raises(InvalidStatus) as refused:
                async with dialled(loop):
                    pass

    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b"not you\n"


@on_a_loop
async def test_a_websocket_moves_to_a_lane_and_loses_nothing():
    """In the middle of what it says."""

    async with websocket(echo) as (loop, client):
        [link] = loop.relay._links
        for number in range(50):
            await client.send(f"{number}" * 100)
        got = [await soon(client.recv()) for _ in range(50)]
        await until(lambda: any(lane.streams for lane in link._session.lanes._lanes.values()))
        await client.send(LARGE)

        assert got == [f"{number}" * 100 for number in range(50)]
        assert await soon(client.recv()) == LARGE


@on_a_loop
async def test_an_upgraded_exchange_is_captured_with_its_lengths():
    """Once it has ended, at both ends."""
    async with websocket(echo, client={"compression": None}) as (loop, client):
        await client.send(b"x" * 1000)
        await client.recv()
    at_relay, at_agent = loop.at_relay.captures[0], loop.at_agent.captures[0]

    for capture in (at_relay, at_agent):
        assert (capture.response.status, capture.failure) == (101, None)
        assert capture.request_body_bytes > 1000
        assert capture.response_body_bytes > 1000
    assert at_relay.request_body_bytes == at_agent.request_body_bytes


# --- who dies -----------------------------------------------------------------------------


@on_a_loop
async def test_an_upstream_that_dies_is_seen_to_be_cut():
    """No close frame, and no clean end."""

    async def dying(connection):
        await connection.recv()
        connection.transport.abort()

    async with websocket(dying) as (_, client):
        await client.send("die")
        with pytest.raises(ConnectionClosedError):
            await soon(client.recv())


@on_a_loop
async def test_an_agent_that_dies_cuts_its_callers():
    """The session is their way."""
    async with websocket(echo) as (loop, client):
        await client.send("hello")
        await client.recv()
        loop.agent._session.carrier.drop("killed")
        with pytest.raises(ConnectionClosedError):
            await soon(client.recv())


@on_a_loop
async def test_a_caller_that_dies_is_seen_by_the_upstream():
    """A server frees what it holds for it."""
    seen = asyncio.Event()

    async def watching(connection):
        with suppress(ConnectionClosed):
            async for _ in connection:
                pass
        assert connection.close_code == 1006
        seen.set()

    async with websocket(watching) as (_, client):
        await client.send("hello")
        client.transport.abort()
        await soon(seen.wait())


@on_a_loop
async def test_a_relay_that_is_stopped_cuts_what_does_not_end():
    """After its patience."""
    async with websocket(echo, relay={"drain_seconds": 0.1}) as (loop, client):
        await client.send("hello")
        await client.recv()
        await soon(loop.relay.stop())
        with pytest.raises(ConnectionClosedError):
            await soon(client.recv())


@on_a_loop
async def test_a_silent_connection_is_cut_when_the_owner_wants_it():
    """The longest silence is a setting; nothing limits how long it lives otherwise."""
    async with websocket(echo, relay={"upgraded_idle_seconds": 1.0}) as (_, client):
        await client.send("hello")
        await client.recv()
        with pytest.raises(ConnectionClosedError):
            await soon(client.recv())


# --- other protocols ----------------------------------------------------------------------


def shouting(log=None):
    """Return an upstream of a protocol that answers in capitals, to the end of what it hears."""

    async def app(served):
        if log is not None:
            log.append(served.request)
        if not served.request.values(b"upgrade"):
            await served.answer(b"as HTTP: " + served.request.target)
            return
        await served.send(GRANT + b"READY\n")
        while data := await served.reader.read(65536):
            await served.send(data.upper())
        await served.send(b"THAT WAS ALL\n")
        served.writer.close()

    return app


@ON_BOTH_LOOPS
def test_a_half_close_passes_in_both_directions(loop_factory):
    """The caller ends its half first, and hears the rest."""

    async def test():
        async with loop_of(shouting()) as loop:
            caller = await loop.call()
            await caller.send(ASK)
            head = await caller.head()
            await caller.send(b"hello\n")
            caller.writer.write_eof()

            assert (head.status, head.values(b"upgrade")) == (101, [b"shout/1"])
            assert head.values(b"connection") == [b"Upgrade"]
            assert await caller.rest() == b"READY\nHELLO\nTHAT WAS ALL\n"

    on_a_loop(test, loop_factory=loop_factory)()


@on_a_loop
async def test_an_upstream_may_end_its_half_first():
    """And hear the rest."""
    heard = asyncio.get_running_loop().create_future()

    async def app(served):
        await served.send(GRANT + b"bye")
        served.writer.write_eof()
        heard.set_result(await served.reader.read())
        served.writer.close()

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(ASK)
        await caller.head()
        said = await caller.rest()
        await caller.send(b"not yet")
        await caller.close()

        assert said == b"bye"
        assert await soon(heard) == b"not yet"


@on_a_loop
async def test_what_a_caller_sends_behind_the_head_reaches_the_new_protocol_after_the_101():
    """Never before: the upstream could take it for a request."""
    early = []

    async def app(served):
        await asyncio.sleep(0)
        early.append(bytes(served.reader._buffer))
        await served.send(GRANT)
        await served.send(await served.reader.readline())
        served.writer.close()

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(ASK + b"GET /smuggled HTTP/1.1\r\n")
        await caller.head()

        assert await caller.rest() == b"GET /smuggled HTTP/1.1\r\n"
        assert early == [b""]


@on_a_loop
async def test_what_is_not_upgraded_stays_http():
    """What came behind the head is the next request then, judged like any other."""
    seen = []

    async def app(served):
        seen.append((served.request.target, served.request.values(b"upgrade")))
        await served.answer(b"no")

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(ASK + get(b"/next"))
        answers = [await caller.response(), await caller.response()]
        third = await caller.ask(post(b"body"))

        assert [answer.status for answer in [*answers, third]] == [200, 200, 200]
        assert seen == [(b"/live", [b"shout/1"]), (b"/next", []), (b"/", [])]


@on_a_loop
async def test_what_comes_behind_a_refused_upgrade_is_judged_as_http():
    """The hole would be to pass it on unread."""
    async with loop_of(lambda served: served.answer(b"no")) as loop:
        caller = await loop.call()
        await caller.send(ASK + b"GET /admin HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        first, second = await caller.response(), await caller.response()

        assert (first.status, second.status) == (200, 400)


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Connection: Upgrade\r\nUpgrade: H2C , h2\r\n",
        b"Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n",
    ],
)
def test_http_2_without_tls_is_not_asked_for(fields):
    """Answered as without it: an upstream that changed would read requests that nobody judged."""
    log = []

    async def test():
        async with loop_of(shouting(log)) as loop:
            caller = await loop.call()
            await caller.send(get(b"/live", fields=fields) + get(b"/next"))
            answers = [await caller.response(), await caller.response()]

            assert [answer.body for answer in answers] == [b"as HTTP: /live", b"as HTTP: /next"]
            for name in (b"upgrade", b"connection", b"http2-settings"):
                assert log[0].values(name) == []

    on_a_loop(test)()


@on_a_loop
async def test_http_2_is_taken_out_of_a_longer_offer():
    """The rest is asked for."""
    log = []
    async with loop_of(shouting(log)) as loop:
        caller = await loop.call()
        fields = b"Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: shout/1\r\n"
        await caller.send(get(b"/live", fields=fields))

        assert (await caller.head()).status == 101
        assert log[0].values(b"upgrade") == [b"shout/1"]
        assert log[0].values(b"connection") == [b"Upgrade"]
        caller.reset()


@on_a_loop
async def test_http_1_0_knows_no_upgrade():
    """RFC 9110 section 7.8."""
    async with loop_of(shouting()) as loop:
        answer = await loop.ask(ASK.replace(b"HTTP/1.1", b"HTTP/1.0"))

        assert (answer.status, answer.body) == (200, b"as HTTP: /live")


@pytest.mark.parametrize(
    "grant",
    [
        GRANT.replace(b"shout/1", b"whisper/1"),
        GRANT.replace(b"shout/1", b"shout/1, h2c"),
        GRANT.replace(b"Upgrade: shout/1\r\n", b""),
    ],
)
def test_a_101_to_something_else_is_a_broken_answer(grant):
    """It was not asked for."""

    async def app(served):
        await served.send(grant)
        await served.reader.read()

    async def test():
        async with loop_of(app) as loop:
            answer = await loop.ask(ASK)

            assert (answer.status, answer.values(b"hookloop-error")) == (502, [b"upstream_broken"])

    on_a_loop(test)()


@on_a_loop
async def test_a_101_that_was_not_asked_for_at_all_is_a_broken_answer():
    """As it always was."""
    async with loop_of(lambda served: served.send(GRANT)) as loop:
        answer = await loop.ask(get())

        assert answer.status == 502


@on_a_loop
async def test_interim_answers_may_come_before_the_101():
    """RFC 9110 section 15.2."""

    async def app(served):
        await served.send(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + GRANT + b"x")
        served.writer.close()

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(ASK)

        assert [(await caller.head()).status, (await caller.head()).status] == [103, 101]
        caller.writer.write_eof()
        assert await caller.rest() == b"x"


@on_a_loop
async def test_an_upgrade_with_a_body_is_refused():
    """Nobody agrees on where the body ends and the protocol begins."""
    async with loop_of(shouting()) as loop:
        answer = await loop.ask(
            post(b"body", fields=b"Connection: Upgrade\r\nUpgrade: shout/1\r\n")
        )

        assert answer.status == 400


@on_a_loop
async def test_an_upgrade_that_leads_nowhere_is_answered_as_any_request():
    """By its name, or for the app that is down."""
    async with loop_of(shouting(), agent={"upstream": Upstream("127.0.0.1", free_port())}) as loop:
        down = await loop.ask(ASK)
        unknown = await loop.ask(ASK.replace(HOST, b"nobody.tun.test"))

        assert (down.status, unknown.status) == (502, 404)
