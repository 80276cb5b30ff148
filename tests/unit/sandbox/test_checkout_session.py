"""Checkout sessions: what is paid on a page, and what is told of it."""

from typing import Any

import pytest

SESSIONS = "/v1/checkout/sessions"
ITEM = "line_items[0][price_data]"
BUY = (
    f"mode=payment&success_url=https://shop.test/done?s={{CHECKOUT_SESSION_ID}}"
    f"&{ITEM}[currency]=usd&{ITEM}[unit_amount]=1500&{ITEM}[product_data][name]=Shirt"
    "&line_items[0][quantity]=2"
)


def types(call) -> list[str]:
    return [event["type"] for event in call.events()]


def open_session(call, more: str = "") -> dict[str, Any]:
    answer = call("POST", SESSIONS, f"{BUY}{more}")
    assert answer.status == 200, answer.body
    return answer.body


def pay(call, session: dict[str, Any], form: str = "payment_method=pm_card_visa"):
    return call("POST", f"/v1/payment_pages/{session['id']}/confirm", form)


def seen(call, session: dict[str, Any]) -> dict[str, Any]:
    return call("GET", f"{SESSIONS}/{session['id']}").body


def test_a_session_is_open_until_it_is_paid(call):
    """With its total, and a page to pay on."""
    session = open_session(call)

    assert (session["status"], session["payment_status"]) == ("open", "unpaid")
    assert (session["amount_total"], session["currency"]) == (3000, "usd")
    assert session["id"].startswith("cs_test_a1")
    assert session["url"].endswith(f"/{session['id']}#fid")
    assert session["expires_at"] == session["created"] + 24 * 3600
    items = call("GET", f"{SESSIONS}/{session['id']}/line_items").body["data"]
    assert [(one["description"], one["quantity"], one["amount_total"]) for one in items] == [
        ("Shirt", 2, 3000)
    ]


def test_a_paid_session_tells_in_stripes_order(call):
    """The intent is made with the payment, and told of after it."""
    session = open_session(call)
    before = len(types(call))

    pay(call, session, "payment_method=pm_card_visa&expected_amount=3000")

    done = seen(call, session)
    assert (done["status"], done["payment_status"], done["url"]) == ("complete", "paid", None)
    assert done["customer"] is None
    assert types(call)[before:] == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "payment_intent.created",
        "checkout.session.completed",
    ]
    intent = call("GET", f"/v1/payment_intents/{done['payment_intent']}").body
    assert intent["amount_received"] == 3000


def test_a_declined_session_stays_open(call):
    """402, and another card pays it."""
    session = open_session(call)

    declined = pay(call, session, "payment_method=pm_card_chargeDeclined")

    assert (declined.status, declined.error["decline_code"]) == (402, "generic_decline")
    assert seen(call, session)["status"] == "open"
    assert pay(call, session).status == 200


def test_a_session_may_make_a_customer(call):
    """Of who pays."""
    session = open_session(call, "&customer_creation=always&customer_email=ada@example.com")

    pay(call, session)

    done = seen(call, session)
    assert call("GET", f"/v1/customers/{done['customer']}").body["email"] == "ada@example.com"
    assert done["customer_details"]["email"] == "ada@example.com"


def test_a_bank_debit_is_paid_later(call):
    """Completed while unpaid, and then told of again."""
    session = open_session(call, "&payment_method_types[]=sepa_debit".replace("usd", "eur"))
    data = "payment_method_data"
    iban = f"{data}[type]=sepa_debit&{data}[sepa_debit][iban]=AT611904300234573201"

    pay(call, session, iban)

    assert seen(call, session)["payment_status"] == "unpaid"
    call.now += 2
    assert seen(call, session)["payment_status"] == "paid"
    assert types(call)[-1] == "checkout.session.async_payment_succeeded"


def test_a_bank_debit_may_fail_later(call):
    """With the account that is made for it."""
    session = open_session(call, "&payment_method_types[]=sepa_debit")
    data = "payment_method_data"
    iban = f"{data}[type]=sepa_debit&{data}[sepa_debit][iban]=IT60X0542811101000000123456"

    pay(call, session, iban)
    call.now += 2

    assert seen(call, session)["payment_status"] == "unpaid"
    assert types(call)[-1] == "checkout.session.async_payment_failed"


def test_a_card_that_wants_its_holder_completes_the_session_afterwards(call):
    """The page is left for the bank's and come back to."""
    session = open_session(call)
    page = pay(call, session, "payment_method=pm_card_authenticationRequired").body
    back = page["next_action"]["redirect_to_url"]["return_url"]
    assert back == f"https://shop.test/done?s={session['id']}"
    intent = page["session"]["payment_intent"]

    call("POST", f"/v1/test_helpers/payment_intents/{intent}/authenticate", "outcome=succeeded")

    assert seen(call, session)["status"] == "complete"
    assert types(call)[-1] == "checkout.session.completed"


def test_a_session_expires(call):
    """When it is told to, or after a day."""
    told, forgotten = open_session(call), open_session(call)
    assert call("POST", f"{SESSIONS}/{told['id']}/expire").body["status"] == "expired"
    assert call("POST", f"{SESSIONS}/{told['id']}/expire").status == 400
    call.now += 24 * 3600

    assert seen(call, forgotten)["status"] == "expired"
    assert types(call)[-1] == "checkout.session.expired"
    assert pay(call, forgotten).status == 400


def test_a_session_may_keep_a_card_without_a_payment(call):
    """In the mode setup."""
    customer = call("POST", "/v1/customers", "name=Ada").body["id"]
    form = f"mode=setup&customer={customer}&success_url=https://a.test&currency=usd"
    session = call("POST", SESSIONS, form).body
    assert session["payment_status"] == "no_payment_required"

    pay(call, session)

    assert seen(call, session)["status"] == "complete"
    assert types(call)[1:] == [
        "setup_intent.created",
        "payment_method.attached",
        "setup_intent.succeeded",
        "checkout.session.completed",
    ]


def test_a_discount_is_taken_off_and_used_up(call):
    """By its coupon or its code."""
    coupon = call("POST", "/v1/coupons", "percent_off=10&max_redemptions=1").body["id"]
    code = call("POST", "/v1/promotion_codes", f"coupon={coupon}").body["id"]
    session = open_session(call, f"&discounts[0][promotion_code]={code}")
    assert (session["amount_total"], session["total_details"]["amount_discount"]) == (2700, 300)

    pay(call, session)

    assert call("GET", f"/v1/coupons/{coupon}").body["valid"] is False


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("mode=payment&success_url=https://a.test", 400),
        ("mode=payment&line_items[0][price]=price_x", 400),
        (f"{BUY}&expires_at=1800000060", 400),
        (f"{BUY}&customer=cus_x", 400),
        (BUY.replace("mode=payment", "mode=subscription"), 501),
    ],
)
def test_a_session_that_makes_no_sense_is_refused(call, form, status):
    """Or is not simulated, and says so."""
    assert call("POST", SESSIONS, form).status == status


def test_a_changed_amount_is_noticed(call):
    """The page shows what is paid."""
    answer = pay(call, open_session(call), "payment_method=pm_card_visa&expected_amount=1")

    assert (answer.status, answer.error["param"]) == (400, "expected_amount")
