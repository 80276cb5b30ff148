"""`captures`: waiting for an exchange, and what is said when it does not come."""

import asyncio
import json
import threading

import pytest

from hookloop.exchange import Exchange, RequestHead, ResponseHead
from hookloop.testing import captures


def exchange(body, headers=(), status=200, target=b"/hooks?x=1"):
    return Exchange(
        hop="agent",
        tunnel="shop",
        remote="127.0.0.1:1",
        request=RequestHead(b"POST", target, tuple(headers)),
        response=None if status is None else ResponseHead(status, b"", ()),
        request_body_bytes=len(body),
        response_body_bytes=0,
        started=1.0,
        responded=1.1,
        ended=1.2,
        failure=None if status is not None else "the app broke off",
        request_body=body,
    )


def event(type_, id_="evt_1"):
    return json.dumps({"id": id_, "type": type_, "object": "event"}).encode()


def test_what_has_come_is_there_at_once():
    """And can be looked at."""
    with captures() as seen:
        seen.captured(exchange(event("invoice.paid"), [(b"Content-Type", b"application/json")]))

    paid = seen.wait("invoice.paid", seconds=0)

    assert (paid.method, paid.path, paid.status) == ("POST", "/hooks", 200)
    assert paid.event_id == "evt_1"
    assert paid.json()["object"] == "event"
    assert paid.header("content-type") == "application/json"
    assert "evt_1" not in repr(paid)


def test_what_comes_later_is_waited_for():
    """Told by the agent's thread, asked by the test's."""
    seen = captures()
    seen.captured(exchange(event("customer.created")))
    teller = threading.Timer(0, seen.captured, [exchange(event("customer.updated", "evt_2"))])
    teller.start()

    assert seen.wait("customer.*", event_id="evt_2").event_type == "customer.updated"
    teller.join()


def test_a_loop_goes_on_meanwhile():
    """`await_` waits in a thread."""
    seen = captures()

    async def both():
        waiting = asyncio.create_task(seen.await_("invoice.paid"))
        await asyncio.sleep(0)
        seen.captured(exchange(event("invoice.paid")))
        return await waiting

    assert asyncio.run(both()).status == 200


@pytest.mark.parametrize(
    "wanted",
    [
        {"event_type": "invoice.voided"},
        {"event_id": "evt_2"},
        {"path": "/"},
        {"status": 500},
        {"where": lambda each: each.failure is not None},
    ],
)
def test_what_does_not_come_is_said_with_what_came(wanted):
    """The test's reader sees at once what was there instead."""
    seen = captures()
    seen.captured(exchange(event("invoice.paid")))

    with pytest.raises(AssertionError, match=r"invoice\.paid -> 200") as error:
        seen.wait(**wanted, seconds=0)

    assert "within 0 s" in str(error.value)


def test_nothing_at_all():
    """After `clear` it has not come yet."""
    seen = captures()
    seen.captured(exchange(event("invoice.paid")))
    seen.clear()

    with pytest.raises(AssertionError, match="nothing came"):
        seen.wait("invoice.paid", seconds=0)
    assert len(seen) == 0


@pytest.mark.parametrize(
    ("headers", "body", "type_", "id_"),
    [
        (
            [(b"X-GitHub-Event", b"pull_request"), (b"X-GitHub-Delivery", b"d1")],
            b'{"action": "opened"}',
            "pull_request.opened",
            "d1",
        ),
        (
            [(b"X-Shopify-Topic", b"orders/create"), (b"X-Shopify-Event-Id", b"s1")],
            b"{}",
            "orders.create",
            "s1",
        ),
        (
            [(b"X-Slack-Signature", b"v0=")],
            b'{"event": {"type": "app_mention"}, "event_id": "Ev1"}',
            "app_mention",
            "Ev1",
        ),
        ([(b"webhook-id", b"msg_1")], b'{"type": "user.created"}', "user.created", "msg_1"),
        ([], b"\xff\x00", None, None),
        ([], b"[1]", None, None),
    ],
)
def test_each_sender_names_its_events_elsewhere(headers, body, type_, id_):
    """In headers, or in the body."""
    seen = captures()
    seen.captured(exchange(body, headers))

    assert (seen.all[0].event_type, seen.all[0].event_id) == (type_, id_)


def test_an_exchange_that_was_cut_has_no_status():
    """It is there all the same."""
    seen = captures()
    seen.captured(exchange(event("invoice.paid"), status=None))

    assert seen.wait("invoice.paid", seconds=0).failure == "the app broke off"
