"""What callers and agents may take of a relay, and what it tells of them."""

import asyncio
import json
import logging
import socket
from contextlib import AsyncExitStack

import pytest
from made_certificates import Authority
from tunnel_loop import (
    DOMAIN,
    HOST,
    Caller,
    chunked,
    get,
    loop_of,
    on_a_loop,
    open_caller,
    post,
    relay_config,
    soon,
    until,
)

from hookloop.tunnel.log_values import Values
from hookloop.tunnel.relay import running_relay
from hookloop.tunnel.relay.config import parse_network
from hookloop.tunnel.relay.tls_settings import TlsSettings

LOOPBACK = (parse_network("127.0.0.0/8"),)


def code_of(message) -> str:
    return json.loads(message.body)["error"]["code"]


# --- slow callers -------------------------------------------------------------------------


@on_a_loop
async def test_a_body_that_comes_too_slowly_is_408():
    """One that never pauses long enough to be idle: a byte now and then would do for hours."""
    limits = {"body_rate_min": 10_000, "rate_grace_seconds": 0.5}
    async with loop_of(lambda served: served.body(), relay=limits) as loop:
        caller = await loop.call()
        await caller.send(post(bytes(10_000))[:-9_000])
        answering = asyncio.ensure_future(caller.response())
        sent = 0

        def has_answered():
            nonlocal sent
            if not answering.done() and sent < 8_000:
                sent += 1
                caller.writer.write(b"x")
            return answering.done()

        await until(has_answered)

    assert answering.result().status == 408
    assert sent > 2


@on_a_loop
async def test_a_body_that_the_app_reads_slowly_is_not_the_callers_fault():
    """The time that the relay waits for the agent does not count."""
    limits = {"body_rate_min": 1_000_000, "rate_grace_seconds": 0.7, "body_idle_seconds": 0.7}
    body = bytes(4 * 1024 * 1024)

    async def app(served):
        served.writer.transport.pause_reading()
        waited = asyncio.Event()
        asyncio.get_running_loop().call_later(1.5, waited.set)
        await waited.wait()
        served.writer.transport.resume_reading()
        await served.answer(b"%d" % len(await served.body()))

    async with loop_of(app, relay=limits) as loop:
        response = await loop.ask(post(body))

    assert (response.status, response.body) == (200, b"%d" % len(body))


@on_a_loop
async def test_of_many_chunks_that_came_before_a_pause_none_counts_twice():
    """Once the agent has no room, the chunks of what was read already still come in."""
    pieces = [bytes(1000)] * 4000
    head = b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % HOST

    async def app(served):
        served.writer.transport.pause_reading()
        waited = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, waited.set)
        await waited.wait()
        served.writer.transport.resume_reading()
        await served.answer(b"%d" % len(await served.body()))

    async with loop_of(app) as loop:
        caller = await loop.call()
        answers = [await caller.ask(head + chunked(*pieces)) for _ in range(2)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"4000000")] * 2


@on_a_loop
async def test_an_answer_that_is_read_too_slowly_is_cut():
    """A few bytes now and then are not enough."""

    async def app(served):
        await served.answer(bytes(8 * 1024 * 1024))

    limits = {"stall_seconds": 0.2, "answer_rate_min": 100_000_000}
    async with loop_of(app, relay=limits) as loop:
        caller = await loop.call(receive_buffer_bytes=4096)
        await caller.send(get())
        await caller.head()
        while not loop.relay.counts.cut["slow_reader"]:
            await soon(caller.reader.read(1))

        await until(lambda: loop.relay.statistics().downstreams == 0)


@on_a_loop
async def test_of_a_body_nobody_wants_so_much_is_read_and_no_more():
    """The answer has come; the caller may read it before the connection ends."""

    async def app(served):
        await served.answer(b"no", head=b"HTTP/1.1 413 Content Too Large\r\n")
        await served.reader.read()

    async with loop_of(app, relay={"unwanted_bytes_max": 1000}) as loop:
        caller = await loop.call()
        await caller.send(post(bytes(300_000))[:-200_000])
        response = await caller.response()

    assert response.status == 413


# --- how many -----------------------------------------------------------------------------


@on_a_loop
async def test_an_address_has_so_many_connections():
    """The next one is told so at once, with when to come again; one that ends makes room."""
    async with loop_of(relay={"connections_per_address_max": 2}) as loop:
        one = await loop.call()  # the agent's own session has left HTTP, and counts no more
        await loop.call()
        refused = await (await loop.call()).response()
        await one.close()
        await until(lambda: loop.relay.statistics().downstreams < 2)
        response = await loop.ask(post(b"room"))

    assert (refused.status, code_of(refused)) == (429, "too_many_connections")
    assert refused.values(b"retry-after") == [b"5"]
    assert response.body == b"room"


@on_a_loop
async def test_a_trusted_proxy_may_have_any_number():
    """All callers come through it."""
    relay = {"connections_per_address_max": 1, "trusted_proxies": LOOPBACK}
    async with loop_of(relay=relay) as loop:
        callers = [await loop.call() for _ in range(5)]
        answers = [await caller.ask(post(b"hi")) for caller in callers]

    assert {answer.status for answer in answers} == {200}


@on_a_loop
async def test_a_relay_has_so_many_connections_in_all():
    """The relay is full, which is no fault of the caller's."""
    async with loop_of(relay={"connections_max": 2}) as loop:
        await loop.call()  # beside the agent's
        await until(lambda: loop.relay.statistics().downstreams == 1)
        refused = await (await loop.call()).response()

    assert (refused.status, code_of(refused)) == (503, "too_many_connections")


@on_a_loop
async def test_a_name_gets_so_many_requests_a_second():
    """Over all its callers, and with when to come again."""
    relay = {"requests_per_second_per_name": 0.01, "requests_burst_per_name": 2}
    async with loop_of(relay=relay) as loop:
        caller = await loop.call()
        statuses = [(await caller.ask(post(b"hi"))).status for _ in range(2)]
        refused = await caller.ask(post(b"hi"))

    assert statuses == [200, 200]
    assert (refused.status, code_of(refused)) == (429, "rate_limited")
    assert 90 < int(refused.values(b"retry-after")[0]) <= 100


@on_a_loop
async def test_an_agent_has_so_many_exchanges_at_once():
    """As many as the relay allows, whatever the agent says it takes."""
    begun = asyncio.Event()

    async def app(served):
        begun.set()
        await served.reader.read()

    async with loop_of(app, relay={"streams_per_agent_max": 1}) as loop:
        first = await loop.call()
        await first.send(get())
        await soon(begun.wait())
        refused = await loop.ask(get())

    assert (refused.status, code_of(refused)) == (503, "overloaded")
    assert refused.values(b"retry-after") == [b"1"]


# --- loops --------------------------------------------------------------------------------


@on_a_loop
async def test_a_tunnel_that_leads_to_itself_ends_in_508():
    """An app that passes requests on to its own public URL, as a misconfigured proxy does."""

    async def app(served):
        fields = [field for field in served.request.fields if field[0] != b"Host"]
        caller = await loops[0].call()
        head = b"".join(b"%b: %b\r\n" % field for field in fields)
        response = await caller.ask(get(fields=head))
        await served.answer(response.body, head=response.first_line + b"\r\n")

    loops = []
    async with loop_of(app, relay={"hops_max": 3}) as loop:
        loops.append(loop)
        response = await loop.ask(get())

    assert (response.status, code_of(response)) == (508, "loop")
    assert len(loop.at_relay.captures) == 3


# --- who the caller is --------------------------------------------------------------------


@on_a_loop
async def test_behind_a_trusted_proxy_the_caller_is_whom_it_names():
    """For the app and in the captures."""
    seen = []

    async def app(served):
        seen.append(served.request)
        await served.answer()

    fields = b"X-Forwarded-For: 1.1.1.1, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
    async with loop_of(app, relay={"trusted_proxies": LOOPBACK}) as loop:
        await loop.ask(get(fields=fields))

    assert seen[0].values(b"x-forwarded-for") == [b"203.0.113.9, 127.0.0.1"]
    assert seen[0].values(b"x-forwarded-proto") == [b"https"]
    assert {capture.remote for capture in loop.at_relay.captures} == {"203.0.113.9:0"}
    assert {capture.remote for capture in loop.at_agent.captures} == {"203.0.113.9:0"}


PROXY_PROTOCOL = {"proxy_protocol": True, "trusted_proxies": LOOPBACK}
LINE = b"PROXY TCP4 203.0.113.9 10.0.0.1 5555 80\r\n"


@pytest.mark.parametrize("tls", [False, True])
@on_a_loop
async def test_a_balancer_says_whose_connection_it_passes_on(tls, tmp_path):
    """By the PROXY protocol, in pieces, before HTTP and before TLS; for the agent's session too."""
    settings = dict(PROXY_PROTOCOL)
    if tls:
        authority = Authority(tmp_path)
        settings["tls"] = TlsSettings(files=(authority.issue("relay", f"*.{DOMAIN}"),))
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(running_relay(relay_config(**settings)))
        sock = socket.create_connection(("127.0.0.1", relay.port))
        sock.sendall(LINE[:20])
        await until(lambda: relay._arrivals._seen)
        sock.sendall(LINE[20:])
        sock.setblocking(False)
        context = authority.client_context() if tls else None
        reader, writer = await soon(
            asyncio.open_connection(
                sock=sock, ssl=context, server_hostname=f"x.{DOMAIN}" if tls else None
            )
        )
        stack.push_async_callback(Caller(reader, writer).close)
        (downstream,) = await soon(only(lambda: relay._downstreams))
        response = await Caller(reader, writer).ask(get())

        assert response.status == 404
        assert downstream._remote == "203.0.113.9:5555"
        await stack.aclose()
    assert relay._arrivals._sources == {}


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", LINE[:-1] + b"x", b"PROXY TCP4 ", b""])
@on_a_loop
async def test_a_connection_without_a_proxy_header_is_cut(data):
    """Also one that ends in the middle of it."""
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(running_relay(relay_config(**PROXY_PROTOCOL)))
        caller = await open_caller(stack, relay.port)
        await caller.send(data)
        caller.writer.write_eof()
        try:
            rest = await caller.rest()
        except ConnectionResetError:
            rest = b""
        assert relay.counts.connections == 0

    assert rest == b""


@on_a_loop
async def test_a_proxy_header_of_a_stranger_is_not_read():
    """Anybody could write one."""
    settings = {**PROXY_PROTOCOL, "trusted_proxies": (parse_network("10.0.0.0/8"),)}
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(running_relay(relay_config(**settings)))
        caller = await open_caller(stack, relay.port)
        try:
            await caller.send(LINE)
            rest = await caller.rest()
        except ConnectionError:
            rest = b""

    assert rest == b""


async def only(found):
    """Wait until there is one, and return it."""
    await until(lambda: len(found()) == 1)
    return list(found())


# --- what is told -------------------------------------------------------------------------


@on_a_loop
async def test_the_access_log_has_a_line_for_each_exchange(caplog):
    """No query, no header, no body: they hold what is nobody's business."""
    caplog.set_level(logging.INFO, "hookloop.relay.access")
    async with loop_of(relay={"access_log": True}) as loop:
        await loop.ask(post(b"secret-body", target=b"/hook?key=secret-query"))
        await loop.ask(get(host=b"nobody.tun.test", fields=b"Cookie: secret-cookie\r\n"))
    lines = [record.args for record in caplog.records if record.name.endswith(".access")]

    assert all(isinstance(values, Values) for values in lines)
    for values in lines:
        assert values.pop("seconds") >= 0
        assert values.pop("remote").startswith("127.0.0.1:")
    assert lines == [
        {
            "tunnel": "shop",
            "method": "POST",
            "path": "/hook",
            "status": 200,
            "bytes_in": 11,
            "bytes_out": 11,
        },
        {
            "method": "GET",
            "path": "/",
            "status": 404,
            "code": "unknown_tunnel",
            "bytes_in": 0,
            "bytes_out": 0,
        },
    ]
    assert "secret" not in caplog.text


@on_a_loop
async def test_what_passes_is_counted():
    """By status, by the relay's own refusals, and what was cut."""
    async with loop_of() as loop:
        await loop.ask(post(b"0123456789"))
        await loop.ask(get(host=b"nobody.tun.test"))
        caller = await loop.call()
        await caller.send(post(b"half of it")[:-3])
        await until(lambda: loop.relay.statistics().streams_open == 1)
        caller.reset()
        await until(lambda: loop.relay.counts.cut["caller_gone"] == 1)
        counts = loop.relay.counts

    assert dict(counts.statuses) == {"2xx": 1, "4xx": 1, "none": 1}
    assert dict(counts.refused) == {"unknown_tunnel": 1}
    assert (counts.bytes_in, counts.bytes_out) == (17, 10)
    assert sum(counts.buckets) == 3
