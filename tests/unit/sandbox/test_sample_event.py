"""What "Send test webhook" sends."""

import json
import re
from random import Random

import pytest
import stripe

from hookloop.sandbox.catalogue import installed_catalogue
from hookloop.sandbox.sample_event import SAMPLE_EVENT_ID, sample_event


def made(event_type: str) -> dict:
    return sample_event(event_type, Random(1), at=1_800_000_000, api_version="2026-10-28.endive")


@pytest.mark.parametrize("event_type", sorted(installed_catalogue().event_types))
def test_every_type_has_a_sample_of_its_class(event_type):
    """With no id in it that anybody could take for a real one."""
    event = made(event_type)

    built = stripe.Event.construct_from(event, "sk_test_x")
    assert (event["id"], event["type"]) == (SAMPLE_EVENT_ID, event_type)
    assert type(built.data.object).__name__ != "StripeObject"
    assert not re.search(r'"[a-z_]+_(?!0{14}")[0-9A-Za-z]{14,}"', json.dumps(event["data"]))


def test_the_ids_are_zeroed_and_keep_their_prefixes():
    payment = made("payment_intent.succeeded")["data"]["object"]

    assert payment["id"] == "pi_00000000000000"
    assert payment["client_secret"].startswith("pi_00000000000000_secret_")
    assert payment["amount"] > 0
