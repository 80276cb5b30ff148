"""What callers see when something is not there, is late, breaks off, or means harm."""

import asyncio
import json
import socket

import pytest
import uvloop
from patience import END_PATIENCE
from tunnel_loop import (
    HOST,
    free_port,
    get,
    loop_of,
    on_a_loop,
    post,
    settled,
    soon,
    until,
)

from hookloop.tunnel.agent.config import Upstream

KIB = 1024
MIB = 1024 * KIB
ON_BOTH_LOOPS = pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])


def run_on(factory, scenario, *args):
    on_a_loop(scenario, loop_factory=factory)(*args)


def code_of(message) -> str:
    """The relay's own answers name their fault in a field and in JSON."""
    code = json.loads(message.body)["error"]["code"]
    assert message.values(b"hookloop-error") == [code.encode()]
    return code


# --- the upstream's faults ----------------------------------------------------------------


@on_a_loop
async def test_an_upstream_that_is_not_running_is_502():
    """The answer says what could not be reached, and comes at once."""
    upstream = Upstream("127.0.0.1", free_port())
    async with loop_of(agent={"upstream": upstream}) as loop:
        response = await loop.ask(post(b"x" * 1000))

    assert response.status == 502
    assert code_of(response) == "upstream_refused"
    assert f"{upstream}: Connection refused. Is the app running?" in response.body.decode()


@on_a_loop
async def test_an_upstream_that_does_not_answer_is_504():
    """The caller does not wait for ever."""
    hung_up = asyncio.Event()

    async def app(served):
        await served.reader.read()
        hung_up.set()

    async with loop_of(app, agent={"response_seconds": 0.1}) as loop:
        response = await loop.ask(get())
        await soon(hung_up.wait())

    assert response.status == 504
    assert code_of(response) == "upstream_timeout"


@on_a_loop
async def test_a_slow_upload_is_not_a_late_upstream():
    """The wait for an answer is not over while the upstream still takes the body in."""
    pieces = asyncio.Queue()

    async def app(served):
        for _ in range(4):
            pieces.put_nowait(await served.reader.readexactly(1))
        await served.answer(b"took it")

    # No piece waits for as long, all of them together do: a second is left to a busy machine.
    async with loop_of(app, agent={"response_seconds": 1.5}) as loop:
        caller = await loop.call()
        await caller.send(post(b"0123")[:-4])
        started = asyncio.get_running_loop().time()
        for number in range(4):
            due = started + 0.45 * (number + 1)
            await until(lambda due=due: asyncio.get_running_loop().time() >= due)
            await caller.send(b"%d" % number)
            await soon(pieces.get())
        response = await caller.response()

    assert response.body == b"took it"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed the connection"),
        (b"not HTTP\r\n\r\n", "not valid HTTP/1.1"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            "changed",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "header fields"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 400 * KIB + b"\r\n\r\n", "over 61440 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "transfer coding",
        ),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", "cannot be passed on"),
    ],
    ids=["nothing", "no HTTP", "101", "fields", "size", "coding", "status"],
)
@on_a_loop
async def test_an_upstream_that_breaks_http_is_502(answer, why):
    """Whatever it says, the caller gets one clean answer."""

    async def app(served):
        await served.send(answer)
        served.writer.close()

    async with loop_of(app) as loop:
        response = await loop.ask(get())

    assert response.status == 502
    assert code_of(response) == "upstream_broken"
    assert why in response.body.decode()


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    ],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_cut_body_is_seen_to_be_cut(factory, start):
    """What came is passed on, and the end that did not come is not made up."""

    async def app(served):
        await served.send(start)
        served.writer.close()

    async def scenario():
        async with loop_of(app) as loop:
            response = await loop.ask(get())

        assert response.status == 200
        assert response.body == b"only this"
        assert not response.is_whole

    run_on(factory, scenario)


@ON_BOTH_LOOPS
def test_a_cut_body_of_unknown_length_is_a_reset(factory):
    """A caller of HTTP/1.0 takes the end of the connection for the end of the body."""

    async def app(served):
        await served.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n"
        )
        served.writer.close()

    async def scenario():
        async with loop_of(app) as loop:
            caller = await loop.call()
            await caller.send(b"GET / HTTP/1.0\r\nHost: %b\r\n\r\n" % HOST)
            with pytest.raises(ConnectionResetError):
                await caller.rest()

    run_on(factory, scenario)


# --- the caller's faults ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: %b\r\n\r\n" % HOST, 505),
        (get(fields=b"".join(b"X-%d: a\r\n" % n for n in range(101))), 431),
        (get(fields=b"X: %b\r\n" % (b"a" * 61 * KIB)), 431),
        (get(fields=b"X: %b\r\n" % (b"a" * 500 * KIB)), 431),
        (get(b"/" + b"a" * 9 * KIB), 414),
        (get(host=b"a b", fields=b"Upgrade: websocket\r\nConnection: upgrade\r\n"), 400),
        (post(b"ab", fields=b"Upgrade: x\r\nConnection: upgrade\r\n"), 400),
        (b"CONNECT %b:80 HTTP/1.1\r\nHost: %b\r\n\r\n" % (HOST, HOST), 501),
        (get(host=HOST + b":" + b"0" * 10 * KIB), 400),
        (
            b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" % HOST
            + b"A: b\r\n" * 200
            + b"\r\n",
            431,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " % HOST
            + b"b" * 500 * KIB,
            431,
        ),
    ],
)
@on_a_loop
async def test_a_request_that_cannot_be_passed_on_is_refused_in_words(request_, status):
    """One answer, then the end of the connection; and at once, not when the caller gives up."""

    async def app(served):
        await served.body()  # the broken trailers are found after the head was passed on

    async with loop_of(app) as loop:
        caller = await loop.call()
        caller.writer.write(request_)
        response = await caller.response()
        rest = await caller.rest()

    assert response.status == status
    assert response.values(b"connection") == [b"close"]
    assert rest == b""
    assert code_of(response)


@on_a_loop
async def test_a_head_that_never_ends_is_408():
    """Also where it trickles in: no byte buys more time."""
    async with loop_of(relay={"head_seconds": 0.1}) as loop:
        caller = await loop.call()
        for byte in (b"G", b"E"):
            await caller.send(byte)
        response = await caller.response()
        rest = await caller.rest()

    assert response.status == 408
    assert rest == b""


@on_a_loop
async def test_a_second_head_that_never_ends_is_408_too():
    """A kept-alive connection has no more patience than a new one."""
    async with loop_of(relay={"head_seconds": 0.1}) as loop:
        caller = await loop.call()
        await caller.send(get() + b"GET")
        first = await caller.response()
        second = await caller.response()

    assert (first.status, second.status) == (200, 408)


@on_a_loop
async def test_a_body_that_never_ends_is_408():
    """And the upstream sees the request reset, not ended."""
    cut = asyncio.Event()

    async def app(served):
        await served.body()
        assert not served.request.is_whole
        cut.set()
        served.reset()

    async with loop_of(app, relay={"body_idle_seconds": 0.1}) as loop:
        response = await loop.ask(post(b"12345")[:-1])
        await soon(cut.wait())

    assert response.status == 408


@on_a_loop
async def test_a_408_is_left_to_be_read():
    """The relay ends its side and waits a moment: an abort could take the answer back."""
    async with loop_of(relay={"head_seconds": 0.1}) as loop:
        caller = await loop.call()
        caller.writer.transport.pause_reading()
        await caller.send(b"GET")
        downstream = await soon(only_downstream(loop))
        await until(lambda: downstream._is_closing)
        closing_since = asyncio.get_running_loop().time()
        await until(lambda: loop.relay.statistics().downstreams == 0)
        waited = asyncio.get_running_loop().time() - closing_since
        caller.writer.transport.resume_reading()
        response = await caller.response()

    assert response.status == 408
    assert waited > 0.2  # of a second, less what a busy machine takes to look


async def only_downstream(loop):
    await until(lambda: len(loop.relay._downstreams) == 1)
    (downstream,) = loop.relay._downstreams
    return downstream


@on_a_loop
async def test_an_idle_connection_is_closed_without_a_word():
    """Nothing was asked, so nothing is answered."""
    async with loop_of(relay={"idle_seconds": 0.5}) as loop:
        caller = await loop.call()
        await caller.ask(get())
        rest = await caller.rest()

    assert rest == b""


@on_a_loop
async def test_a_caller_that_dribbles_on_after_an_early_answer_is_cut_off():
    """It has its answer; what it still sends is read for a second, not for ever."""

    async def app(served):
        await served.answer(b"early")

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(post(bytes(100))[:-50])
        await caller.response()
        started = asyncio.get_running_loop().time()
        rest = await caller.rest()
        waited = asyncio.get_running_loop().time() - started

    assert rest == b""
    assert waited < END_PATIENCE


@on_a_loop
async def test_nonsense_after_an_early_answer_ends_the_connection_at_once():
    """There is nobody left to refuse, and nothing left to read."""

    async def app(served):
        await served.answer(b"early")

    head = b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % HOST
    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(head)
        response = await caller.response()
        await caller.send(b"no chunk\r\n")
        rest = await caller.rest()

    assert response.body == b"early"
    assert rest == b""


@on_a_loop
async def test_a_request_that_breaks_during_its_answer_cuts_the_answer():
    """There is no second answer to give."""

    async def app(served):
        await served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
        await served.body()

    head = b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % HOST
    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(head)
        await caller.head()
        await caller.send(b"no chunk\r\n")
        rest = await caller.rest()
        await until(lambda: loop.at_relay.captures)

    assert rest == b"5\r\nbegun\r\n"
    assert "not valid HTTP" in loop.at_relay.captures[0].failure


@ON_BOTH_LOOPS
def test_a_caller_that_leaves_resets_the_upstream(factory):
    """An upstream that produces for nobody is told."""
    told = asyncio.Event()

    async def app(served):
        try:
            await served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                await served.send(b"5\r\n12345\r\n")
                await asyncio.sleep(0)
        except ConnectionError:
            told.set()
            raise

    async def scenario():
        async with loop_of(app) as loop:
            caller = await loop.call()
            await caller.send(get())
            await caller.head()
            caller.reset()
            await soon(told.wait())

    run_on(factory, scenario)


@on_a_loop
async def test_a_request_cut_by_its_caller_never_looks_whole():
    """Half a webhook is no webhook."""
    begun, seen = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def app(served):
        begun.set()
        await served.body()
        seen.set_result(served.request.is_whole)

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(post(b"12345")[:-1])
        await soon(begun.wait())
        await caller.close()
        is_whole = await soon(seen)

    assert not is_whole


# --- slow readers -------------------------------------------------------------------------


@ON_BOTH_LOOPS
def test_what_a_slow_reader_holds_up_is_bounded(factory):
    """
    Of an answer without end the relay holds what it has granted, and the rest stays behind.

    On the session that is the stream's credit; then, on its lane, what is passed on until it
    stops reading, and one more read.
    """
    sent = 0

    async def app(served):
        nonlocal sent
        await served.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (512 * MIB))
        while True:
            await served.send(bytes(64 * KIB))
            sent += 64 * KIB

    async def scenario():
        async with loop_of(app) as loop:
            caller = await loop.call()
            caller.writer.transport.pause_reading()
            await caller.send(get())
            await settled(lambda: sent)
            downstream = await only_downstream(loop)
            held = downstream._transport.get_write_buffer_size()
            queued = loop.agent._session.wire.statistics().bytes_queued
            caller.reset()

        assert 0 < held <= (256 + 128 + 256 + 64) * KIB
        assert queued <= (128 + 256) * KIB

    run_on(factory, scenario)


@on_a_loop
async def test_pipelining_does_not_pile_up_answers_that_nobody_reads():
    """The next exchange begins once the caller has read the answers before it."""
    served_count = 0

    async def app(served):
        nonlocal served_count
        served_count += 1
        await served.answer(bytes(200 * KIB))

    async with loop_of(app) as loop:
        caller = await loop.call()
        caller.writer.transport.pause_reading()
        await caller.send(b"".join(get() for _ in range(200)))
        await settled(lambda: served_count)
        served_before = served_count
        held = (await only_downstream(loop))._transport.get_write_buffer_size()
        caller.writer.transport.resume_reading()
        answers = [len((await caller.response()).body) for _ in range(200)]

    assert served_before < 100
    assert held <= (256 + 256 + 64) * KIB
    assert answers == [200 * KIB] * 200


@ON_BOTH_LOOPS
def test_a_slow_reader_of_a_last_answer_gets_all_of_it(factory):
    """`Connection: close` ends a connection after its answer, not in it."""

    async def app(served):
        await served.answer(bytes(250 * KIB))

    async def scenario():
        async with loop_of(app) as loop:
            caller = await loop.call(receive_buffer_bytes=4 * KIB)
            caller.writer.transport.pause_reading()
            downstream = await only_downstream(loop)
            sock = downstream._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KIB)
            await caller.send(get(fields=b"Connection: close\r\n"))
            await until(lambda: downstream._is_closing)
            unread = downstream._transport.get_write_buffer_size()
            # Longer than a closing connection lingers once all of its answer is out.
            clock = asyncio.get_running_loop().time
            since = clock()
            await until(lambda: clock() > since + 2.5)
            caller.writer.transport.resume_reading()
            response = await caller.response()

        assert unread > 0
        assert response.is_whole
        assert len(response.body) == 250 * KIB

    run_on(factory, scenario)


@on_a_loop
async def test_a_caller_that_stops_reading_holds_its_answer_for_a_time_only():
    """It keeps credit that the other callers of the agent need."""

    async def app(served):
        await served.answer(bytes(8 * MIB))

    async with loop_of(app, relay={"stall_seconds": 0.2}) as loop:
        caller = await loop.call()
        caller.writer.transport.pause_reading()
        await caller.send(get())
        await until(lambda: loop.relay.statistics().streams_open == 1)
        await until(lambda: loop.relay.statistics().downstreams == 0)

    assert loop.relay.counts.cut["slow_reader"] == 1


@ON_BOTH_LOOPS
def test_an_upload_that_the_upstream_does_not_read_is_held_at_its_caller(factory):
    """Neither relay nor agent keeps more than the credit; once it reads, all of it arrives."""
    gate = asyncio.Event()

    async def app(served):
        served.writer.transport.pause_reading()
        await gate.wait()
        served.writer.transport.resume_reading()
        body = await served.body()
        await served.answer(b"%d" % len(body))

    async def scenario():
        async with loop_of(app) as loop:
            caller = await loop.call()
            caller.writer.write(post(bytes(32 * MIB)))
            await settled(caller.writer.transport.get_write_buffer_size)
            at_caller = caller.writer.transport.get_write_buffer_size()
            (link,) = loop.relay._links
            at_relay = link._session.statistics().bytes_queued
            gate.set()
            response = await caller.response()

        assert at_caller > 0
        assert at_relay <= (128 + 256) * KIB
        assert response.body == b"%d" % (32 * MIB)

    run_on(factory, scenario)


@on_a_loop
async def test_an_upstream_that_speaks_unasked_is_not_asked_again_on_that_connection():
    """What it says would be taken for the next answer."""
    peers = []

    async def app(served):
        peers.append(served.writer.get_extra_info("peername"))
        await served.answer(b"answer")
        if len(peers) == 1:
            await soon(asked_once.wait())
            await served.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    asked_once = asyncio.Event()
    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.ask(get())
        await until(lambda: loop.agent.tunnels[0].pool._idle)
        asked_once.set()
        await until(lambda: not loop.agent.tunnels[0].pool._idle)
        second = await caller.ask(get())

    assert second.body == b"answer"
    assert len(set(peers)) == 2


@on_a_loop
async def test_an_agent_that_serves_all_it_can_is_503(monkeypatch):
    """With a hint that it will not last, and no fault of the caller's."""
    monkeypatch.setattr("hookloop.tunnel.agent.client.STREAMS_MAX", 1)
    gate = asyncio.Event()

    async def app(served):
        await gate.wait()
        await served.answer()

    async with loop_of(app) as loop:
        first = await loop.call()
        await first.send(get())
        await until(lambda: loop.relay.statistics().streams_open == 1)
        second = await loop.ask(get())
        gate.set()
        answered = await first.response()

    assert (answered.status, second.status) == (200, 503)
    assert code_of(second) == "overloaded"
    assert second.values(b"retry-after") == [b"1"]


@on_a_loop
async def test_a_body_that_nobody_wants_is_not_read_to_its_end():
    """A refused upload is drained for a while, and then its connection ends."""
    async with loop_of() as loop:
        caller = await loop.call()
        request = post(bytes(64 * MIB), host=b"nobody.tun.test")
        caller.writer.write(request[: 8 * MIB])
        response = await caller.response()
        await until(lambda: loop.relay.statistics().downstreams == 0)

    assert response.status == 404
