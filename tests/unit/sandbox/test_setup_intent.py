"""Setup intents: a payment method made ready for later."""

import pytest

SETUPS = "/v1/setup_intents"


def types(call) -> list[str]:
    return [event["type"] for event in call.events()]


@pytest.fixture
def customer(call) -> str:
    return call("POST", "/v1/customers", "name=Ada").body["id"]


def test_a_setup_attaches_its_method(call, customer):
    """In the order Stripe tells of it."""
    form = f"customer={customer}&confirm=true&payment_method=pm_card_visa"
    setup = call("POST", SETUPS, form).body

    assert (setup["status"], setup["usage"]) == ("succeeded", "off_session")
    assert types(call)[1:] == [
        "setup_intent.created",
        "payment_method.attached",
        "setup_intent.succeeded",
    ]
    (attempt,) = call("GET", "/v1/setup_attempts", f"setup_intent={setup['id']}").body["data"]
    assert (attempt["id"], attempt["status"]) == (setup["latest_attempt"], "succeeded")


def test_a_declined_setup_leads_back(call, customer):
    """402, told and kept."""
    form = f"customer={customer}&confirm=true&payment_method=pm_card_chargeDeclined"
    answer = call("POST", SETUPS, form)

    assert (answer.status, answer.error["code"]) == (402, "card_declined")
    setup = call("GET", f"{SETUPS}/{answer.error['setup_intent']['id']}").body
    assert setup["status"] == "requires_payment_method"
    assert setup["last_setup_error"]["decline_code"] == "generic_decline"
    assert types(call)[-1] == "setup_intent.setup_failed"


def test_the_holder_may_have_to_prove_who_they_are(call):
    """And may fail to."""
    form = "confirm=true&payment_method=pm_card_authenticationRequired&return_url=https://a.test"
    waiting = call("POST", SETUPS, form).body
    path = f"/v1/test_helpers/setup_intents/{waiting['id']}/authenticate"

    failed = call("POST", path, "outcome=failed").body

    assert waiting["status"] == "requires_action"
    assert failed["last_setup_error"]["code"] == "setup_intent_authentication_failure"
    assert types(call) == [
        "setup_intent.created",
        "setup_intent.requires_action",
        "setup_intent.setup_failed",
    ]


def test_a_setup_is_canceled_before_it_is_done(call):
    """And not afterwards."""
    planned = call("POST", SETUPS, "").body
    done = call("POST", SETUPS, "confirm=true&payment_method=pm_card_visa").body

    canceled = call("POST", f"{SETUPS}/{planned['id']}/cancel", "cancellation_reason=abandoned")

    assert canceled.body["status"] == "canceled"
    refused = call("POST", f"{SETUPS}/{done['id']}/cancel")
    assert refused.error["code"] == "setup_intent_unexpected_state"
    assert call("POST", f"{SETUPS}/{canceled.body['id']}/confirm").status == 400
