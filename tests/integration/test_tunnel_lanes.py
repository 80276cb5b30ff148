"""Bulk on connections of its own: what it does not hold up, and what happens without them."""

import asyncio
import hashlib
from contextlib import asynccontextmanager

import pytest
import uvloop
from tunnel_loop import (
    get,
    is_clean,
    loop_of,
    on_a_loop,
    post,
    soon,
    until,
)
from websocket_proxy import running_websocket_proxy

from hookloop.tunnel.relay.lane_pool import LANES_IDLE_MAX

PIECE = bytes(range(256)) * 256  # 64 KiB
PIECES = 64  # 4 MiB
BODY = PIECE * PIECES
EVENT = b"data: 1\n\n"
ON_BOTH_LOOPS = pytest.mark.parametrize(
    "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop]
)


async def app(served):
    """Downloads, uploads, event streams; anything else is echoed."""
    target = served.request.target
    if target == b"/down":
        await served.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        for _ in range(PIECES):
            await served.send(PIECE)
    elif target == b"/chunked":
        await served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(PIECES):
            await served.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
        await served.send(b"0\r\nChecksum: abc\r\n\r\n")
    elif target == b"/events":
        await served.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while True:
            await served.send(EVENT)
            tick = asyncio.Event()
            asyncio.get_running_loop().call_later(0.01, tick.set)
            await tick.wait()
    else:
        await served.answer(await served.body())


def lanes_of(loop):
    """Return the lanes of the relay's one session."""
    [link] = loop.relay._links
    return link._session.lanes


def moved(loop):
    return [lane for lane in lanes_of(loop)._lanes.values() if lane.streams]


@asynccontextmanager
async def paused_download(loop, target=b"/down"):
    """A caller that reads the head of a download and no more, until the lane is stuck too."""
    caller = await loop.call(receive_buffer_bytes=4096)
    caller.reader._transport.pause_reading()
    await caller.send(get(target))
    await until(lambda: moved(loop))
    yield caller
    caller.reader._transport.resume_reading()


@ON_BOTH_LOOPS
def test_a_download_moves_and_arrives_whole(loop_factory):
    """Of known length and of unknown, with its trailers; each byte once, in order."""

    async def test():
        async with loop_of(app) as loop:
            down = await loop.ask(get(b"/down"))
            chunked = await loop.ask(get(b"/chunked"))

            assert (down.body == BODY, down.is_whole) == (True, True)
            assert (chunked.body == BODY, chunked.trailers) == (True, [(b"Checksum", b"abc")])
            assert len(lanes_of(loop)) >= 1
            assert loop.at_relay.captures[0].response_digest == hashlib.sha256(BODY).digest()

    on_a_loop(test, loop_factory=loop_factory)()


@on_a_loop
async def test_an_upload_moves_and_arrives_whole():
    """The caller's bytes, in the other direction."""
    async with loop_of(app) as loop:
        answer = await loop.ask(post(BODY))

        assert answer.body == BODY
        assert len(lanes_of(loop)) >= 1


@on_a_loop
async def test_small_exchanges_open_no_further_connection():
    """Webhooks stay on the session."""
    async with loop_of(app) as loop:
        for _ in range(50):
            await loop.ask(post(bytes(8192)))

        assert len(lanes_of(loop)) == 0


@on_a_loop
async def test_a_stuck_download_holds_none_of_the_sessions_credit():
    """A caller that does not read has its bytes on the lane and in the kernel."""
    async with loop_of(app) as loop:
        async with paused_download(loop) as caller:
            [link] = loop.relay._links
            await until(lambda: not link._session.lanes.may_read(moved(loop)[0].number))
            small = [await loop.ask(post(b"small")) for _ in range(20)]

            assert all(answer.body == b"small" for answer in small)
            assert link._session._allowance.held < 512 * 1024
        message = await caller.response()
        assert message.body == BODY


@on_a_loop
async def test_an_event_stream_moves_at_its_head():
    """It would be open for hours."""
    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(get(b"/events"))
        await caller.head()
        await until(lambda: moved(loop))

        got = await soon(caller.reader.readuntil(EVENT))
        assert got.endswith(EVENT)
        caller.reset()
        await until(lambda: not moved(loop))


@on_a_loop
async def test_lanes_are_used_again_and_few_are_kept():
    """One after the other needs one; many at once are let go when they are not needed."""
    async with loop_of(app) as loop:
        for _ in range(3):
            await loop.ask(get(b"/down"))
        one_by_one = len(lanes_of(loop))
        await asyncio.gather(*(loop.ask(get(b"/down")) for _ in range(6)))
        [link] = loop.relay._links
        link._settle_lanes()

        await until(lambda: len(lanes_of(loop)) <= LANES_IDLE_MAX)
        assert one_by_one == 1


@on_a_loop
async def test_without_a_lane_bulk_stays_on_the_session():
    """A ticket that nobody takes, as with a second worker: all arrives, only slower."""
    async with loop_of(app) as loop:
        loop.relay._tickets.redeem = lambda ticket: None

        down, up = await loop.ask(get(b"/down")), await loop.ask(post(BODY))

        assert (down.body == BODY, up.body == BODY) == (True, True)
        assert len(lanes_of(loop)) == 0


@on_a_loop
async def test_a_ticket_is_shown_again_where_several_processes_share_the_port():
    """One of them knows it; the others refuse it."""
    async with loop_of(app) as loop:
        redeem, asked = loop.relay._tickets.redeem, []

        def by_the_third(ticket):
            asked.append(ticket)
            return redeem(ticket) if len(asked) > 2 else None

        loop.relay._tickets.redeem = by_the_third
        async with paused_download(loop) as caller:
            assert len(lanes_of(loop)) == 1
        message = await caller.response()

        assert message.body == BODY
        assert len(asked) == 3


@on_a_loop
async def test_a_relay_without_lanes_asks_for_none():
    """Its owner may want one connection an agent."""
    async with loop_of(app, relay={"lanes_per_agent_max": 0}) as loop:
        down = await loop.ask(get(b"/down"))
        [link] = loop.relay._links

        assert down.body == BODY
        assert link._pool._invited == {}


@on_a_loop
async def test_a_lost_lane_cuts_its_exchange_and_nothing_else():
    """The caller sees that its answer is cut; the session and the others go on."""
    async with loop_of(app) as loop:
        async with paused_download(loop) as caller:
            [lane] = moved(loop)
            loop.agent._session.carrier._lanes[lane.number].drop()
            await until(lambda: not moved(loop))
        message = await caller.response()
        after = await loop.ask(post(b"after"))

        assert (message.is_whole, BODY.startswith(message.body)) == (False, True)
        assert after.body == b"after"
        assert loop.agent.statistics().sessions == 1
        assert "data connection" in loop.at_relay.captures[0].failure


@on_a_loop
async def test_a_draining_relay_waits_for_what_is_on_a_lane():
    """As for any exchange."""
    async with loop_of(app, relay={"drain_seconds": 20.0}) as loop:
        async with paused_download(loop) as caller:
            stopping = asyncio.ensure_future(loop.relay.stop())
            await until(lambda: loop.relay._is_draining)
        message = await caller.response()
        await soon(stopping)

        assert message.body == BODY
        assert is_clean(loop.relay)


@on_a_loop
async def test_lanes_go_inside_websocket_where_the_session_does():
    """A proxy that passes nothing else passes nothing else for them either."""
    async with loop_of() as loop, running_websocket_proxy(loop.relay.port) as proxy:
        agent = await loop.another_agent("inside", app, relay_url=f"http://127.0.0.1:{proxy.port}")
        host = agent.url.removeprefix("http://").encode()

        down = await loop.ask(get(b"/down", host=host))
        up = await loop.ask(post(BODY, host=host))

        assert (down.body == BODY, up.body == BODY) == (True, True)
        assert proxy.opened >= 2
        await agent.close()


@on_a_loop
async def test_a_ticket_is_good_once():
    """Who finds one later opens nothing."""
    async with loop_of(app) as loop:
        [link] = loop.relay._links
        ticket = loop.relay._tickets.issue(link, 99)
        assert loop.relay._tickets.redeem(ticket) == (link, 99)
        request = (
            b"GET /_hookloop/data HTTP/1.1\r\nHost: tun.test\r\nConnection: Upgrade\r\n"
            b"Upgrade: hookloop/1\r\nAuthorization: Bearer %b\r\n\r\n"
        )
        for each in (ticket, "wrong"):
            answer = await (await loop.call()).ask(request % each.encode())
            assert (answer.status, answer.values(b"hookloop-error")) == (401, [b"bad_ticket"])
