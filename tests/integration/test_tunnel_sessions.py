"""Names, sessions and their ends: who gets a tunnel, keeps it, and has it back."""

import asyncio
import hashlib
import json
import re
from contextlib import AsyncExitStack

import pytest
import uvloop
from patience import PATIENCE
from tampering_proxy import running_tampering_proxy
from tunnel_loop import (
    DOMAIN,
    HOST,
    NAME,
    TOKEN,
    Recorder,
    agent_config,
    echo,
    get,
    is_clean,
    loop_of,
    on_a_loop,
    open_caller,
    post,
    relay_config,
    running_upstream,
    soon,
    until,
)

from hookloop.errors import ConfigError, RefusedError, RemoteError, SignatureError
from hookloop.signing import stripe_signature_header, verify_stripe
from hookloop.tunnel.agent import running_agent
from hookloop.tunnel.agent.dial import dial
from hookloop.tunnel.relay import running_relay

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 43\r\n\r\n"
BAD_GATEWAY += b'{"error": {"code": "proxy", "message": ""}}'
SECRET = "whsec_for-this-test"
OTHER_TOKEN = "hlt_another-one-for-these-tests"


def code_of(message) -> str:
    return json.loads(message.body)["error"]["code"]


# --- names --------------------------------------------------------------------------------


@on_a_loop
async def test_a_tunnel_has_the_name_that_was_asked_for():
    """And its URL names the relay's domain and port."""
    async with loop_of() as loop:
        assert loop.agent.url == f"http://{NAME}.{DOMAIN}:{loop.relay.port}"
        assert loop.at_agent.ups == [loop.agent.url]


@on_a_loop
async def test_a_tunnel_without_a_name_is_given_one():
    """One that is easy to say and hard to guess."""
    async with loop_of(agent={"name": None}) as loop:
        name = loop.agent.url.removeprefix("http://").partition(".")[0]
        response = await loop.ask(post(b"hi", host=f"{name}.{DOMAIN}".encode()))

    assert re.fullmatch(r"[a-z]+-[a-z]+-[a-z0-9]{8}", name)
    assert response.body == b"hi"


@on_a_loop
async def test_a_tunnel_that_nobody_bound_is_404():
    """With the command that would bind it."""
    async with loop_of() as loop:
        response = await loop.ask(get(host=b"nobody." + DOMAIN.encode()))

    assert response.status == 404
    assert code_of(response) == "unknown_tunnel"
    assert b"--name nobody" in response.body


@on_a_loop
async def test_a_relay_that_was_started_again_does_not_say_that_a_tunnel_is_gone():
    """Its agent is on the way back; on a 404 a sender may give up for good."""
    async with loop_of(relay={"return_seconds": 60.0}) as loop:
        response = await loop.ask(get(host=b"other." + DOMAIN.encode()))

    assert response.status == 503
    assert response.values(b"retry-after") == [b"5"]
    assert code_of(response) == "agent_offline"


@on_a_loop
async def test_browsers_are_answered_with_a_page():
    """Everybody else gets JSON."""
    async with loop_of() as loop:
        fields = b"Accept: text/html,application/xhtml+xml\r\n"
        response = await loop.ask(get(host=b"<b>." + DOMAIN.encode()))
        page = await loop.ask(get(host=b"nobody." + DOMAIN.encode(), fields=fields))

    assert response.status == 400
    assert page.values(b"content-type") == [b"text/html; charset=utf-8"]
    assert b"<h1>404 Not Found</h1>" in page.body


@on_a_loop
async def test_the_relay_says_what_it_is():
    """At its own address, and nowhere else."""
    async with loop_of() as loop:
        about = await loop.ask(get(host=DOMAIN.encode()))
        missing = await loop.ask(get(b"/x", host=DOMAIN.encode()))
        port = loop.relay.port

    assert json.loads(about.body)["tunnels"] == f"http://NAME.{DOMAIN}:{port}"
    assert missing.status == 404


@on_a_loop
async def test_a_bad_token_is_refused_for_good():
    """Trying again cannot help, so the agent does not."""
    watcher = Recorder()
    async with loop_of() as loop:
        config = agent_config(loop.relay, 1, token="hlt_not-one-of-its-tokens")
        with pytest.raises(RefusedError) as refused:
            async with running_agent(config, observer=watcher):
                pass

    assert refused.value.code == "bad_token"
    assert watcher.downs == []


@pytest.mark.parametrize(
    ("name", "code"), [(NAME, "name_taken"), ("www", "bad_name"), ("Not A Label", "bad_name")]
)
@on_a_loop
async def test_a_name_that_cannot_be_had_is_refused(name, code):
    """Whoever has it keeps it."""
    async with loop_of() as loop:
        with pytest.raises(RefusedError) as refused:
            await loop.another_agent(name)
        response = await loop.ask(post(b"still here"))

    assert refused.value.code == code
    assert response.body == b"still here"


@on_a_loop
async def test_an_agent_that_leaves_gives_its_name_back():
    """Ctrl+C and the same command again: the next process has another id."""
    async with loop_of() as loop:
        async with running_agent(agent_config(loop.relay, 1, name="again")):
            pass
        again = await loop.another_agent("again")

        assert again.url == f"http://again.{DOMAIN}:{loop.relay.port}"


@on_a_loop
async def test_an_agent_whose_block_is_cancelled_gives_its_name_back():
    """Which is what Ctrl+C does to `hookloop http`."""

    async def forward(relay, is_up):
        async with running_agent(agent_config(relay, 1, name="again")):
            is_up.set()
            await asyncio.Event().wait()

    async with loop_of() as loop:
        is_up = asyncio.Event()
        forwarding = asyncio.ensure_future(forward(loop.relay, is_up))
        await soon(is_up.wait())
        forwarding.cancel()
        await asyncio.wait({forwarding})
        again = await loop.another_agent("again")

        assert forwarding.cancelled()
        assert again.url == f"http://again.{DOMAIN}:{loop.relay.port}"


# --- the session lost, and back -----------------------------------------------------------


@on_a_loop
async def test_while_the_agent_is_away_its_callers_are_told_to_come_back():
    """503 with Retry-After within the hold; the name is nobody else's meanwhile."""
    async with loop_of(relay={"tokens": (TOKEN, OTHER_TOKEN)}) as loop:
        loop.agent._backoff = _Never()
        loop.agent._session.carrier.drop("the laptop sleeps")
        await until(lambda: loop.relay.statistics().tunnels == 0)
        response = await loop.ask(get())
        with pytest.raises(RefusedError) as refused:
            await loop.another_agent(NAME, token=OTHER_TOKEN)

    assert response.status == 503
    assert response.values(b"retry-after") == [b"5"]
    assert code_of(response) == "agent_offline"
    assert refused.value.code == "name_taken"
    assert loop.at_agent.downs == ["the laptop sleeps"]


@on_a_loop
async def test_after_a_kill_the_next_process_of_the_same_token_has_the_name():
    """Nobody waits a minute for the tunnel they just lost; a live one is not robbed."""
    async with loop_of() as loop:
        with pytest.raises(RefusedError) as refused:
            await loop.another_agent(NAME)
        loop.agent._backoff = _Never()
        loop.agent._session.carrier.drop("kill -9")
        await until(lambda: loop.relay.statistics().tunnels == 0)
        again = await loop.another_agent(NAME)
        response = await loop.ask(post(b"by the next"))

        assert again.url == loop.agent.url
    assert "in use by another agent, of your token" in str(refused.value)
    assert response.body == b"by the next"


class _Never:
    def next_seconds(self) -> float:
        return 3600.0

    def reset(self) -> None: ...


@on_a_loop
async def test_an_agent_comes_back_to_its_url_after_the_relay_was_restarted():
    """A name the relay had made up too: URLs are pasted into other people's settings."""
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(running_upstream(echo))
        watcher = Recorder()
        async with running_relay(relay_config()) as first:
            fixed = relay_config(port=first.port)
            config = agent_config(first, port, name=None)
            agent = await stack.enter_async_context(running_agent(config, observer=watcher))
            url = agent.url
        await until(lambda: watcher.downs)
        async with running_relay(fixed) as second:
            await until(lambda: len(watcher.ups) == 2)
            caller = await open_caller(stack, second.port)
            host = url.removeprefix("http://").encode()
            response = await caller.ask(post(b"back", host=host))
            await stack.aclose()

    assert watcher.ups == [url, url]
    assert response.body == b"back"
    assert agent.statistics().sessions == 2


@on_a_loop
async def test_a_new_session_of_the_same_agent_takes_over_at_once():
    """The old one may seem alive for half a minute, to a relay that hears nothing."""
    async with loop_of() as loop:
        twin = await loop.another_agent("for-its-upstream")
        twin._id, twin.tunnels[0].name = loop.agent._id, NAME
        loop.agent._backoff = _Never()
        twin._session.carrier.drop("as if it were the same process after a change of networks")
        await until(lambda: twin.statistics().sessions == 2 and loop.at_agent.downs)
        response = await loop.ask(post(b"taken over"))

        assert loop.relay.statistics().sessions == 1
    assert response.body == b"taken over"


@on_a_loop
async def test_a_refusal_after_a_reconnect_ends_the_block():
    """The relay's owner has withdrawn the token: nobody should wait for a tunnel any more."""
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(running_upstream(echo))
        first = await stack.enter_async_context(running_relay(relay_config()))
        fixed = relay_config(port=first.port, tokens=("hlt_another-one-now",))

        async def hold():
            async with running_agent(agent_config(first, port)) as agent:
                up.set_result(agent)
                await asyncio.Event().wait()

        up = asyncio.get_running_loop().create_future()
        holding = asyncio.ensure_future(hold())
        await soon(up)
        await first.stop()
        async with running_relay(fixed):
            with pytest.raises(RefusedError):
                await soon(holding)


@on_a_loop
async def test_a_lost_session_does_not_wait_for_the_upstreams_connection():
    """An upstream behind a black hole must not keep the agent from coming back."""
    async with loop_of() as loop:
        connecting = asyncio.Event()

        async def never():
            connecting.set()
            await asyncio.Event().wait()

        loop.agent.tunnels[0].pool.connect = never
        caller = await loop.call()
        await caller.send(get())
        await soon(connecting.wait())
        loop.agent._session.carrier.drop("a change of networks")
        response = await caller.response()
        await until(lambda: len(loop.at_agent.ups) == 2)

    assert response.status == 502


# --- the end ------------------------------------------------------------------------------


@on_a_loop
async def test_a_relay_that_stops_lets_exchanges_end():
    """The caller gets its answer, is told that the connection ends, and no one new is let in."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def app(served):
        begun.set()
        await gate.wait()
        await served.answer(b"to the end")

    async with loop_of(app) as loop:
        caller, idle = await loop.call(), await loop.call()
        await caller.send(get())
        await soon(begun.wait())
        stopping = asyncio.ensure_future(loop.relay.stop())
        at_idle = await idle.rest()
        gate.set()
        response = await caller.response()
        await soon(stopping)

    assert at_idle == b""
    assert response.body == b"to the end"
    assert response.values(b"connection") == [b"close"]


@on_a_loop
async def test_a_relay_that_has_waited_enough_cuts_what_is_left():
    """And leaves nothing behind."""

    async def app(served):
        await served.reader.read()

    async with loop_of(app, relay={"drain_seconds": 0.1}) as loop:
        caller = await loop.call()
        await caller.send(get())
        await until(lambda: loop.relay.statistics().streams_open == 1)
        await soon(loop.relay.stop())

        assert is_clean(loop.relay)


@on_a_loop
async def test_an_agent_that_leaves_lets_exchanges_end():
    """Also to the last byte of an answer that is still on its way through the session."""
    body = bytes(range(256)) * 4 * 1024 * 4

    async def app(served):
        begun.set()
        await gate.wait()
        await served.answer(body)

    gate, begun = asyncio.Event(), asyncio.Event()
    async with loop_of() as loop, AsyncExitStack() as stack:
        port = await stack.enter_async_context(running_upstream(app))
        leaving = running_agent(agent_config(loop.relay, port, name="leaving"))
        await leaving.__aenter__()
        caller = await loop.call()
        await caller.send(get(host=b"leaving." + DOMAIN.encode()))
        await soon(begun.wait())
        left = asyncio.ensure_future(leaving.__aexit__(None, None, None))
        await until(lambda: loop.relay.statistics().tunnels == 1)
        gone = await loop.ask(get(host=b"leaving." + DOMAIN.encode()))
        gate.set()
        response = await caller.response()
        await soon(left)

    assert gone.status == 404
    assert response.is_whole
    assert response.body == body


@on_a_loop
async def test_an_agent_does_not_wait_for_ever_to_leave():
    """Ctrl+C ends in about a second, whatever is still open."""

    async def app(served):
        await served.reader.read()

    async with loop_of() as loop, AsyncExitStack() as stack:
        port = await stack.enter_async_context(running_upstream(app))
        async with running_agent(agent_config(loop.relay, port, name="leaving")):
            caller = await loop.call()
            await caller.send(get(host=b"leaving." + DOMAIN.encode()))
            await until(lambda: loop.relay.statistics().streams_open == 1)
            clock = asyncio.get_running_loop().time
            since = clock()
        took = clock() - since
        response = await caller.response()

    assert took < 5
    assert response.status == 502


@on_a_loop
async def test_a_leaving_agent_is_not_reported_as_down():
    """Nothing is tried again, so nothing is said of it."""
    async with loop_of() as loop:
        pass

    assert loop.at_agent.downs == []


@on_a_loop
async def test_both_hops_report_each_exchange():
    """Capture sees heads, sizes, times and what went wrong."""
    async with loop_of() as loop:
        await loop.ask(post(b"12345"))
        await until(lambda: loop.at_relay.captures and loop.at_agent.captures)

    for captures, hop in ((loop.at_relay.captures, "relay"), (loop.at_agent.captures, "agent")):
        (exchange,) = captures
        assert exchange.hop == hop
        assert exchange.tunnel == NAME
        assert exchange.response.status == 200
        assert exchange.request_body_bytes == exchange.response_body_bytes == 5
        assert exchange.started <= exchange.responded <= exchange.ended
        assert exchange.failure is None


# --- opening ------------------------------------------------------------------------------


@on_a_loop
async def test_an_agent_of_another_version_is_told_which_one_is_spoken():
    """426 names ours."""
    upgrade = b"Connection: upgrade\r\nUpgrade: hookloop/9\r\n"
    async with loop_of() as loop:
        response = await loop.ask(get(b"/_hookloop/session", host=DOMAIN.encode(), fields=upgrade))

    assert response.status == 426
    assert response.values(b"upgrade") == [b"hookloop/1"]


@on_a_loop
async def test_a_relay_that_drains_says_when_to_come_back():
    """503, and an agent that asked waits that long."""
    async with loop_of() as loop:
        loop.relay._is_draining = True
        loop.agent._session.carrier.drop("lost")
        await until(lambda: len(loop.at_agent.waits) == 2)
        loop.relay._is_draining = False

    assert loop.at_agent.waits[0] < 1
    assert loop.at_agent.waits[1] == 5


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        BAD_GATEWAY,
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + bytes(100_000),
    ],
)
@on_a_loop
async def test_what_is_no_relay_may_be_one_later(answer):
    """A proxy whose relay restarts answers in many ways, and none of them is final."""

    async def app(served):
        await served.send(answer)
        served.writer.close()

    async with running_upstream(app) as port:
        with pytest.raises(RemoteError) as error:
            await dial(f"http://127.0.0.1:{port}", TOKEN, timeout=PATIENCE)

    assert not isinstance(error.value, RefusedError)


@on_a_loop
async def test_a_port_in_use_is_a_setting_to_change():
    """Said in words, with the option to use."""
    async with loop_of() as loop:
        with pytest.raises(ConfigError, match="--port"):
            async with running_relay(relay_config(port=loop.relay.port)):
                pass


@on_a_loop
async def test_an_address_that_is_not_ours_is_a_setting_to_change():
    """Another port would not help."""
    with pytest.raises(ConfigError, match="Choose another --host"):
        async with running_relay(relay_config(host="203.0.113.1")):
            pass


@on_a_loop
async def test_a_relay_on_all_addresses_is_reached_by_its_domain():
    """0.0.0.0 is where it listens, and nothing one can connect to from elsewhere."""
    async with running_relay(relay_config(host="0.0.0.0")) as relay:
        assert relay.url == f"http://{DOMAIN}:{relay.port}"


# --- tampering ----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["caller to relay", "agent to upstream"])
@on_a_loop
async def test_a_body_altered_by_one_byte_is_refused_by_its_signature(place):
    """And the untouched one passes: what we carry is bit for bit what Stripe signed."""
    body = b'{"id": "evt_1", "object": "event", "amount": 100}'
    verdicts = []

    async def app(served):
        await served.body()
        header = served.request.values(b"stripe-signature")[0].decode()
        try:
            verify_stripe(served.request.body, header, [SECRET], now=1000.0)
        except SignatureError as error:
            verdicts.append(error.reason)
            await served.answer(head=b"HTTP/1.1 400 Bad Request\r\n")
        else:
            verdicts.append("verified")
            await served.answer()

    signature = stripe_signature_header(body, [SECRET], signed_at=1000).encode()
    request = post(body, fields=b"Stripe-Signature: %b\r\n" % signature)
    async with loop_of(app) as loop, AsyncExitStack() as stack:
        untouched = await loop.ask(request)
        if place == "caller to relay":
            proxy = running_tampering_proxy(loop.relay.port, b"100}", b"900}")
            caller = await open_caller(stack, await stack.enter_async_context(proxy))
            altered = await caller.ask(request)
        else:
            behind = await stack.enter_async_context(running_upstream(app))
            proxy = running_tampering_proxy(behind, b"100}", b"900}")
            port = await stack.enter_async_context(proxy)
            config = agent_config(loop.relay, port, name="tampered")
            await stack.enter_async_context(running_agent(config))
            altered = await loop.ask(request.replace(HOST, b"tampered." + DOMAIN.encode()))

    assert verdicts == ["verified", "mismatch"]
    assert (untouched.status, altered.status) == (200, 400)


# --- many, and on uvloop ------------------------------------------------------------------


def test_sessions_work_on_uvloop_too():
    """Taking over a connection, losing it and draining are where loops differ."""

    async def scenario():
        async with loop_of() as loop:
            loop.agent._session.carrier.drop("lost")
            await until(lambda: len(loop.at_agent.ups) == 2)
            body = hashlib.sha256(b"x").digest() * 40_000
            response = await loop.ask(post(body))
            await soon(loop.relay.stop())

        assert response.body == body

    on_a_loop(scenario, loop_factory=uvloop.new_event_loop)()


@on_a_loop
async def test_callers_get_one_answer_each_while_sessions_come_and_go():
    """502, 503 or what the upstream says, and never nothing."""
    async with loop_of() as loop:
        statuses = []

        async def ask_on():
            for _ in range(10):
                response = await loop.ask(post(b"x" * 3000))
                statuses.append(response.status)

        async def cut():
            for count in range(2, 5):
                loop.agent._session.carrier.drop("cut")
                await until(lambda count=count: len(loop.at_agent.ups) == count)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(ask_on())
            tasks.create_task(cut())

    assert len(statuses) == 200
    assert set(statuses) <= {200, 502, 503}
