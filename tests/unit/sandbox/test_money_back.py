"""Refunds, disputes, the balance and payouts."""

from typing import Any

import pytest

REFUNDS, DISPUTES, PAYOUTS = "/v1/refunds", "/v1/disputes", "/v1/payouts"
PAY = "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method=pm_card_"


def types(call) -> list[str]:
    return [event["type"] for event in call.events()]


def pay(call, card: str = "visa") -> dict[str, Any]:
    return call("POST", "/v1/payment_intents", PAY + card).body


def charge_of(call, intent: dict[str, Any]) -> dict[str, Any]:
    return call("GET", f"/v1/charges/{intent['latest_charge']}").body


def funds(call) -> tuple[int, int]:
    """What is pending and what is available, in dollars' cents."""
    balance = call("GET", "/v1/balance").body
    pending, available = (
        next(one["amount"] for one in balance[where] if one["currency"] == "usd")
        for where in ("pending", "available")
    )
    return pending, available


# Refunds


def test_a_refund_tells_in_stripes_order(call):
    """And the bank's reference comes a moment later."""
    paid = pay(call)
    call.now += 10
    call("GET", "/v1/balance")
    before = len(call.events())

    refund = call("POST", REFUNDS, f"payment_intent={paid['id']}&reason=duplicate").body
    call.now += 2

    assert (refund["status"], refund["amount"], refund["reason"]) == (
        "succeeded",
        2000,
        "duplicate",
    )
    assert types(call)[before:] == [
        "refund.created",
        "charge.refunded",
        "refund.updated",
        "charge.refund.updated",
    ]
    charge = charge_of(call, paid)
    assert (charge["refunded"], charge["amount_refunded"]) == (True, 2000)


def test_a_charge_is_refunded_in_parts(call):
    """Refunded altogether only with the last of them, and never more than was paid."""
    paid = pay(call)
    form = f"charge={paid['latest_charge']}&amount="

    assert call("POST", REFUNDS, form + "500").status == 200
    assert charge_of(call, paid)["refunded"] is False
    too_much = call("POST", REFUNDS, form + "1501")
    assert (too_much.status, too_much.error["param"]) == (400, "amount")
    assert call("POST", REFUNDS, form + "1500").status == 200
    assert charge_of(call, paid)["refunded"] is True
    over = call("POST", REFUNDS, f"charge={paid['latest_charge']}")
    assert over.error["code"] == "charge_already_refunded"
    shown = call("GET", f"/v1/charges/{paid['latest_charge']}", "expand[]=refunds").body
    assert [refund["amount"] for refund in shown["refunds"]["data"]] == [1500, 500]


def test_the_fee_stays_where_it_is(call):
    """A refund takes the whole amount from the balance."""
    paid = pay(call)
    call.now += 2
    call("POST", REFUNDS, f"payment_intent={paid['id']}")

    assert funds(call) == (-88, 0)


def test_a_refund_may_be_pending_first(call):
    """With the card that is made for it."""
    paid = pay(call, "pendingRefund")
    refund = call("POST", REFUNDS, f"payment_intent={paid['id']}").body
    assert refund["status"] == "pending"
    call.now += 2

    assert call("GET", f"{REFUNDS}/{refund['id']}").body["status"] == "succeeded"


def test_a_refund_may_fail_later(call):
    """The money comes back, and the charge is not refunded any more."""
    paid = pay(call, "refundFail")
    refund = call("POST", REFUNDS, f"payment_intent={paid['id']}").body
    call.now += 2

    failed = call("GET", f"{REFUNDS}/{refund['id']}").body

    assert (failed["status"], failed["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert charge_of(call, paid)["refunded"] is False
    assert "refund.failed" in types(call)
    assert funds(call) == (1912, 0)


@pytest.mark.parametrize(
    "form", ["", "charge=ch_x", "payment_intent=pi_x", "charge=a&payment_intent=b"]
)
def test_a_refund_of_nothing_is_refused(call, form):
    """It has to name one payment."""
    assert call("POST", REFUNDS, form).status == 400


def test_an_unpaid_intent_has_nothing_to_refund(call):
    """It says so."""
    planned = call("POST", "/v1/payment_intents", "amount=2000&currency=usd").body

    assert (
        "successful charge"
        in call("POST", REFUNDS, f"payment_intent={planned['id']}").error["message"]
    )


# Disputes


def test_a_dispute_takes_the_money_at_once(call):
    """With its fee, right after the charge."""
    paid = pay(call, "createDispute")

    (dispute,) = call("GET", DISPUTES, f"payment_intent={paid['id']}").body["data"]

    assert (dispute["status"], dispute["reason"], dispute["amount"]) == (
        "needs_response",
        "fraudulent",
        2000,
    )
    assert charge_of(call, paid)["disputed"] is True
    assert types(call)[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert funds(call) == (1912 - 2000 - 1500, 0)
    refused = call("POST", REFUNDS, f"charge={paid['latest_charge']}")
    assert refused.error["code"] == "charge_disputed"


@pytest.mark.parametrize(
    ("evidence", "status", "told"),
    [
        ("winning_evidence", "won", ["charge.dispute.funds_reinstated", "charge.dispute.closed"]),
        ("losing_evidence", "lost", ["charge.dispute.closed"]),
        ("something else", "under_review", []),
    ],
)
def test_evidence_decides(call, evidence, status, told):
    """By the words Stripe has for it."""
    pay(call, "createDispute")
    (dispute,) = call("GET", DISPUTES).body["data"]
    path = f"{DISPUTES}/{dispute['id']}"

    under_review = call("POST", path, f"evidence[uncategorized_text]={evidence}").body
    before = len(types(call)) if not told else types(call).index("charge.dispute.updated") + 1

    assert under_review["status"] == "under_review"
    assert call("GET", path).body["status"] == status
    assert types(call)[before:] == told
    if status == "won":
        assert funds(call) == (1912, 0)


def test_a_dispute_is_given_up(call):
    """Closed and lost, once."""
    pay(call, "createDisputeProductNotReceived")
    (dispute,) = call("GET", DISPUTES).body["data"]

    closed = call("POST", f"{DISPUTES}/{dispute['id']}/close").body

    assert (closed["status"], closed["reason"]) == ("lost", "product_not_received")
    assert call("POST", f"{DISPUTES}/{dispute['id']}/close").status == 400


def test_an_inquiry_takes_no_money(call):
    """It only asks, and the charge can be refunded."""
    pay(call, "createDisputeInquiry")
    (dispute,) = call("GET", DISPUTES).body["data"]

    assert (dispute["status"], dispute["is_charge_refundable"]) == ("warning_needs_response", True)
    assert "charge.dispute.funds_withdrawn" not in types(call)
    assert funds(call) == (1912, 0)


# The balance and payouts


def test_funds_become_available_on_the_second_day(call):
    """All of a day's at once, and the balance is told."""
    pay(call)
    pay(call)
    call.now += 2
    assert funds(call) == (3824, 0)
    call.now += 3 * 24 * 3600

    assert funds(call) == (0, 3824)
    assert types(call).count("balance.available") == 1
    statuses = {one["status"] for one in call("GET", "/v1/balance_transactions").body["data"]}
    assert statuses == {"available"}


def test_a_card_may_skip_the_wait(call):
    """The one to try payouts with."""
    pay(call, "bypassPending")
    call.now += 2

    assert funds(call) == (0, 1912)
    assert types(call)[-1] == "balance.available"


def test_a_payout_arrives(call):
    """In a moment, and takes what is available and no more."""
    pay(call, "bypassPending")
    call.now += 2
    assert call("POST", PAYOUTS, "amount=1913&currency=usd").error["code"] == "balance_insufficient"

    payout = call("POST", PAYOUTS, "amount=1900&currency=usd").body
    assert (payout["status"], funds(call)) == ("pending", (0, 12))
    call.now += 2

    assert call("GET", f"{PAYOUTS}/{payout['id']}").body["status"] == "paid"
    assert types(call)[-2:] == ["payout.created", "payout.paid"]
    back = call("POST", f"{PAYOUTS}/{payout['id']}/reverse").body
    assert (back["amount"], back["original_payout"]) == (-1900, payout["id"])
    assert funds(call) == (0, 1912)


def test_a_pending_payout_is_canceled(call):
    """And its money is back."""
    pay(call, "bypassPending")
    call.now += 2
    payout = call("POST", PAYOUTS, "amount=1000&currency=usd").body

    canceled = call("POST", f"{PAYOUTS}/{payout['id']}/cancel").body

    assert (canceled["status"], funds(call)) == ("canceled", (0, 1912))
    assert call("POST", f"{PAYOUTS}/{payout['id']}/cancel").status == 400


# Charges without an intent


def test_a_charge_the_old_way(call):
    """Of a token, authorised first and captured then."""
    form = "amount=500&currency=usd&source=tok_visa&capture=false&metadata[k]=v"
    held = call("POST", "/v1/charges", form).body
    assert (held["captured"], held["metadata"]) == (False, {"k": "v"})

    taken = call("POST", f"/v1/charges/{held['id']}/capture", "amount=400").body

    assert (taken["captured"], taken["amount_captured"]) == (True, 400)
    assert call("POST", f"/v1/charges/{held['id']}/capture").error["code"] == (
        "charge_already_captured"
    )


def test_a_declined_charge_the_old_way(call):
    """402, and the failed charge is kept."""
    answer = call("POST", "/v1/charges", "amount=500&currency=usd&source=tok_chargeDeclined")

    assert (answer.status, answer.error["decline_code"]) == (402, "generic_decline")
    assert call("GET", f"/v1/charges/{answer.error['charge']}").body["status"] == "failed"
    assert types(call) == ["charge.failed"]
