"""
Payouts: money that leaves the balance for a bank. See https://docs.stripe.com/api/payouts.

A payout arrives in seconds here, since nobody waits for days on their own machine.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments, Integer
from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.operation import Perform
from hookloop.sandbox.payment import SOON_SECONDS
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import balance_transaction

__all__ = ["OPERATIONS", "PAYOUT", "TASKS", "cancel", "create", "reverse"]

PAYOUT = Resource("payout", "po", "/v1/payouts")


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Send available money to the bank. Raises `ApiError` where there is not enough."""
    currency = arguments["currency"].lower()
    balance_transaction.check_available(transaction, arguments["amount"], currency)
    made = PAYOUT.new(
        transaction,
        arguments,
        arrival_date=transaction.created,
        currency=currency,
        method=arguments.get("method", "standard"),
        reconciliation_status="not_applicable",
        source_type=arguments.get("source_type", "card"),
        status="pending",
        type="bank_account",
    )
    made["balance_transaction"] = _moved(transaction, made, "payout", -made["amount"])
    transaction.later(SOON_SECONDS, "payout.arrive", made["id"])
    return PAYOUT.save_new(transaction, made)


def cancel(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Take back a payout that is still pending. Emits ``payout.canceled``."""
    old = PAYOUT.find(transaction, path["id"])
    if old["status"] != "pending":
        raise ApiError(400, f"Payouts that are {old['status']} cannot be canceled.")
    new = {**old, "status": "canceled"}
    new["failure_balance_transaction"] = _moved(transaction, old, "payout_cancel", old["amount"])
    return PAYOUT.save(transaction, old, new, "canceled")


def reverse(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Fetch back a payout that has arrived, as a new one of the opposite amount."""
    old = PAYOUT.find(transaction, path["id"])
    if old["status"] != "paid" or old["reversed_by"] is not None:
        raise ApiError(400, f"Payout {old['id']} cannot be reversed; it must be paid and whole.")
    made = PAYOUT.new(
        transaction,
        arguments,
        amount=-old["amount"],
        arrival_date=transaction.created,
        currency=old["currency"],
        method=old["method"],
        original_payout=old["id"],
        reconciliation_status="not_applicable",
        source_type=old["source_type"],
        status="pending",
        type=old["type"],
    )
    made["balance_transaction"] = _moved(transaction, made, "payout", old["amount"])
    PAYOUT.save(transaction, old, {**old, "reversed_by": made["id"]}, None)
    transaction.later(SOON_SECONDS, "payout.arrive", made["id"])
    return PAYOUT.save_new(transaction, made)


def _moved(transaction: Transaction, payout: Json, kind: str, amount: int) -> str:
    moved = balance_transaction.record(
        transaction,
        kind,
        amount,
        payout["currency"],
        payout["id"],
        category="payout" if kind == "payout" else "payout_reversal",
        description="STRIPE PAYOUT",
        at_once=True,
    )
    return str(moved["id"])


def _arrive(transaction: Transaction, payout_id: str) -> None:
    old = PAYOUT.find(transaction, payout_id)
    if old["status"] == "pending":
        PAYOUT.save(transaction, old, {**old, "status": "paid"}, "paid")


TASKS: Mapping[str, Perform] = {"payout.arrive": _arrive}

OPERATIONS = (
    PAYOUT.creates(
        create,
        "currency",
        "description",
        "metadata",
        "method",
        "source_type",
        "statement_descriptor",
        amount=Integer(minimum=1, required=True),
    ),
    PAYOUT.retrieves(),
    PAYOUT.updates(None, "metadata"),
    PAYOUT.lists("created", "status"),
    PAYOUT.acts("cancel", cancel),
    PAYOUT.acts("reverse", reverse, "metadata"),
)
