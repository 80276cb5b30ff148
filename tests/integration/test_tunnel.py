"""The tunnel from caller to upstream and back, over real sockets: what passes, and how."""

import asyncio
import hashlib
import random

import pytest
import uvloop
from tunnel_loop import (
    DOMAIN,
    HOST,
    NAME,
    chunked,
    get,
    loop_of,
    on_a_loop,
    post,
    soon,
    until,
)

from hookloop.tunnel.agent.policy import Policy

KIB = 1024
MIB = 1024 * KIB


def some_bytes(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- bodies -------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 2 * KIB, 5 * MIB])
@on_a_loop
async def test_a_body_arrives_and_comes_back_bit_for_bit(length):
    """What the caller sent is what the upstream got, and what it answered is what came back."""
    body = some_bytes(length)
    seen = []

    async def app(served):
        seen.append(await served.body())
        await served.answer(seen[0])

    async with loop_of(app) as loop:
        response = await loop.ask(post(body))

    assert response.status == 200
    assert response.is_whole
    assert sha256(seen[0]) == sha256(response.body) == sha256(body)


@pytest.mark.parametrize("length", [2 * KIB, 5 * MIB])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@on_a_loop
async def test_both_ends_prove_that_a_body_arrived_bit_for_bit(length, is_chunked):
    """Each hashes what passes it on its own plain connection, and tells the other."""
    body = some_bytes(length)

    async def app(served):
        await served.body()
        if not is_chunked:
            await served.answer(body[::-1])
            return
        await served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await served.send(chunked(body[::-1], trailers=b"X-Sum: def\r\n"))

    head = b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % HOST
    request = head + chunked(body, trailers=b"A: b\r\n") if is_chunked else post(body)
    async with loop_of(app) as loop:
        await loop.ask(request)
        await until(lambda: loop.at_relay.captures and loop.at_agent.captures)
        [at_relay], [at_agent] = loop.at_relay.captures, loop.at_agent.captures

    asked, answered = hashlib.sha256(body).digest(), hashlib.sha256(body[::-1]).digest()
    assert at_agent.request_digest == at_agent.request_digest_told == asked
    assert at_relay.response_digest == at_relay.response_digest_told == answered
    assert at_relay.request_digest == asked
    assert at_agent.response_digest == answered
    assert at_agent.is_exact is True
    assert at_relay.is_exact is True


@pytest.mark.parametrize("pieces", [0, 1, 300])
@on_a_loop
async def test_chunked_bodies_and_trailers_pass_both_ways(pieces):
    """A body of unknown length stays one, and the fields after it are kept."""
    bodies = [some_bytes(n + 1) for n in range(pieces)]
    seen = []

    async def app(served):
        await served.body()
        seen.append(served.request)
        await served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await served.send(chunked(*bodies, trailers=b"X-Sum: def\r\n"))

    head = b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % HOST
    async with loop_of(app) as loop:
        response = await loop.ask(head + chunked(*bodies, trailers=b"X-Check: abc\r\n"))

    assert seen[0].body == response.body == b"".join(bodies)
    assert seen[0].trailers == [(b"X-Check", b"abc")]
    assert response.trailers == [(b"X-Sum", b"def")]
    assert seen[0].values(b"transfer-encoding") == [b"chunked"]


@on_a_loop
async def test_trailers_that_would_change_the_request_are_dropped():
    """A Host or a Content-Type after the body never reaches the upstream."""
    seen = []

    async def app(served):
        await served.body()
        seen.append(served.request)
        await served.answer()

    head = b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % HOST
    trailers = b"Host: evil\r\nX-Kept: 1\r\nContent-Type: a/b\r\nX-Forwarded-For: evil\r\n"
    async with loop_of(app) as loop:
        response = await loop.ask(head + chunked(b"hi", trailers=trailers))

    assert response.status == 200
    assert seen[0].trailers == [(b"X-Kept", b"1")]


@on_a_loop
async def test_a_body_that_ends_with_the_upstreams_connection_is_whole():
    """An upstream of HTTP/1.0 manners is given clean framing towards the caller."""

    async def app(served):
        await served.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end")
        served.writer.close()

    async with loop_of(app) as loop:
        response = await loop.ask(get())

    assert response.is_whole
    assert response.body == b"to the end"
    assert response.values(b"transfer-encoding") == [b"chunked"]


# --- heads --------------------------------------------------------------------------------


@on_a_loop
async def test_header_order_case_and_duplicates_are_kept_both_ways():
    """Signatures and debugging both depend on it."""
    seen = []

    async def app(served):
        seen.append(served.request)
        await served.answer(
            b"ok",
            head=b"HTTP/1.1 201 Made It\r\nSet-Cookie: a=1\r\nx-ODD: \xe9\r\nSet-Cookie: b=2\r\n",
        )

    preserved = Policy(host_header="preserve")
    async with loop_of(app, agent={"policy": preserved}) as loop:
        fields = b"x-LOWER: 1\r\nX-Twice: a\r\nAccept: */*\r\nX-Twice: b\r\n"
        response = await loop.ask(get(b"/a?b=%20c", fields=fields))

    assert seen[0].first_line == b"GET /a?b=%20c HTTP/1.1"
    assert seen[0].fields[:5] == [
        (b"Host", HOST),
        (b"x-LOWER", b"1"),
        (b"X-Twice", b"a"),
        (b"Accept", b"*/*"),
        (b"X-Twice", b"b"),
    ]
    assert response.first_line == b"HTTP/1.1 201 Made It"
    assert response.fields == [
        (b"Set-Cookie", b"a=1"),
        (b"x-ODD", b"\xe9"),
        (b"Set-Cookie", b"b=2"),
        (b"Content-Length", b"2"),
    ]


@on_a_loop
async def test_fields_of_one_connection_stay_on_it():
    """Connection, what it names and its kin pass in neither direction."""
    seen = []

    async def app(served):
        seen.append(served.request)
        await served.answer(
            head=b"HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
            b"Upgrade: h2c\r\nX-Kept: 1\r\n"
        )

    fields = b"Connection: x-secret, keep-alive\r\nX-Secret: 1\r\nTE: trailers\r\n"
    fields += b"Keep-Alive: 9\r\nProxy-Connection: keep-alive\r\nX-Kept: 1\r\n"
    async with loop_of(app) as loop:
        response = await loop.ask(get(fields=fields))

    ours = (b"X-Forwarded-", b"Hookloop-")
    names = [name.lower() for name, _ in seen[0].fields if not name.startswith(ours)]
    assert names == [b"host", b"x-kept"]
    assert response.fields == [(b"X-Kept", b"1"), (b"Content-Length", b"0")]


@on_a_loop
async def test_what_a_caller_claims_about_itself_is_replaced():
    """X-Forwarded-* and Forwarded say what the relay saw, and nothing else."""
    seen = []

    async def app(served):
        seen.append(served.request)
        await served.answer()

    fields = b"X-Forwarded-For: 9.9.9.9\r\nforwarded: for=9.9.9.9\r\nX-FORWARDED-PROTO: https\r\n"
    fields += b"X-Real-IP: 9.9.9.9\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Host: evil\r\n"
    async with loop_of(app) as loop:
        await loop.ask(get(fields=fields))

    assert seen[0].fields[1:] == [
        (b"X-Forwarded-For", b"127.0.0.1"),
        (b"X-Forwarded-Proto", b"http"),
        (b"X-Forwarded-Host", HOST),
        (b"Hookloop-Hops", b"1"),
    ]


@on_a_loop
async def test_behind_a_tls_proxy_the_upstream_is_told_https():
    """The scheme is that of the public URL, not that of the hop behind the proxy."""
    seen = []

    async def app(served):
        seen.append(served.request)
        await served.answer()

    async with loop_of(app, relay={"public_url": f"https://{DOMAIN}"}) as loop:
        await loop.ask(get())
        url = loop.agent.url

    assert seen[0].values(b"x-forwarded-proto") == [b"https"]
    assert url == f"https://{NAME}.{DOMAIN}"


@on_a_loop
async def test_an_upstream_cannot_pretend_to_be_the_relay():
    """Hookloop-Error is the relay's own field."""

    async def app(served):
        await served.answer(head=b"HTTP/1.1 200 OK\r\nhookloop-error: upstream_refused\r\n")

    async with loop_of(app) as loop:
        response = await loop.ask(get())

    assert response.values(b"hookloop-error") == []


# --- connections --------------------------------------------------------------------------


@on_a_loop
async def test_each_request_of_a_connection_goes_by_its_own_host():
    """The second request of a kept-alive connection may be for another tunnel."""

    def naming(name):
        async def app(served):
            await served.body()
            await served.answer(name)

        return app

    async with loop_of(naming(b"shop")) as loop:
        await loop.another_agent("other", naming(b"other"))
        caller = await loop.call()
        bodies = [
            (await caller.ask(get(host=host))).body
            for host in (HOST, b"other." + DOMAIN.encode(), HOST, b"OTHER.%b.:80" % DOMAIN.encode())
        ]

    assert bodies == [b"shop", b"other", b"shop", b"other"]


@on_a_loop
async def test_pipelined_requests_are_answered_in_order():
    """Also where the first one takes longest."""
    gate = asyncio.Event()

    async def app(served):
        if served.request.target == b"/0":
            await gate.wait()
        await served.answer(served.request.target)

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(b"".join(get(b"/%d" % n) for n in range(50)))
        gate.set()
        bodies = [(await caller.response()).body for _ in range(50)]

    assert bodies == [b"/%d" % n for n in range(50)]


@on_a_loop
async def test_a_caller_that_pipelines_and_ends_its_side_gets_every_answer():
    """Half a connection is enough to hear the answers; then the relay closes it."""
    async with loop_of() as loop:
        caller = await loop.call()
        await caller.send(post(b"one") + post(b"two") + post(b"three"))
        caller.writer.write_eof()
        bodies = [(await caller.response()).body for _ in range(3)]
        rest = await caller.rest()

    assert bodies == [b"one", b"two", b"three"]
    assert rest == b""


@on_a_loop
async def test_many_requests_at_once_each_get_their_own_answer():
    """200 exchanges share one session and never each other's bytes."""
    async with loop_of() as loop:

        async def one(number: int) -> bool:
            body = some_bytes(1000 + number)
            response = await loop.ask(post(body))
            return response.body == body

        async with asyncio.TaskGroup() as tasks:
            answers = [tasks.create_task(one(number)) for number in range(200)]
        sessions = loop.relay.statistics().sessions

    assert all(answer.result() for answer in answers)
    assert sessions == 1


@on_a_loop
async def test_a_caller_of_http_1_0_is_answered_in_its_own_way():
    """No chunks, no 1xx: the end of the connection ends the body."""

    async def app(served):
        await served.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hi"))

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(b"GET / HTTP/1.0\r\nHost: %b\r\n\r\n" % HOST)
        answer = await caller.rest()

    assert answer == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi"


@on_a_loop
async def test_the_upstreams_connection_is_used_again():
    """The next request does not pay for a connection."""
    peers = []

    async def app(served):
        peers.append(served.writer.get_extra_info("peername"))
        await served.answer()

    async with loop_of(app) as loop:
        caller = await loop.call()
        for _ in range(3):
            await caller.ask(get())

    assert len(set(peers)) == 1


@on_a_loop
async def test_a_connection_with_bytes_beyond_its_answer_is_not_used_again():
    """They would be read as the answer to somebody else's request."""
    peers = []

    async def app(served):
        peers.append(served.writer.get_extra_info("peername"))
        await served.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, and more")

    async with loop_of(app) as loop:
        caller = await loop.call()
        bodies = [(await caller.ask(get())).body for _ in range(2)]

    assert bodies == [b"hi", b"hi"]
    assert len(set(peers)) == 2


# --- streaming ----------------------------------------------------------------------------


@on_a_loop
async def test_the_first_event_of_a_stream_arrives_before_the_last():
    """Server-sent events pass as they come."""
    gate = asyncio.Event()

    async def app(served):
        await served.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
        )
        await gate.wait()
        await served.send(chunked(b"data: 2\n\n"))

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(get())
        await caller.head()
        first = await soon(caller.reader.readuntil(b"\n\n"))
        gate.set()
        rest = await soon(caller.reader.readuntil(b"0\r\n\r\n"))

    assert first == b"9\r\ndata: 1\n\n"
    assert rest == b"\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"


@on_a_loop
async def test_the_first_bytes_of_an_upload_arrive_before_the_last():
    """The upstream may work on a body while it is sent."""
    first = asyncio.get_running_loop().create_future()

    async def app(served):
        first.set_result(await served.reader.readexactly(5))
        await served.answer(await served.reader.readexactly(5))

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(post(b"0123456789")[:-5])
        early = await soon(first)
        await caller.send(b"56789")
        response = await caller.response()

    assert early == b"01234"
    assert response.body == b"56789"


@on_a_loop
async def test_expect_100_continue_is_the_upstreams_to_answer():
    """The caller waits for the word of the one who will read the body."""

    async def app(served):
        assert served.request.values(b"expect") == [b"100-continue"]
        await served.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await served.answer(await served.body())

    async with loop_of(app) as loop:
        caller = await loop.call()
        request = post(b"body", fields=b"Expect: 100-continue\r\n")
        await caller.send(request[:-4])
        interim = await caller.head()
        await caller.send(b"body")
        response = await caller.response()

    assert interim.first_line == b"HTTP/1.1 100 Continue"
    assert response.body == b"body"


@on_a_loop
async def test_early_hints_come_before_the_response():
    """103 is passed on, and is not taken for the answer."""

    async def app(served):
        await served.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        await served.answer(b"page")

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(get())
        interim = await caller.head()
        response = await caller.response()

    assert interim.status == 103
    assert interim.fields == [(b"Link", b"</a.css>")]
    assert response.body == b"page"


@pytest.mark.parametrize(
    ("request_", "head", "length"),
    [
        (
            b"HEAD / HTTP/1.1\r\nHost: %b\r\n\r\n" % HOST,
            b"HTTP/1.1 200 OK\r\nContent-Length: 7",
            b"7",
        ),
        (get(), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7", b"7"),
        (get(), b"HTTP/1.1 204 No Content\r\nX-A: b", None),
        (get(), b"HTTP/1.1 204 No Content\r\nContent-Length: 7", None),
    ],
)
@on_a_loop
async def test_answers_without_a_body_leave_the_connection_in_step(request_, head, length):
    """Content-Length is kept for HEAD and 304, where it speaks of a body that is not sent."""

    async def app(served):
        if served.request.target == b"/next":
            await served.answer(b"next")
        else:
            await served.send(head + b"\r\n\r\n")

    async with loop_of(app) as loop:
        caller = await loop.call()
        response = await caller.ask(request_)
        after = await caller.ask(get(b"/next"))

    assert response.values(b"content-length") == ([] if length is None else [length])
    assert response.values(b"transfer-encoding") == []
    assert after.body == b"next"


@on_a_loop
async def test_an_answer_may_come_during_the_upload():
    """413 reaches the caller, though the upstream never read the body."""

    async def app(served):
        await served.answer(b"too large", head=b"HTTP/1.1 413 Content Too Large\r\n")
        served.writer.close()

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(post(bytes(MIB))[: 64 * KIB])
        response = await caller.response()

    assert response.status == 413
    assert response.body == b"too large"


@on_a_loop
async def test_after_an_early_answer_a_small_rest_is_read_and_the_connection_kept():
    """The upstream's connection is not: the rest of the body would be its next request."""
    peers = []

    async def app(served):
        peers.append(served.writer.get_extra_info("peername"))
        await served.answer(b"early")

    async with loop_of(app) as loop:
        caller = await loop.call()
        await caller.send(post(b"0123456789")[:-5])
        first = await caller.response()
        await caller.send(b"56789")
        second = await caller.ask(get())

    assert first.body == second.body == b"early"
    assert len(set(peers)) == 2


# --- uvloop -------------------------------------------------------------------------------


def on_uvloop(test):
    return on_a_loop(test, loop_factory=uvloop.new_event_loop)


@on_uvloop
async def test_all_of_it_works_on_uvloop():
    """Large bodies both ways, pipelining, refusals and closing, on the faster loop."""
    body = some_bytes(5 * MIB)
    async with loop_of() as loop:
        response = await loop.ask(post(body))
        caller = await loop.call()
        await caller.send(b"".join(post(b"%d" % n) for n in range(20)))
        pipelined = [(await caller.response()).body for _ in range(20)]
        closed = await loop.ask(post(b"bye", fields=b"Connection: close\r\n"))
        missing = await loop.ask(get(host=b"nobody." + DOMAIN.encode()))

    assert response.body == body
    assert pipelined == [b"%d" % n for n in range(20)]
    assert closed.body == b"bye"
    assert missing.status == 404
