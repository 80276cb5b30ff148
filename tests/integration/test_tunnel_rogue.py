"""
An agent is not trusted: it can spoil its own tunnel, and nobody else's.

Its callers get one answer, or an answer that is seen to be cut.
"""

import asyncio
import json
from contextlib import suppress

import pytest
from rogue_agent import HOST as ROGUE_HOST
from rogue_agent import rogue_agent
from tunnel_loop import chunked, get, loop_of, on_a_loop, post, settled, soon, until

from hookloop.tunnel.wire.frames import END, FrameType, encode_frame
from hookloop.tunnel.wire.messages import Bind, ResetCode, encode_reset
from hookloop.tunnel.wire.session import CONTROL_BYTES_MAX

KIB = 1024


async def is_well(loop) -> bool:
    """The other agent's tunnel works as if nothing had happened."""
    return (await loop.ask(post(b"how are you?"))).body == b"how are you?"


def fields(*parts: bytes) -> bytes:
    return b"\0".join(parts)


@pytest.mark.parametrize(
    ("type_", "payload", "stream"),
    [
        (FrameType.RESPONSE, fields(b"200", b"OK"), 7),
        (FrameType.DATA, b"for somebody else", 7),
        (FrameType.TRAILERS, b"", 7),
        (FrameType.RESET, encode_reset(ResetCode.INTERNAL, ""), 7),
        (FrameType.REQUEST, fields(b"shop", b"", b"GET", b"/"), 1),
        (FrameType.BOUND, b"{}", 0),
        (FrameType.HELLO, b"{}", 0),
        (FrameType.PING, b"short", 0),
    ],
    ids=lambda value: value.name if isinstance(value, FrameType) else "",
)
@on_a_loop
async def test_a_frame_out_of_place_ends_its_session_alone(type_, payload, stream):
    """An agent can only answer, and only what it was asked."""
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        await rogue.send(type_, payload, stream=stream)
        goaway = await rogue.heard(FrameType.GOAWAY)
        await rogue.is_closed()

        assert json.loads(goaway.payload)["code"] == "protocol_error"
        assert await is_well(loop)


@pytest.mark.parametrize(
    "head",
    [
        fields(b"200", b"OK", b"X-A", b"b\r\nSet-Cookie: a=b"),
        fields(b"200", b"OK\r\n\r\n<script>", b"X-A", b"b"),
        fields(b"200", b"OK", b"X-A: b\r\nX-B", b"c"),
        fields(b"200", b"OK", b"X A", b"c"),
        fields(b"101", b"Switching Protocols"),
        fields(b"99", b"", b"", b""),
        fields(b"200", b"OK", b"X-A"),
    ],
)
@on_a_loop
async def test_a_head_that_would_split_the_response_is_502(head):
    """Nothing of it reaches the caller, who gets one answer of ours."""
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        caller = await loop.call()
        await caller.send(get(host=ROGUE_HOST))
        request = await rogue.heard(FrameType.REQUEST)
        await rogue.answer(head, b"body", stream=request.stream)
        response = await caller.response()

        assert response.status == 502
        assert b"script" not in response.body
        assert response.values(b"set-cookie") == []
        assert await is_well(loop)


@pytest.mark.parametrize("length", [b"abc", b"-1", b"5, 5", b"", b"9" * 30])
@on_a_loop
async def test_a_length_that_is_none_is_502(length):
    """The stream is ended, and the agent told; its session may go on."""
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        caller = await loop.call()
        await caller.send(get(host=ROGUE_HOST))
        request = await rogue.heard(FrameType.REQUEST)
        head = fields(b"200", b"OK", b"Content-Length", length)
        await rogue.answer(head, b"body", stream=request.stream, flags=0)
        response = await caller.response()
        reset = await rogue.heard(FrameType.RESET)

        assert response.status == 502
        assert reset.stream == request.stream
        assert await is_well(loop)


@on_a_loop
async def test_two_lengths_are_502():
    """Equal ones too: whoever reads them next may disagree."""
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        caller = await loop.call()
        await caller.send(get(host=ROGUE_HOST))
        request = await rogue.heard(FrameType.REQUEST)
        head = fields(b"200", b"OK", b"Content-Length", b"4", b"content-length", b"4")
        await rogue.answer(head, b"body", stream=request.stream)
        response = await caller.response()

    assert response.status == 502


@pytest.mark.parametrize("bodies", [(b"1234567890",), (b"12345", b"6"), (b"123",), ()], ids=repr)
@on_a_loop
async def test_a_body_that_does_not_keep_its_length_is_seen_to_be_cut(bodies):
    """Never more bytes than announced, and never a clean end with fewer."""
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        caller = await loop.call()
        await caller.send(get(host=ROGUE_HOST))
        request = await rogue.heard(FrameType.REQUEST)
        head = fields(b"200", b"OK", b"Content-Length", b"5")
        await rogue.answer(head, *bodies, stream=request.stream)
        if not bodies:
            await rogue.send(FrameType.DATA, stream=request.stream, flags=END)
        response = await caller.response()
        rest = await caller.rest()

        assert response.status == 200
        assert len(response.body) <= 5
        assert rest == b""
        if bodies != (b"12345", b"6"):  # there all that was announced had come already
            assert not response.is_whole
        assert await is_well(loop)


@pytest.mark.parametrize(("length", "status"), [(b"0", 200), (b"5", 502)])
@on_a_loop
async def test_a_response_may_end_with_its_head_if_that_is_its_length(length, status):
    """Else it is broken before any of it was passed on."""
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        caller = await loop.call()
        await caller.send(get(host=ROGUE_HOST))
        request = await rogue.heard(FrameType.REQUEST)
        head = fields(b"200", b"OK", b"Content-Length", length)
        await rogue.send(FrameType.RESPONSE, head, stream=request.stream, flags=END)
        response = await caller.response()

    assert response.status == status
    assert response.is_whole


@on_a_loop
async def test_trailers_of_an_agent_are_filtered_too():
    """It may not set a cookie, nor speak as the relay, after the body."""
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        caller = await loop.call()
        await caller.send(get(host=ROGUE_HOST))
        request = await rogue.heard(FrameType.REQUEST)
        await rogue.answer(fields(b"200", b"OK"), b"body", stream=request.stream, flags=0)
        trailers = fields(b"Set-Cookie", b"a=b", b"Hookloop-Error", b"x", b"X-Sum", b"1")
        await rogue.send(FrameType.TRAILERS, trailers, stream=request.stream)
        response = await caller.response()

    assert response.trailers == [(b"X-Sum", b"1")]


@on_a_loop
async def test_an_agent_that_vanishes_leaves_no_caller_waiting():
    """Those without an answer get one, those within one see it cut."""
    async with loop_of() as loop:
        async with rogue_agent(loop.relay.port) as rogue:
            waiting, within = await loop.call(), await loop.call()
            await waiting.send(get(host=ROGUE_HOST))
            await rogue.heard(FrameType.REQUEST)
            await within.send(get(host=ROGUE_HOST))
            request = await rogue.heard(FrameType.REQUEST)
            head = fields(b"200", b"OK")
            await rogue.answer(head, b"begun", stream=request.stream, flags=0)
            await within.head()
        answered = await waiting.response()
        rest = await within.rest()

        assert answered.status == 502
        assert rest == b"5\r\nbegun\r\n"
        assert await is_well(loop)


@on_a_loop
async def test_an_agent_that_never_reads_holds_up_only_its_own():
    """What waits for it is bounded; its callers are told that it takes no more."""
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        rogue.writer.transport.pause_reading()
        large = b"X-Large: %b\r\n" % (b"a" * 12 * KIB) * 4
        callers = [await loop.call() for _ in range(300)]
        for caller in callers:
            await caller.send(post(bytes(10 * KIB), host=ROGUE_HOST, fields=large))
        refused = await asyncio.wait(
            [asyncio.ensure_future(caller.head()) for caller in callers],
            return_when=asyncio.FIRST_COMPLETED,
        )
        (link,) = (link for link in loop.relay._links if link.streams_open)
        held = link._session.statistics().control_bytes_queued
        first = (await refused[0].pop()).status
        assert await is_well(loop)
        for task in refused[1]:
            task.cancel()

    assert first == 503
    assert held < CONTROL_BYTES_MAX + 64 * KIB


@pytest.mark.parametrize("frame", ["PING", "BIND"])
@on_a_loop
async def test_a_flood_of_questions_without_reading_ends_the_session(frame, monkeypatch):
    """Answers that nobody reads are not piled up for ever."""
    monkeypatch.setattr("hookloop.tunnel.wire.session.CONTROL_BYTES_MAX", 256 * KIB)
    type_ = FrameType[frame]
    payload = bytes(8) if type_ is FrameType.PING else Bind(1, "x" * 900).encode()
    async with loop_of() as loop, rogue_agent(loop.relay.port) as rogue:
        rogue.writer.transport.pause_reading()
        others = asyncio.ensure_future(is_well(loop))
        flood = asyncio.ensure_future(flood_with(rogue, type_, payload))
        await flood
        await until(lambda: loop.relay.statistics().sessions == 1)

        assert await soon(others)
        assert await is_well(loop)


async def flood_with(rogue, type_, payload) -> None:
    frame = encode_frame(type_, payload)
    with suppress(ConnectionError):
        while True:
            rogue.writer.write(frame * 1000)
            await soon(rogue.writer.drain())


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n" * 9, b"\xff" * 64])
@on_a_loop
async def test_bytes_that_are_no_frames_end_the_session(data):
    """And cost no more memory than they have."""
    async with loop_of() as loop, rogue_agent(loop.relay.port, is_bound=False) as rogue:
        rogue.writer.write(data)
        await rogue.is_closed()

        assert await is_well(loop)


@on_a_loop
async def test_a_caller_that_reads_nothing_costs_other_callers_nothing():
    """One stalled answer does not use up the credit of its agent's other exchanges."""

    async def app(served):
        if served.request.target == b"/large":
            await served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            await served.send(chunked(bytes(8 * 1024 * KIB)))
        else:
            await served.answer(b"small")

    async with loop_of(app) as loop:
        stalled = await loop.call()
        stalled.writer.transport.pause_reading()
        await stalled.send(get(b"/large"))
        await settled(lambda: loop.agent._session.wire.statistics().bytes_queued)
        answers = [(await loop.ask(get())).body for _ in range(20)]

    assert answers == [b"small"] * 20
