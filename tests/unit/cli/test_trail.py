"""The trail of a delivery: the story in order of time, and the first hop that failed."""

from dataclasses import replace

import pytest

from hookloop.cli.trail import Failure, Trail
from hookloop.exchange import Exchange, RequestHead, ResponseHead

HEAD = RequestHead(b"POST", b"/webhooks/stripe", ())


def exchange(
    hop: str,
    started: float,
    *,
    took: float = 0.002,
    status: int | None = 200,
    failure: str | None = None,
) -> Exchange:
    response = None if status is None else ResponseHead(status, b"OK", ())
    return Exchange(
        hop=hop,
        tunnel="shop",
        remote="127.0.0.1:5",
        request=HEAD,
        response=response,
        request_body_bytes=10,
        response_body_bytes=2,
        started=started,
        responded=None if status is None else started + took,
        ended=started + took,
        failure=failure,
    )


@pytest.fixture
def whole() -> Trail:
    return Trail(
        "evt_1",
        "customer.updated",
        "http://shop.tun.localhost/webhooks/stripe",
        started=10.0,
        ended=10.01,
        status=200,
        relay=exchange("relay", 10.001, took=0.005),
        agent=exchange("agent", 10.002),
        handled=[(10.003, "evt_1 customer.updated")],
    )


def test_the_story_is_told_in_the_order_of_time(whole: Trail):
    """Hops come from five places and are told as one story."""
    hops = whole.hops()

    assert [hop.who for hop in hops] == [
        "sandbox",
        "relay",
        "agent",
        "handler",
        "agent",
        "relay",
        "sandbox",
    ]
    assert [hop.at for hop in hops] == sorted(hop.at for hop in hops)


def test_a_whole_trail_has_no_failure(whole: Trail):
    """Every hop did its part."""
    assert whole.failure() is None


@pytest.mark.parametrize(
    ("change", "who"),
    [
        ({"relay": None, "status": None, "error": "connection refused"}, "relay"),
        ({"agent": None, "status": 503}, "agent"),
        ({"agent": exchange("agent", 10.002, status=None, failure="refused")}, "app"),
        ({"status": 400}, "handler"),
        ({"status": None, "error": "timeout"}, "handler"),
        ({"handled": []}, "handler"),
    ],
)
def test_the_first_hop_that_failed_is_named(whole: Trail, change: dict, who: str):
    """In the direction of travel: what comes after a failed hop is not to blame."""
    failure = replace(whole, **change).failure()

    assert failure is not None
    assert failure.who == who
    assert failure.why


def test_a_failure_says_what_the_agent_saw(whole: Trail):
    """The reason comes from the hop that saw it first."""
    whole.agent = exchange("agent", 10.002, status=None, failure="cannot reach localhost:3000")

    assert whole.failure() == Failure("app", "cannot reach localhost:3000")
    assert any("cannot reach localhost:3000" in hop.what for hop in whole.hops())
