"""Events on their way: signed, timed out, tried again, kept apart, over real sockets."""

import asyncio
import itertools
import json
import time
from dataclasses import replace

import aiohttp
import pytest
import stripe
from receiver import ManualClock, Receiver, Watcher

from hookloop.errors import ConfigError
from hookloop.sandbox import Chaos, SandboxConfig, running_sandbox
from hookloop.schedule import STRIPE_LIVE, STRIPE_TEST, RetrySchedule

pytestmark = pytest.mark.anyio

ANY_PORT = SandboxConfig(port=0)


async def register(client: stripe.StripeClient, url: str, **params) -> stripe.WebhookEndpoint:
    return await asyncio.to_thread(
        client.v1.webhook_endpoints.create, {"url": url, "enabled_events": ["*"], **params}
    )


async def new_customer(client: stripe.StripeClient, **params) -> stripe.Customer:
    return await asyncio.to_thread(client.v1.customers.create, params)


async def test_the_official_library_accepts_a_delivered_event(client_of):
    """Body and signature as they came off the wire, judged by stripe.Webhook."""
    async with running_sandbox(ANY_PORT) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        customer = await new_customer(client, name="Ada")
        await asyncio.to_thread(client.v1.customers.update, customer.id, {"name": "Zoë"})
        await receiver.wait_received(2)

    headers, body = receiver.received[1]
    event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], endpoint.secret)
    assert event.type == "customer.updated"
    assert event.data.object["name"] == "Zoë"
    assert event.data.previous_attributes.to_dict() == {"name": "Ada"}
    assert event.pending_webhooks == 1
    changed = body.replace("Zoë".encode(), b"Eve")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(changed, headers["Stripe-Signature"], endpoint.secret)


async def test_a_delivery_looks_like_stripes(client_of):
    """The headers it has, and not one of the HTTP client's own."""
    async with running_sandbox(ANY_PORT) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        await register(client, receiver.url(host="shop.tun.localhost"))
        await new_customer(client)
        await receiver.wait_received(1)

    headers, body = receiver.received[0]
    assert set(headers) == {
        "Host",
        "Content-Type",
        "Content-Length",
        "User-Agent",
        "Accept",
        "Cache-Control",
        "Stripe-Signature",
    }
    assert headers["Host"] == f"shop.tun.localhost:{receiver.port}"
    assert body.decode() == json.dumps(json.loads(body), indent=2, ensure_ascii=False)


async def test_each_endpoint_has_its_version(client_of):
    """Frozen when it was made; the others have the account's."""
    async with running_sandbox(ANY_PORT) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        await register(client, receiver.url("/old"), api_version="2020-08-27")
        await register(client, receiver.url("/new"))
        await new_customer(client)
        await receiver.wait_received(2)

    versions = {json.loads(body)["api_version"] for _, body in receiver.received}
    assert versions == {"2020-08-27", stripe.api_version}


async def test_an_observer_sees_the_attempt(client_of):
    """Before and after, with the signature that marks it on its way."""
    watcher = Watcher()
    async with (
        running_sandbox(ANY_PORT, observer=watcher, requests=watcher) as sandbox,
        Receiver() as receiver,
    ):
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        await new_customer(client)
        await watcher.wait_ended(1)
        await sandbox.wait_idle()
        statistics = sandbox.statistics()

    (started,), (ended,) = watcher.started, watcher.ended
    assert (started.event_type, started.number) == ("customer.created", 1)
    assert started.signature == receiver.received[0][0]["Stripe-Signature"]
    assert (ended.endpoint_id, ended.url) == (endpoint.id, receiver.url())
    assert (ended.status, ended.delivered, ended.retry_seconds) == (200, True, None)
    assert ended.started <= ended.ended
    assert [request.path for request in watcher.requests] == [
        "/v1/webhook_endpoints",
        "/v1/customers",
    ]
    assert (statistics.requests, statistics.accounts) == (2, 1)
    assert (statistics.deliveries.delivered, statistics.deliveries.in_flight) == (1, 0)


async def test_a_failed_attempt_is_made_again_when_it_is_due(client_of, clock: ManualClock):
    """Not a second early, with a fresh signature, until the endpoint takes it."""
    watcher = Watcher()
    async with (
        running_sandbox(ANY_PORT, observer=watcher, clock=clock) as sandbox,
        Receiver() as receiver,
    ):
        receiver.statuses = [500, 500]
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        await new_customer(client)
        await watcher.wait_ended(1)

        for number, wait in enumerate(STRIPE_TEST.waits_seconds[:2], start=1):
            assert sandbox.statistics().deliveries.scheduled == 1
            clock.now += wait - 1
            sandbox.wake()
            await sandbox.wait_idle()
            assert len(receiver.received) == number
            clock.now += 1
            sandbox.wake()
            await watcher.wait_ended(number + 1)

        (event,) = await asyncio.to_thread(lambda: client.v1.events.list().data)

    assert [attempt.status for attempt in watcher.ended] == [500, 500, 200]
    assert [attempt.retry_seconds for attempt in watcher.ended] == [300.0, 1800.0, None]
    assert event.pending_webhooks == 0
    times = [headers["Stripe-Signature"].split(",")[0] for headers, _ in receiver.received]
    assert times == ["t=1800000000", "t=1800000300", "t=1800002100"]


async def test_retries_come_by_themselves(client_of):
    """On a clock that runs, nobody has to wake the sandbox."""
    watcher = Watcher()
    config = replace(ANY_PORT, retry_schedule=RetrySchedule((0.01, 0.01)))
    async with running_sandbox(config, observer=watcher) as sandbox, Receiver() as receiver:
        receiver.statuses = [500, 500]
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        await new_customer(client)
        await watcher.wait_ended(3)

    assert [attempt.status for attempt in watcher.ended] == [500, 500, 200]


async def test_attempts_end_with_the_schedule(client_of, clock: ManualClock):
    """After the last failure nothing is scheduled, and the event stays undelivered."""
    watcher = Watcher()
    config = replace(ANY_PORT, retry_schedule=RetrySchedule((60.0,)))
    async with (
        running_sandbox(config, observer=watcher, clock=clock) as sandbox,
        Receiver() as receiver,
    ):
        receiver.statuses = [404, 503]
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        await new_customer(client)
        await watcher.wait_ended(1)
        clock.now += 60
        sandbox.wake()
        await watcher.wait_ended(2)
        await sandbox.wait_idle()

        assert sandbox.statistics().deliveries.scheduled == 0
        failed = await asyncio.to_thread(client.v1.events.list, {"delivery_success": False})
        assert len(failed.data) == 1
    assert [attempt.retry_seconds for attempt in watcher.ended] == [60.0, None]


async def test_a_redirect_is_a_failure_and_not_followed(client_of):
    """As at Stripe: the endpoint itself must answer."""
    watcher = Watcher()
    async with running_sandbox(ANY_PORT, observer=watcher) as sandbox, Receiver() as receiver:
        receiver.statuses = [307]
        receiver.headers = {"Location": receiver.url("/elsewhere")}
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        await new_customer(client)
        await watcher.wait_ended(1)
        await sandbox.wait_idle()

    assert len(receiver.received) == 1
    assert (watcher.ended[0].status, watcher.ended[0].delivered) == (307, False)
    assert watcher.ended[0].retry_seconds is not None


async def test_an_endpoint_that_does_not_answer_times_out(client_of):
    """The wait has a bound, and the reason is told."""
    watcher = Watcher()
    config = replace(ANY_PORT, attempt_timeout_seconds=0.05)
    async with running_sandbox(config, observer=watcher) as sandbox, Receiver() as receiver:
        receiver.gate.clear()
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        await new_customer(client)
        await watcher.wait_ended(1)

    assert (watcher.ended[0].status, watcher.ended[0].error) == (None, "no answer within 0.05 s")


async def test_nobody_listening_is_a_failure_with_its_reason(client_of):
    """What the developer needs to see is in the outcome."""
    watcher = Watcher()
    async with Receiver() as receiver:
        url = receiver.url()
    async with running_sandbox(ANY_PORT, observer=watcher) as sandbox:
        client = client_of(sandbox.url)
        await register(client, url)
        await new_customer(client)
        await watcher.wait_ended(1)

    assert watcher.ended[0].status is None
    assert watcher.ended[0].error.startswith(f"cannot connect to 127.0.0.1:{receiver.port}")


async def test_an_answer_that_is_no_http_is_a_failure(client_of):
    """And one that is cut off before its head."""
    watcher = Watcher()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n" if not watcher.ended else b"")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, running_sandbox(ANY_PORT, observer=watcher) as sandbox:
        client = client_of(sandbox.url)
        await register(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        for number in (1, 2):
            await new_customer(client)
            await watcher.wait_ended(number)

    first, second = watcher.ended
    assert first.error.startswith("no valid answer")
    assert second.error == "the connection was closed before an answer came"


async def test_a_slow_endpoint_delays_no_other(client_of):
    """Twenty events wait for one endpoint and reach the other all the same."""
    watcher = Watcher()
    async with (
        running_sandbox(ANY_PORT, observer=watcher) as sandbox,
        Receiver() as slow,
        Receiver() as quick,
    ):
        slow.gate.clear()
        client = client_of(sandbox.url)
        await register(client, slow.url())
        await register(client, quick.url())
        for _ in range(20):
            await new_customer(client)
        await watcher.wait_ended(20)

        assert len(quick.received) == 20
        assert {attempt.url for attempt in watcher.ended} == {quick.url()}
        deliveries = sandbox.statistics().deliveries
        assert (deliveries.in_flight, deliveries.waiting) == (8, 12)
        slow.gate.set()
        await watcher.wait_ended(40)
    assert len(slow.received) == 20


async def test_deliveries_waiting_for_one_endpoint_are_bounded(client_of, monkeypatch):
    """What is over the bound has failed, is counted, and is not forgotten silently."""
    monkeypatch.setattr("hookloop.sandbox.worker.ENDPOINT_OWED_MAX", 2)
    watcher = Watcher()
    async with running_sandbox(ANY_PORT, observer=watcher) as sandbox, Receiver() as receiver:
        receiver.gate.clear()
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        for _ in range(3):
            await new_customer(client)
        await receiver.wait_received(2)
        assert sandbox.statistics().deliveries.overflowed == 1
        receiver.gate.set()
        await sandbox.wait_idle()

        failed = await asyncio.to_thread(client.v1.events.list, {"delivery_success": False})
        assert len(failed.data) == 1


async def test_an_endpoint_deleted_during_an_attempt_is_owed_nothing(client_of):
    """The attempt ends, changes nothing, and is not made again."""
    watcher = Watcher()
    async with running_sandbox(ANY_PORT, observer=watcher) as sandbox, Receiver() as receiver:
        receiver.gate.clear()
        receiver.statuses = [500]
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        await new_customer(client)
        await receiver.wait_received(1)
        await asyncio.to_thread(client.v1.webhook_endpoints.delete, endpoint.id)
        receiver.gate.set()
        await watcher.wait_ended(1)

        assert watcher.ended[0].retry_seconds is None
        assert sandbox.statistics().deliveries.scheduled == 0


async def test_a_retry_of_an_endpoint_that_is_gone_is_not_made(client_of, clock: ManualClock):
    """It was scheduled before the endpoint was deleted."""
    watcher = Watcher()
    async with (
        running_sandbox(ANY_PORT, observer=watcher, clock=clock) as sandbox,
        Receiver() as receiver,
    ):
        receiver.statuses = [500]
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        await new_customer(client)
        await watcher.wait_ended(1)
        await asyncio.to_thread(client.v1.webhook_endpoints.delete, endpoint.id)
        clock.now += 300
        sandbox.wake()
        # What is registered and delivered after the wake shows that it has been heard.
        await register(client, receiver.url("/fence"))
        await new_customer(client)
        await watcher.wait_ended(2)

        assert sandbox.statistics().deliveries.scheduled == 0
    assert [attempt.url for attempt in watcher.ended] == [receiver.url(), receiver.url("/fence")]


async def test_it_ends_at_once_while_an_endpoint_hangs(client_of):
    """Within a second, without a task left behind."""
    loop = asyncio.get_running_loop()
    async with Receiver() as receiver:
        receiver.gate.clear()
        async with running_sandbox(ANY_PORT) as sandbox:
            client = client_of(sandbox.url)
            await register(client, receiver.url())
            await new_customer(client)
            await receiver.wait_received(1)
            began = loop.time()
        took = loop.time() - began
        left = [task for task in asyncio.all_tasks() if "hookloop" in repr(task.get_coro())]

    assert took < 1.0
    assert left == []


async def test_what_the_block_raises_comes_out_as_it_is():
    """Not wrapped in a group, so that callers can catch it."""
    with pytest.raises(KeyError, match="mine"):
        async with running_sandbox(ANY_PORT):
            raise KeyError("mine")


async def test_a_port_in_use_is_said_to_be():
    """With the port, and what to do."""
    async with running_sandbox(ANY_PORT) as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(ConfigError, match=rf"port {port}: Address already in use.*--port"):
            async with running_sandbox(SandboxConfig(port=port)):
                pass


async def test_two_sandboxes_stand_side_by_side(client_of):
    """Each with its own state."""
    async with running_sandbox(ANY_PORT) as one, running_sandbox(ANY_PORT) as two:
        await new_customer(client_of(one.url))
        there = await asyncio.to_thread(client_of(two.url).v1.customers.list)

    assert there.data == []


async def asked(url: str, method: str, path: str, form: dict | None = None) -> tuple[int, dict]:
    """Call what Stripe's own library has no method for."""
    headers = {"Authorization": "Bearer sk_test_one"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}{path}", data=form, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


def accepts(delivered: tuple[dict[str, str], bytes], secret: str) -> bool:
    headers, body = delivered
    try:
        stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)
    except stripe.SignatureVerificationError:
        return False
    return True


async def test_after_a_roll_old_and_new_secret_both_verify(client_of):
    """For as long as was asked for, and then the new one alone."""
    async with running_sandbox(ANY_PORT) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        path = f"/v1/webhook_endpoints/{endpoint.id}/roll_secret"
        _, rolled = await asked(sandbox.url, "POST", path, {"expires_in": "3600"})
        await new_customer(client)
        await receiver.wait_received(1)
        await sandbox.advance(3601)
        await new_customer(client)
        await receiver.wait_received(2)

    both, after = receiver.received
    assert both[0]["Stripe-Signature"].count("v1=") == 2
    assert (accepts(both, endpoint.secret), accepts(both, rolled["secret"])) == (True, True)
    assert (accepts(after, endpoint.secret), accepts(after, rolled["secret"])) == (False, True)


async def test_a_sample_event_is_sent_once_and_signed(client_of):
    """Its failure is on record, and not tried again."""
    async with running_sandbox(ANY_PORT) as sandbox, Receiver() as receiver:
        receiver.statuses = [500]
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        path = f"/v1/webhook_endpoints/{endpoint.id}"
        await asked(sandbox.url, "POST", f"{path}/send_sample", {"type": "invoice.paid"})
        await receiver.wait_received(1)
        await sandbox.wait_idle()
        _, page = await asked(sandbox.url, "GET", f"{path}/deliveries")

    assert accepts(receiver.received[0], endpoint.secret)
    assert json.loads(receiver.received[0][1])["data"]["object"]["id"] == "in_00000000000000"
    [delivery] = page["data"]
    assert (delivery["state"], delivery["next_attempt"]) == ("failed", None)
    assert delivery["attempts"][0]["status"] == 500


async def test_three_days_of_retries_pass_in_a_moment(client_of):
    """Put forward, the clock stops at each one; the signatures go by the clock on the wall."""
    live = replace(ANY_PORT, retry_schedule=STRIPE_LIVE)
    async with running_sandbox(live) as sandbox, Receiver() as receiver:
        receiver.statuses = [500] * STRIPE_LIVE.attempts_max
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        await new_customer(client)
        await receiver.wait_received(1)
        status, _ = await asked(sandbox.url, "POST", "/_hookloop/clock", {"advance": "259200"})
        await receiver.wait_received(STRIPE_LIVE.attempts_max)
        await sandbox.wait_idle()
        path = f"/v1/webhook_endpoints/{endpoint.id}/deliveries"
        _, page = await asked(sandbox.url, "GET", path)

    assert status == 200
    assert all(accepts(delivered, endpoint.secret) for delivered in receiver.received)
    attempts = page["data"][0]["attempts"]
    waits = [
        round(later["started"] - earlier["started"] - earlier["duration_seconds"])
        for earlier, later in itertools.pairwise(attempts)
    ]
    assert waits == list(STRIPE_LIVE.waits_seconds)
    assert page["data"][0]["state"] == "failed"


async def test_the_clock_is_read_and_goes_forward_only(client_of):
    """With a key, and by two years at most."""
    async with running_sandbox(ANY_PORT) as sandbox:
        before = (await asked(sandbox.url, "GET", "/_hookloop/clock"))[1]
        await sandbox.advance(86_400)
        after = (await asked(sandbox.url, "GET", "/_hookloop/clock"))[1]
        bad = [
            await asked(sandbox.url, "POST", "/_hookloop/clock", {"advance": span})
            for span in ("-1", "0", "nan", "soon", "63244801")
        ]
        async with aiohttp.ClientSession() as session:
            stranger = await session.post(f"{sandbox.url}/_hookloop/clock", data={"advance": "1"})
        customer = await new_customer(client_of(sandbox.url))

    assert (before["status"], after["status"]) == ("ready", "ready")
    assert 86_400 <= after["now"] - before["now"] < 86_400 + 60
    assert [status for status, _ in bad] == [400] * 5
    assert stranger.status == 401
    assert customer.created >= int(after["now"])


async def test_an_endpoint_that_fails_for_days_is_disabled(client_of):
    """And gets nothing more until a person enables it."""
    watcher = Watcher()
    config = replace(ANY_PORT, disable_after_seconds=5 * 86_400.0)
    async with running_sandbox(config, observer=watcher) as sandbox, Receiver() as receiver:
        receiver.statuses = [500] * 100
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        for _ in range(6):
            await new_customer(client)
            await sandbox.advance(86_400)
        told = await asyncio.to_thread(client.v1.webhook_endpoints.retrieve, endpoint.id)
        count = len(receiver.received)
        await new_customer(client)
        await sandbox.wait_idle()
        statistics = sandbox.statistics().deliveries

    assert told.status == "disabled"
    assert len(receiver.received) == count
    assert [ended.endpoint_disabled for ended in watcher.ended].count(True) == 1
    assert watcher.ended[-1].retry_seconds is None
    assert (statistics.disabled, statistics.scheduled) == (1, 0)


async def test_chaos_sends_twice_and_drops(client_of):
    """Both are on record: a duplicate as an attempt, what was dropped as failed."""
    twice = replace(ANY_PORT, chaos=Chaos(duplicate=1))
    async with running_sandbox(twice) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        await new_customer(client)
        await receiver.wait_received(2)
        await sandbox.wait_idle()
        path = f"/v1/webhook_endpoints/{endpoint.id}/deliveries"
        _, page = await asked(sandbox.url, "GET", path)
    ids = [json.loads(body)["id"] for _, body in receiver.received]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert [one["status"] for one in page["data"][0]["attempts"]] == [200, 200]

    never = replace(ANY_PORT, chaos=Chaos(drop=1))
    async with running_sandbox(never) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        endpoint = await register(client, receiver.url())
        await new_customer(client)
        await sandbox.wait_idle()
        path = f"/v1/webhook_endpoints/{endpoint.id}/deliveries"
        _, page = await asked(sandbox.url, "GET", path)
        event = (await asyncio.to_thread(client.v1.events.list)).data[0]
        await asked(sandbox.url, "POST", f"/v1/events/{event.id}/retry")
        await sandbox.wait_idle()
    assert page["data"][0]["state"] == "failed"
    assert "chaos" in page["data"][0]["reason"]
    assert receiver.received == []


async def test_what_chaos_delays_comes_when_its_time_has_come(client_of):
    late = replace(ANY_PORT, chaos=Chaos(delay=1, delay_seconds=86_400))
    async with running_sandbox(late) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        for _ in range(5):
            await new_customer(client)
        await sandbox.wait_idle()
        before = len(receiver.received)
        await sandbox.advance(86_400)

    order = [json.loads(body)["data"]["object"]["created"] for _, body in receiver.received]
    assert before == 0
    assert len(order) == 5


async def test_shuffled_siblings_come_in_any_order(client_of):
    """A payment has three events at once; Stripe promises no order of them."""
    config = replace(ANY_PORT, shuffle=True)
    orders = set()
    async with running_sandbox(config) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        payment = {
            "amount": 1000,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "payment_method_types": ["card"],
        }
        while len(orders) < 2:
            receiver.received.clear()
            await asyncio.to_thread(client.v1.payment_intents.create, payment)
            await sandbox.wait_idle()
            orders.add(tuple(json.loads(body)["type"] for _, body in receiver.received))

    assert all(
        {"payment_intent.created", "payment_intent.succeeded", "charge.succeeded"} <= set(order)
        for order in orders
    )


async def test_an_endpoint_is_sent_no_more_a_second_than_its_rate(client_of):
    """However slow the machine is: of four, the last starts three gaps after the first was owed."""
    config = replace(ANY_PORT, endpoint_rate=20.0)
    watcher = Watcher()
    async with running_sandbox(config, observer=watcher) as sandbox, Receiver() as receiver:
        client = client_of(sandbox.url)
        await register(client, receiver.url())
        begun = time.monotonic()
        for _ in range(4):
            await new_customer(client)
        await receiver.wait_received(4)
        await sandbox.wait_idle()

    assert watcher.started[3].started - begun > 0.149
