"""Payment intents: every way a payment goes, and what is told of it."""

from typing import Any

import pytest

INTENTS, CUSTOMERS, CHARGES = "/v1/payment_intents", "/v1/customers", "/v1/charges"
PAY = "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method="


def types(call, since: int = 0) -> list[str]:
    return [event["type"] for event in call.events()[since:]]


def pay(call, card: str = "pm_card_visa", more: str = ""):
    return call("POST", INTENTS, f"{PAY}{card}{more}")


def act(call, intent: dict[str, Any], action: str, form: str = ""):
    return call("POST", f"{INTENTS}/{intent['id']}/{action}", form)


def charge_of(call, intent: dict[str, Any]) -> dict[str, Any]:
    return call("GET", f"{CHARGES}/{intent['latest_charge']}").body


@pytest.fixture
def customer(call) -> str:
    return call("POST", CUSTOMERS, "name=Ada").body["id"]


# From plan to success


def test_an_intent_is_a_plan_first(call):
    """It waits for a payment method, and then for its confirmation."""
    planned = call("POST", INTENTS, "amount=2000&currency=EUR").body
    chosen = call("POST", f"{INTENTS}/{planned['id']}", "payment_method=pm_card_visa").body
    paid = act(call, chosen, "confirm").body

    assert (planned["status"], planned["currency"]) == ("requires_payment_method", "eur")
    assert planned["client_secret"].startswith(f"{planned['id']}_secret_")
    assert planned["automatic_payment_methods"] == {"enabled": True, "allow_redirects": "always"}
    assert chosen["status"] == "requires_confirmation"
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 2000)
    assert types(call) == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def test_ids_of_payments_begin_with_three(call):
    """And so do those of the events that tell of them."""
    paid = pay(call).body

    assert paid["id"].startswith("pi_3")
    assert paid["latest_charge"].startswith("ch_3")
    assert {event["id"][:5] for event in call.events()} == {"evt_3"}


def test_the_charge_tells_what_was_paid_with(call):
    """The card without its number, and the details of its holder."""
    method = call(
        "POST",
        "/v1/payment_methods",
        "type=card&card[number]=5555555555554444&card[exp_month]=3&card[exp_year]=2031"
        "&card[cvc]=123&billing_details[email]=ada@example.com",
    ).body
    charge = charge_of(call, pay(call, method["id"], "&description=Book&metadata[k]=v").body)

    assert (charge["status"], charge["paid"], charge["captured"]) == ("succeeded", True, True)
    assert charge["payment_method_details"]["card"]["brand"] == "mastercard"
    assert charge["payment_method_details"]["card"]["last4"] == "4444"
    assert charge["billing_details"]["email"] == "ada@example.com"
    assert (charge["description"], charge["metadata"]) == ("Book", {"k": "v"})
    assert charge["outcome"]["type"] == "authorized"
    assert "5555555555554444" not in str(call.events())


def test_the_balance_hears_of_a_charge_two_seconds_later(call):
    """By ``charge.updated``, which fills in the balance transaction."""
    paid = pay(call).body
    assert charge_of(call, paid)["balance_transaction"] is None
    call.now += 2

    charge = charge_of(call, paid)

    moved = call("GET", f"/v1/balance_transactions/{charge['balance_transaction']}").body
    assert (moved["amount"], moved["fee"], moved["net"]) == (2000, 88, 1912)
    assert (moved["type"], moved["status"], moved["source"]) == ("charge", "pending", charge["id"])
    last = call.events()[-1]
    assert last["type"] == "charge.updated"
    assert last["data"]["previous_attributes"] == {"balance_transaction": None}
    assert last["request"] == {"id": None, "idempotency_key": None}


# Declines


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("chargeDeclined", "card_declined", "generic_decline"),
        ("visa_chargeDeclined", "card_declined", "generic_decline"),
        ("chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("chargeCustomerFail", "card_declined", "generic_decline"),
        ("radarBlock", "card_declined", "fraudulent"),
    ],
)
def test_a_decline_is_told_and_kept(call, card, code, decline_code):
    """402, a failed charge, and an intent that is back at its beginning."""
    answer = pay(call, f"pm_card_{card}")

    assert answer.status == 402
    error = answer.error
    assert (error["type"], error["code"], error["decline_code"]) == (
        "card_error",
        code,
        decline_code,
    )
    intent = call("GET", f"{INTENTS}/{error['payment_intent']['id']}").body
    assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
    assert intent["last_payment_error"]["decline_code"] == decline_code
    charge = charge_of(call, intent)
    assert (charge["status"], charge["failure_code"], charge["id"]) == (
        "failed",
        code,
        error["charge"],
    )
    assert types(call) == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


def test_another_card_mends_a_decline(call):
    """The same intent is paid in the end, and has forgotten its error."""
    declined = pay(call, "pm_card_chargeDeclined").error["payment_intent"]

    paid = act(call, declined, "confirm", "payment_method=pm_card_visa").body

    assert (paid["status"], paid["last_payment_error"]) == ("succeeded", None)
    charges = call("GET", CHARGES, f"payment_intent={paid['id']}").body["data"]
    assert [charge["status"] for charge in charges] == ["succeeded", "failed"]


def test_a_decline_is_replayed_by_its_key_and_charged_once(call):
    """What failed was done, and is not done again."""
    headers = {"idempotency-key": "k"}
    first = call("POST", INTENTS, f"{PAY}pm_card_chargeDeclined", headers=headers)
    again = call("POST", INTENTS, f"{PAY}pm_card_chargeDeclined", headers=headers)

    assert (again.status, again.body) == (402, first.body)
    assert len(call("GET", CHARGES).body["data"]) == 1


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("[number]=4242424242424241&card[exp_month]=1&card[exp_year]=2031", "incorrect_number"),
        ("[number]=4242424242424242&card[exp_month]=13&card[exp_year]=31", "invalid_expiry_month"),
        ("[number]=4242424242424242&card[exp_month]=1&card[exp_year]=20", "invalid_expiry_year"),
    ],
)
def test_a_card_that_cannot_be_is_refused(call, card, code):
    """Before anything is charged."""
    answer = call("POST", "/v1/payment_methods", f"type=card&card{card}")

    assert (answer.status, answer.error["code"]) == (402, code)


# Authentication


def authenticate(call, intent: dict[str, Any], outcome: str):
    path = f"/v1/test_helpers/payment_intents/{intent['id']}/authenticate"
    return call("POST", path, f"outcome={outcome}")


def test_a_card_may_want_its_holder_to_prove_who_they_are(call):
    """The intent waits, with a page to go to, and goes on when it is done."""
    waiting = pay(
        call, "pm_card_authenticationRequired", "&return_url=https://example.com/back"
    ).body

    assert waiting["status"] == "requires_action"
    assert waiting["next_action"]["type"] == "redirect_to_url"
    assert waiting["next_action"]["redirect_to_url"]["return_url"] == "https://example.com/back"
    paid = authenticate(call, waiting, "succeeded").body
    assert (paid["status"], paid["next_action"]) == ("succeeded", None)
    assert types(call) == [
        "payment_intent.created",
        "payment_intent.requires_action",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


def test_a_failed_proof_leads_back(call):
    """Without a charge: the bank was never asked."""
    waiting = pay(call, "pm_card_threeDSecure2Required").body
    assert waiting["next_action"]["type"] == "use_stripe_sdk"

    failed = authenticate(call, waiting, "failed").body

    assert failed["status"] == "requires_payment_method"
    assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert call("GET", CHARGES).body["data"] == []


def test_a_proof_does_not_fill_an_account(call):
    """The card that is declined afterwards."""
    card = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"
    waiting = pay(call, card).body

    failed = authenticate(call, waiting, "succeeded").body

    assert failed["last_payment_error"]["decline_code"] == "insufficient_funds"


@pytest.mark.parametrize("more", ["&off_session=true", "&error_on_requires_action=true"])
def test_where_nobody_can_act_it_is_a_decline(call, more):
    """402 with authentication_required."""
    answer = pay(call, "pm_card_authenticationRequired", more)

    assert (answer.status, answer.error["code"]) == (402, "authentication_required")


def test_a_card_that_was_set_up_is_charged_without_its_holder(call, customer):
    """Once by a setup intent, and then off session."""
    setup = call(
        "POST",
        "/v1/setup_intents",
        f"customer={customer}&confirm=true&payment_method=pm_card_authenticationRequiredOnSetup",
    ).body
    assert setup["status"] == "requires_action"
    path = f"/v1/test_helpers/setup_intents/{setup['id']}/authenticate"
    done = call("POST", path, "outcome=succeeded").body

    paid = pay(call, done["payment_method"], f"&customer={customer}&off_session=true").body

    assert paid["status"] == "succeeded"


# Manual capture


def test_an_authorisation_is_captured_later_and_in_part(call):
    """The rest is let go of."""
    held = pay(call, more="&capture_method=manual").body
    assert (held["status"], held["amount_capturable"]) == ("requires_capture", 2000)
    assert charge_of(call, held)["captured"] is False

    taken = act(call, held, "capture", "amount_to_capture=1500").body

    assert (taken["status"], taken["amount_received"]) == ("succeeded", 1500)
    charge = charge_of(call, taken)
    assert (charge["amount_captured"], charge["amount_refunded"]) == (1500, 500)
    assert types(call)[1:] == [
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ]


def test_no_more_is_captured_than_was_authorised(call):
    """400 with its code."""
    held = pay(call, more="&capture_method=manual").body

    answer = act(call, held, "capture", "amount_to_capture=2001")

    assert (answer.status, answer.error["code"]) == (400, "amount_too_large")


def test_an_authorisation_runs_out_after_seven_days(call):
    """The charge expires and the intent is canceled, by itself."""
    held = pay(call, more="&capture_method=manual").body
    call.now += 7 * 24 * 3600

    intent = call("GET", f"{INTENTS}/{held['id']}").body

    assert (intent["status"], intent["cancellation_reason"]) == ("canceled", "automatic")
    assert types(call)[-2:] == ["charge.expired", "payment_intent.canceled"]


def test_a_canceled_authorisation_is_let_go_of(call):
    """The charge is refunded, and no money has moved."""
    held = pay(call, more="&capture_method=manual").body

    canceled = act(call, held, "cancel", "cancellation_reason=abandoned").body

    assert (canceled["status"], canceled["cancellation_reason"]) == ("canceled", "abandoned")
    assert charge_of(call, held)["refunded"] is True
    call.now += 10
    assert call("GET", "/v1/balance_transactions").body["data"] == []
    assert types(call)[-2:] == ["charge.refunded", "payment_intent.canceled"]


# Bank debits


def sepa(iban: str) -> str:
    return (
        "amount=2000&currency=eur&confirm=true&payment_method_types[]=sepa_debit"
        f"&payment_method_data[type]=sepa_debit&payment_method_data[sepa_debit][iban]={iban}"
    )


def test_a_bank_debit_succeeds_later(call):
    """Processing first; the bank's word comes by itself."""
    pending = call("POST", INTENTS, sepa("AT611904300234573201")).body
    assert pending["status"] == "processing"
    assert charge_of(call, pending)["status"] == "pending"
    call.now += 2

    assert call("GET", f"{INTENTS}/{pending['id']}").body["status"] == "succeeded"
    assert types(call) == [
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


def test_a_bank_debit_fails_later(call):
    """With the account that is made for it."""
    pending = call("POST", INTENTS, sepa("AT861904300235473202")).body
    call.now += 2

    failed = call("GET", f"{INTENTS}/{pending['id']}").body

    assert failed["status"] == "requires_payment_method"
    assert types(call)[-2:] == ["charge.failed", "payment_intent.payment_failed"]


# What cannot be


@pytest.mark.parametrize(
    ("form", "param", "code"),
    [
        ("currency=usd", "amount", "parameter_missing"),
        ("amount=2000", "currency", "parameter_missing"),
        ("amount=49&currency=usd", "amount", "amount_too_small"),
        ("amount=0&currency=usd", "amount", "parameter_invalid_integer"),
        ("amount=100000000&currency=usd", "amount", "parameter_invalid_integer"),
        ("amount=100&currency=usd&customer=cus_x", "customer", "resource_missing"),
        ("amount=100&currency=usd&payment_method=pm_x", "payment_method", "resource_missing"),
        ("amount=100&currency=usd&nonsense=1", "nonsense", "parameter_unknown"),
    ],
)
def test_an_intent_that_makes_no_sense_is_refused(call, form, param, code):
    """400, and nothing is left of it."""
    answer = call("POST", INTENTS, form)

    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)
    assert call("GET", INTENTS).body["data"] == []


@pytest.mark.parametrize("action", ["confirm", "capture", "cancel"])
def test_what_is_paid_is_past_changing(call, action):
    """Its state is told with the error, as the intent itself."""
    paid = pay(call).body

    answer = act(call, paid, action)

    assert (answer.status, answer.error["code"]) == (400, "payment_intent_unexpected_state")
    assert answer.error["payment_intent"]["id"] == paid["id"]
    assert call("POST", f"{INTENTS}/{paid['id']}", "amount=1000").status == 400
    assert call("POST", f"{INTENTS}/{paid['id']}", "metadata[k]=v").body["metadata"] == {"k": "v"}


def test_nothing_to_pay_with_is_no_payment(call):
    """It is missing a payment method."""
    planned = call("POST", INTENTS, "amount=2000&currency=usd").body

    answer = act(call, planned, "confirm")

    assert (answer.status, "missing a payment method" in answer.error["message"]) == (400, True)


def test_a_new_client_has_to_say_where_to_come_back(call):
    """Redirects are possible unless they are ruled out, and only an old client is not told."""
    form = "amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa"
    version = {"stripe-version": "2026-10-28.endive"}

    assert call("POST", INTENTS, form, headers=version).error["param"] == "return_url"
    assert call("POST", INTENTS, f"{form}&return_url=https://a.test", headers=version).status == 200
    automatic = "automatic_payment_methods"
    no_redirects = f"{form}&{automatic}[enabled]=true&{automatic}[allow_redirects]=never"
    assert call("POST", INTENTS, no_redirects, headers=version).status == 200
    assert call("POST", INTENTS, form).status == 200


# Payment methods and their customers


def test_a_payment_may_keep_its_method(call, customer):
    """Attached when it succeeds, and only then."""
    keeping = f"&customer={customer}&setup_future_usage=off_session"
    declined = pay(call, "pm_card_chargeDeclined", keeping)
    assert declined.status == 402
    methods = f"{CUSTOMERS}/{customer}/payment_methods"
    assert call("GET", methods).body["data"] == []

    paid = pay(call, more=keeping).body

    (kept,) = call("GET", methods, "type=card").body["data"]
    assert kept["id"] == paid["payment_method"]
    assert "payment_method.attached" in types(call)


def test_a_method_without_a_customer_is_used_once(call):
    """It has to be attached to be used again."""
    paid = pay(call).body

    answer = pay(call, paid["payment_method"])

    assert (answer.status, "may not be used again" in answer.error["message"]) == (400, True)


def test_a_customers_method_is_used_for_them_alone(call, customer):
    """The intent has to name them."""
    method = call("POST", "/v1/payment_methods/pm_card_visa/attach", f"customer={customer}").body

    assert pay(call, method["id"]).error["param"] == "payment_method"
    assert pay(call, method["id"], f"&customer={customer}").status == 200
    assert pay(call, method["id"], f"&customer={customer}").status == 200


def test_a_declined_card_is_not_attached(call, customer):
    """402; but the one that fails only when it is charged is."""
    path = "/v1/payment_methods/{}/attach"
    declined = call("POST", path.format("pm_card_chargeDeclined"), f"customer={customer}")
    kept = call("POST", path.format("pm_card_chargeCustomerFail"), f"customer={customer}")

    assert (declined.status, declined.error["decline_code"]) == (402, "generic_decline")
    assert (kept.status, kept.body["customer"]) == (200, customer)


def test_a_detached_method_is_gone_for_good(call, customer):
    """The event tells whose it was."""
    method = call("POST", "/v1/payment_methods/pm_card_visa/attach", f"customer={customer}").body

    detached = call("POST", f"/v1/payment_methods/{method['id']}/detach").body

    assert detached["customer"] is None
    last = call.events()[-1]
    assert last["type"] == "payment_method.detached"
    assert last["data"]["previous_attributes"] == {"customer": customer}
    again = call("POST", f"/v1/payment_methods/{method['id']}/attach", f"customer={customer}")
    assert again.status == 400


def test_intents_are_found_by_search_and_by_customer(call, customer):
    """Newest first."""
    pay(call)
    mine = pay(call, more=f"&customer={customer}").body

    listed = call("GET", INTENTS, f"customer={customer}").body["data"]
    found = call("GET", f"{INTENTS}/search", f'query=customer:"{customer}" AND status:"succeeded"')

    assert (
        [one["id"] for one in listed] == [one["id"] for one in found.body["data"]] == [mine["id"]]
    )


@pytest.mark.parametrize("kind", ["ideal", "klarna", "bancontact", "paypal", "link", "zip"])
def test_a_method_that_leads_elsewhere_is_paid_when_it_comes_back(call, kind):
    """The customer is sent to a page first, whatever the method is."""
    form = (
        f"amount=2000&currency=eur&confirm=true&payment_method_types[]={kind}"
        f"&payment_method_data[type]={kind}&return_url=https://shop.test"
    )
    waiting = call("POST", INTENTS, form).body

    assert waiting["next_action"]["type"] == "redirect_to_url"
    assert authenticate(call, waiting, "succeeded").body["status"] == "succeeded"


@pytest.mark.parametrize("kind", ["naver_pay", "customer_balance"])
def test_a_type_nobody_simulates_says_so(call, kind):
    """501, by its name."""
    answer = call("POST", "/v1/payment_methods", f"type={kind}")

    assert (answer.status, kind in answer.error["message"]) == (501, True)
