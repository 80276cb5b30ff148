"""What a platform team asks of a relay: is it well, is it ready, what does it do."""

import asyncio
import json

from tunnel_loop import (
    TOKEN,
    get,
    loop_of,
    on_a_loop,
    open_caller,
    post,
    relay_config,
    soon,
    until,
)

from hookloop.tunnel.relay import running_relay

LIVE, READY, METRICS = b"/_hookloop/live", b"/_hookloop/ready", b"/metrics"
ADMIN = {"admin_port": 0}


async def ask_admin(loop, target, host=b"127.0.0.1"):
    port = loop.relay.admin_url.rpartition(":")[2]
    return await (await open_caller(loop._stack, int(port))).ask(get(target, host=host))


def sample(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(name.encode() + b" ")]
    return float(line.split()[-1])


@on_a_loop
async def test_a_relay_says_that_it_lives_and_is_ready():
    """On its admin listener."""
    async with loop_of(relay=ADMIN) as loop:
        live, ready = await ask_admin(loop, LIVE), await ask_admin(loop, READY)

    assert (live.status, json.loads(live.body)) == (200, {"status": "live"})
    assert (ready.status, json.loads(ready.body)) == (200, {"status": "ready"})


@on_a_loop
async def test_the_public_sees_none_of_it():
    """At no host of the public port; and the admin listener carries no tunnels."""
    async with loop_of(relay=ADMIN) as loop:
        for host in (b"tun.test", b"127.0.0.1", b"localhost"):
            for target in (LIVE, READY, METRICS):
                assert (await loop.ask(get(target, host=host))).status == 404
        tunnel = await ask_admin(loop, b"/", host=b"shop.tun.test")
        session = await ask_admin(
            loop, b"/_hookloop/session", b"tun.test\r\nConnection: upgrade\r\nUpgrade: hookloop/1"
        )

    assert tunnel.status == session.status == 404


@on_a_loop
async def test_the_metrics_tell_what_has_passed():
    """Sessions, tunnels, exchanges."""
    async with loop_of(relay=ADMIN) as loop:
        await loop.ask(post(b"0123456789"))
        metrics = await ask_admin(loop, METRICS)

    assert metrics.status == 200
    assert metrics.values(b"content-type")[0].startswith(b"text/plain; version=0.0.4")
    assert sample(metrics.body, "hookloop_relay_sessions") == 1
    assert sample(metrics.body, "hookloop_relay_tunnels") == 1


@on_a_loop
async def test_only_get_reads_it():
    """Nothing here can be changed."""
    async with loop_of(relay=ADMIN) as loop:
        port = int(loop.relay.admin_url.rpartition(":")[2])
        response = await (await open_caller(loop._stack, port)).ask(post(b"", target=READY))

    assert response.status == 405


@on_a_loop
async def test_a_relay_that_stops_is_not_ready_first():
    """It takes all a load balancer still sends, until that has noticed."""
    async with loop_of(relay={**ADMIN, "unready_seconds": 2.0}) as loop:
        stopping = asyncio.ensure_future(loop.relay.stop())
        await until(loop.relay.why_not_ready)
        ready, live = await ask_admin(loop, READY), await ask_admin(loop, LIVE)
        late = await loop.ask(post(b"still taken"))
        await soon(stopping)

    assert (ready.status, json.loads(ready.body)) == (503, {"status": "draining"})
    assert live.status == 200
    assert late.body == b"still taken"


@on_a_loop
async def test_a_relay_without_an_admin_listener_has_none():
    """It is asked for by its address."""
    async with running_relay(relay_config(tokens=(TOKEN,))) as relay:
        assert relay.admin_url is None
