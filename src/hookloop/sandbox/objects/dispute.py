"""
Disputes: a card's holder wants their money back. See https://docs.stripe.com/api/disputes.

They come of the test cards made for them; evidence that says ``winning_evidence`` wins.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.instruments import Card
from hookloop.sandbox.operation import Perform
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import balance_transaction, charge

__all__ = ["DISPUTE", "OPERATIONS", "TASKS", "close", "opened", "update"]

DISPUTE = Resource("dispute", "du", "/v1/disputes", events="charge.dispute")

FEE = 1500  # Stripe's, for most disputes
EVIDENCE_SECONDS = 9 * 24 * 3600  # about what cards' networks leave
OPEN = frozenset({"needs_response", "warning_needs_response"})
VERDICTS = {"winning_evidence": "won", "losing_evidence": "lost"}


def opened(transaction: Transaction, charged: Json, card: Card) -> Json:
    """Open a dispute of *charged*, which *card* is made for; an inquiry takes no money."""
    charged = charge.settled(transaction, charged)
    made = DISPUTE.new(
        transaction,
        {},
        amount=charged["amount_captured"],
        charge=charged["id"],
        currency=charged["currency"],
        evidence_details={
            "due_by": transaction.created + EVIDENCE_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=card.is_inquiry,
        network_reason_code="10.4" if card.dispute == "fraudulent" else "13.1",
        payment_intent=charged["payment_intent"],
        payment_method_details={"type": "card", "card": _card(card, inquiry=card.is_inquiry)},
        reason=card.dispute,
        status="warning_needs_response" if card.is_inquiry else "needs_response",
    )
    if not card.is_inquiry:
        made = _with_money(transaction, made, -made["amount"], fee=FEE)
    charge.CHARGE.save(transaction, charged, {**charged, "disputed": True}, None)
    DISPUTE.save_new(transaction, made)
    if not card.is_inquiry:
        DISPUTE.emit(transaction, "funds_withdrawn", made)
    return made


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Add evidence, and hand it in unless told not to."""
    old = DISPUTE.find(transaction, path["id"])
    if old["status"] not in OPEN and "evidence" in arguments:
        raise ApiError(400, f"This dispute is {old['status']} and takes no more evidence.")
    new = applied(old, {name: arguments[name] for name in _KEPT if name in arguments})
    if arguments.get("evidence"):
        details = {**new["evidence_details"], "has_evidence": True}
        if arguments.get("submit", True):
            details["submission_count"] += 1
            details["submission_method"] = "manual"
            is_inquiry = old["status"].startswith("warning")
            new["status"] = "warning_under_review" if is_inquiry else "under_review"
            transaction.later(0.0, "dispute.decide", old["id"])
        new["evidence_details"] = details
    return DISPUTE.save(transaction, old, new)


def close(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Accept that it is lost. Emits ``charge.dispute.closed``."""
    old = DISPUTE.find(transaction, path["id"])
    if old["status"] not in OPEN:
        raise ApiError(400, f"This dispute is already {old['status']}.")
    return _closed(transaction, old, "lost")


def _decide(transaction: Transaction, dispute_id: str) -> None:
    """Let the bank judge the evidence; without one of the two words it goes on thinking."""
    found = DISPUTE.find(transaction, dispute_id)
    verdict = VERDICTS.get(found["evidence"]["uncategorized_text"] or "")
    if verdict is None or found["status"] not in ("under_review", "warning_under_review"):
        return
    if found["status"].startswith("warning"):
        _closed(transaction, found, "warning_closed")
    elif verdict == "won":
        reinstated = _with_money(transaction, found, found["amount"], fee=-FEE)
        _closed(transaction, {**found, **reinstated}, "won")
    else:
        _closed(transaction, found, "lost")


def _closed(transaction: Transaction, old: Json, status: str) -> Json:
    new = {**old, "status": status}
    transaction.put("dispute", new)
    if status == "won":
        DISPUTE.emit(transaction, "funds_reinstated", new)
    DISPUTE.emit(transaction, "closed", new)
    return new


def _with_money(transaction: Transaction, found: Json, amount: int, *, fee: int) -> Json:
    movement = "withdrawal" if amount < 0 else "reversal"
    moved = balance_transaction.record(
        transaction,
        "adjustment",
        amount,
        found["currency"],
        found["id"],
        fee=fee,
        category="dispute" if amount < 0 else "dispute_reversal",
        description=f"Chargeback {movement} for {found['charge']}",
    )
    return {**found, "balance_transactions": [*found["balance_transactions"], moved]}


def _card(card: Card, *, inquiry: bool) -> Json:
    return {
        "brand": card.brand,
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": card.brand,
        "network_reason_code": "10.4" if card.dispute == "fraudulent" else "13.1",
    }


TASKS: Mapping[str, Perform] = {"dispute.decide": _decide}

_KEPT = ("evidence", "metadata")

OPERATIONS = (
    DISPUTE.retrieves(),
    DISPUTE.updates(update, "evidence", "metadata", "submit"),
    DISPUTE.lists("charge", "payment_intent"),
    DISPUTE.acts("close", close),
)
