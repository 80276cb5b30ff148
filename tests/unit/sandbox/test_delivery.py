"""Deliveries: what is sent, and what an attempt's outcome makes of them."""

import json

import pytest

from hookloop.sandbox.delivery import (
    EXCERPT_CHARS_MAX,
    Delivery,
    DeliveryState,
    abandoned,
    after_attempt,
    attempted,
    copied,
    delivery_headers,
    delivery_payload,
    overflowed,
    pending_webhooks,
    signing_secrets,
)
from hookloop.schedule import RetrySchedule
from hookloop.signing import verify_stripe

OWED = Delivery("evt_1", "we_1")
SCHEDULE = RetrySchedule((60.0,))
EVENT = {"id": "evt_1", "api_version": "old", "data": {"object": {"name": "Zoë"}}}


def after(delivery: Delivery, status: int | None, started: float = 1000.0) -> Delivery:
    return attempted(
        delivery,
        SCHEDULE,
        started=started,
        duration_seconds=2.0,
        status=status,
        error=None if status else "refused",
        excerpt="x" * 9999,
    )


def test_a_success_ends_it():
    """With the attempt recorded and nothing more to come."""
    done = after(OWED, 204)

    assert (done.state, done.next_attempt) == (DeliveryState.DELIVERED, None)
    (attempt,) = done.attempts
    assert (attempt.number, attempt.status, attempt.error) == (1, 204, None)
    assert (attempt.started, attempt.duration_seconds) == (1000.0, 2.0)
    assert len(attempt.excerpt) == EXCERPT_CHARS_MAX


@pytest.mark.parametrize("status", [None, 302, 400, 500])
def test_a_failure_is_tried_again_until_the_schedule_ends(status):
    """A minute after the first attempt's end; after the second, never."""
    once = after(OWED, status)
    assert (once.state, once.next_attempt) == (DeliveryState.PENDING, 1062.0)

    twice = after(once, status, started=1062.0)

    assert (twice.state, twice.next_attempt) == (DeliveryState.FAILED, None)
    assert [attempt.next_attempt for attempt in twice.attempts] == [1062.0, None]


def test_only_what_is_still_wanted_counts_as_pending():
    """Failed for good still counts: the endpoint never took it. One that is gone does not."""
    failed = after(after(OWED, 500), 500)
    deliveries = [OWED, after(OWED, 200), failed, abandoned(OWED, "gone"), overflowed(OWED, "full")]

    assert pending_webhooks(deliveries) == 3


def test_the_body_is_the_event_in_the_endpoints_version():
    """Printed with two spaces, text as it is."""
    payload = delivery_payload(EVENT, api_version="2020-08-27", pending=2)

    assert payload.startswith(b'{\n  "id": "evt_1",\n')
    assert "Zoë".encode() in payload
    assert json.loads(payload) == {**EVENT, "api_version": "2020-08-27", "pending_webhooks": 2}


def test_the_headers_are_stripes():
    """These and no others, the signature of test mode included."""
    headers = delivery_headers(b"{}", ["whsec_a"], signed_at=1000)

    assert {name: value for name, value in headers.items() if name != "Stripe-Signature"} == {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Accept": "*/*; q=0.5, application/xml",
        "Cache-Control": "no-cache",
    }
    signature = headers["Stripe-Signature"]
    assert [part[:3] for part in signature.split(",")] == ["t=1", "v1=", "v0="]
    assert verify_stripe(b"{}", signature, ["whsec_a"], now=1000.0) == 0


def test_the_v0_of_test_mode_proves_nothing():
    """It is no v1 of the same body under another name."""
    fields = dict(
        part.split("=")
        for part in delivery_headers(b"{}", ["whsec_a"], signed_at=1000)["Stripe-Signature"].split(
            ","
        )
    )

    assert fields["v0"] != fields["v1"]
    assert len(fields["v0"]) == 64


def test_every_attempt_is_signed_anew():
    """A retry hours later is as fresh as the first."""
    first = delivery_headers(b"{}", ["whsec_a"], signed_at=1000)["Stripe-Signature"]
    second = delivery_headers(b"{}", ["whsec_a"], signed_at=9000)["Stripe-Signature"]

    assert first != second
    assert verify_stripe(b"{}", second, ["whsec_a"], now=9000.0) == 0


ENDPOINT = {"secret": "whsec_new", "status": "enabled", "failing_since": None}


def test_after_a_roll_both_secrets_sign_for_a_while():
    rolled = {**ENDPOINT, "old_secret": "whsec_old", "old_secret_until": 2000.0}

    assert signing_secrets(ENDPOINT, now=1000.0) == ["whsec_new"]
    assert signing_secrets(rolled, now=1999.9) == ["whsec_new", "whsec_old"]
    assert signing_secrets(rolled, now=2000.0) == ["whsec_new"]


def fared(endpoint: dict, *, is_delivered: bool, now: float) -> dict:
    changed = after_attempt(endpoint, is_delivered=is_delivered, now=now, disable_after=100.0)
    return endpoint if changed is None else changed


def test_an_endpoint_that_fails_for_too_long_is_disabled():
    """Counted from its first failure, and only where nothing was taken since."""
    failing = fared(ENDPOINT, is_delivered=False, now=1000.0)
    later = fared(failing, is_delivered=False, now=1099.0)
    too_late = fared(later, is_delivered=False, now=1100.0)

    assert (failing["failing_since"], failing["status"]) == (1000.0, "enabled")
    assert later is failing
    assert too_late["status"] == "disabled"


def test_one_success_and_the_count_begins_anew():
    failing = fared(ENDPOINT, is_delivered=False, now=1000.0)
    well = fared(failing, is_delivered=True, now=1099.0)

    assert well["failing_since"] is None
    assert fared(well, is_delivered=True, now=1100.0) is well
    assert fared(well, is_delivered=False, now=1150.0)["status"] == "enabled"


def test_a_copy_is_on_record_and_decides_nothing():
    """It may have failed where the first was taken."""
    done = after(OWED, 200)
    again = copied(done, like=after(OWED, 500))

    assert again.state is DeliveryState.DELIVERED
    assert [(one.number, one.status) for one in again.attempts] == [(1, 200), (2, 500)]
    assert again.next_attempt is None
