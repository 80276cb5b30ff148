"""A tunnel's policy on the way of real requests: who passes, and as what."""

import asyncio
import base64
import hashlib
import json
from contextlib import AsyncExitStack

import pytest
from tunnel_loop import (
    HOST,
    chunked,
    get,
    loop_of,
    on_a_loop,
    post,
    soon,
    until,
)

from hookloop.exchange import Objection
from hookloop.tunnel.agent.policy import Policy, parse_credential, parse_field, parse_network

KIB = 1024


async def show(served):
    """Answer with the fields that came, and redirect to where the app thinks it is."""
    await served.body()
    host = served.request.values(b"host")[0]
    fields = [[name.decode(), value.decode()] for name, value in served.request.fields]
    head = b"HTTP/1.1 201 Created\r\nServer: app\r\nLocation: http://%b/next\r\n" % host
    await served.answer(json.dumps(fields).encode(), head=head)


def shown(answer, name: str) -> list[str]:
    return [value for key, value in json.loads(answer.body) if key.lower() == name]


class Scripted:
    """A guard that lets pass what begins with ``good``, and remembers what it was shown."""

    def __init__(self) -> None:
        self.bodies = []
        self.gate: asyncio.Event | None = None

    async def judge(self, head, body):
        self.bodies.append(body)
        if self.gate is not None:
            await self.gate.wait()
        if body.startswith(b"good"):
            return None
        return Objection(403, "webhook_not_verified", "not signed", ("mismatch: no v1 fits",))


@on_a_loop
async def test_an_upstream_sees_its_own_host_and_the_public_one_beside_it():
    """What development servers ask for, and what an app builds URLs from."""
    async with loop_of(show) as loop:
        origin = b"Origin: http://%b:%d\r\n" % (HOST, loop.relay.port)
        host = b"%b:%d" % (HOST, loop.relay.port)
        answer = await loop.ask(get(host=host, fields=origin))
        port = loop.agent.tunnels[0].config.upstream.port

    assert shown(answer, "host") == [f"127.0.0.1:{port}"]
    assert shown(answer, "x-forwarded-host") == [host.decode()]
    assert shown(answer, "x-forwarded-proto") == ["http"]
    assert shown(answer, "origin") == [f"http://127.0.0.1:{port}"]
    assert answer.values(b"location") == [b"http://%b/next" % host]


@on_a_loop
async def test_fields_are_added_and_removed_both_ways():
    """And the exchange that is captured has the request as it came."""
    policy = Policy(
        request_add=(parse_field("X-Team: payments"),),
        request_remove=(b"cookie",),
        response_add=(parse_field("X-Robots-Tag: noindex"),),
        response_remove=(b"server",),
    )
    async with loop_of(show, agent={"policy": policy}) as loop:
        answer = await loop.ask(get(fields=b"Cookie: a=b\r\n"))

    assert shown(answer, "x-team") == ["payments"]
    assert shown(answer, "cookie") == []
    assert answer.values(b"x-robots-tag") == [b"noindex"]
    assert answer.values(b"server") == []
    assert loop.at_agent.captures[0].request.get(b"cookie") == b"a=b"


@on_a_loop
async def test_a_password_is_asked_for():
    """On every request of a connection, and the upstream never hears of the others."""
    seen = []

    async def app(served):
        seen.append(served.request.values(b"authorization"))
        await served.answer(b"in")

    policy = Policy(basic_auth=(parse_credential("ada:correct-horse"),))
    good = b"Authorization: Basic %b\r\n" % base64.b64encode(b"ada:correct-horse")
    async with loop_of(app, agent={"policy": policy}) as loop:
        caller = await loop.call()
        answers = [await caller.ask(get(fields=fields)) for fields in (b"", good, b"")]
        upload = await caller.ask(post(b"x" * 100 * KIB))

    assert [answer.status for answer in answers] == [401, 200, 401]
    assert answers[0].values(b"www-authenticate") == [b'Basic realm="shop", charset="UTF-8"']
    assert upload.status == 401
    assert seen == [[]]
    captured = loop.at_agent.captures
    assert [exchange.objection and exchange.objection.code for exchange in captured] == [
        *("unauthorized", None, "unauthorized", "unauthorized")
    ]


@on_a_loop
async def test_an_address_is_not_let_in():
    """403 with a code, for callers and for the one who reads the captures."""
    policy = Policy(deny=(parse_network("127.0.0.0/8"),))
    async with loop_of(show, agent={"policy": policy}) as loop:
        answer = await loop.ask(post(b"x"))
        head = await loop.ask(b"HEAD / HTTP/1.1\r\nHost: %b\r\n\r\n" % HOST)

    assert (answer.status, head.status) == (403, 403)
    assert answer.values(b"hookloop-refused") == [b"ip_refused"]
    assert json.loads(answer.body)["error"]["code"] == "ip_refused"
    assert loop.at_agent.captures[0].objection.reasons == ("127.0.0.1 is denied",)


# --- guards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 10, 200 * KIB, 3 * 1024 * KIB])
@pytest.mark.parametrize("is_chunked", [False, True])
@on_a_loop
async def test_a_guarded_body_passes_bit_for_bit(length, is_chunked):
    """However long, and however it was framed."""
    body = b"good" + bytes(range(256)) * (length // 256)
    arrived = []

    async def app(served):
        arrived.append(await served.body())
        await served.answer(b"thanks")

    guard = Scripted()
    head = b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % HOST
    pieces = [body[at : at + 60_000] for at in range(0, len(body), 60_000)]
    request = head + chunked(*pieces) if is_chunked else post(body)
    async with loop_of(app, agent={"policy": Policy(guard=guard)}) as loop:
        caller = await loop.call()
        answers = [await caller.ask(request) for _ in range(2)]

    assert [answer.body for answer in answers] == [b"thanks", b"thanks"]
    assert arrived == guard.bodies == [body, body]
    assert loop.at_agent.captures[0].request_digest == hashlib.sha256(body).digest()
    assert loop.at_agent.captures[0].is_exact


@on_a_loop
async def test_a_stopped_webhook_keeps_its_reason_with_the_exchange():
    """The caller is told the code alone."""
    async with loop_of(show, agent={"policy": Policy(guard=Scripted())}) as loop:
        answer = await loop.ask(post(b"bad"))

    [exchange] = loop.at_agent.captures
    assert answer.status == 403
    assert b"mismatch" not in answer.body
    assert exchange.objection.reasons == ("mismatch: no v1 fits",)
    assert (exchange.response.status, exchange.request_body_bytes) == (403, 3)


@on_a_loop
async def test_a_guard_that_fails_lets_nothing_pass():
    """502, which is tried again, and the session goes on."""

    class Broken:
        async def judge(self, head, body):
            raise ZeroDivisionError

    async with loop_of(show, agent={"policy": Policy(guard=Broken())}) as loop:
        answers = [await loop.ask(post(b"good")) for _ in range(2)]

        assert loop.agent.statistics().sessions == 1
    assert [answer.status for answer in answers] == [502, 502]


@on_a_loop
async def test_a_body_too_long_to_be_judged_is_refused(monkeypatch):
    """The rest of it is not kept either."""
    monkeypatch.setattr("hookloop.tunnel.agent.holding.GUARDED_BYTES_MAX", 100 * KIB)
    guard = Scripted()
    async with loop_of(show, agent={"policy": Policy(guard=guard)}) as loop:
        answer = await loop.ask(post(b"good" * 100 * KIB))
        after = await loop.ask(post(b"good"))

    assert answer.status == 413
    assert after.status == 201
    assert guard.bodies == [b"good"]


@on_a_loop
async def test_all_that_waits_together_has_a_limit():
    """503, which senders try again."""
    guard = Scripted()
    guard.gate = asyncio.Event()
    async with loop_of(show, agent={"policy": Policy(guard=guard)}) as loop:
        loop.agent._held.left = 100
        first = asyncio.ensure_future(loop.ask(post(b"good" * 20)))
        await until(lambda: guard.bodies)
        second = await loop.ask(post(b"good" * 20))
        guard.gate.set()
        answer = await soon(first)
        third = await loop.ask(post(b"good" * 20))

        assert loop.agent._held.left == 100
    assert (answer.status, second.status, third.status) == (201, 503, 201)


@on_a_loop
async def test_a_caller_that_leaves_half_way_is_not_judged_for():
    """What was kept of it is let go."""
    guard = Scripted()
    async with loop_of(show, agent={"policy": Policy(guard=guard)}) as loop:
        room = loop.agent._held
        before = room.left
        half = await loop.call()
        await half.send(post(b"good")[:-2])
        await until(lambda: room.left < before)
        half.reset()
        await until(lambda: loop.agent.statistics().exchanges_open == 0)
        after = await loop.ask(post(b"good"))

        assert room.left == before
    assert after.status == 201
    assert guard.bodies == [b"good"]


@on_a_loop
async def test_a_guard_does_not_keep_a_lost_session_waiting():
    """The agent comes back at once."""
    guard = Scripted()
    guard.gate = asyncio.Event()
    async with loop_of(show, agent={"policy": Policy(guard=guard)}) as loop, AsyncExitStack():
        caller = await loop.call()
        await caller.send(post(b"good"))
        await until(lambda: guard.bodies)
        loop.agent._session.carrier.drop("a change of networks")
        await until(lambda: len(loop.at_agent.ups) == 2)
        answer = await caller.response()

    assert answer.status == 502
    assert loop.agent._held.left > 0
