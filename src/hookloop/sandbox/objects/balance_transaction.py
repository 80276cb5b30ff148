"""
The balance, and every transaction that moved it.

See https://docs.stripe.com/api/balance_transactions and https://docs.stripe.com/api/balance.
Each currency has a balance of its own; nothing is converted.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.operation import Perform
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction
from hookloop.shapes.blank import blank

__all__ = [
    "BALANCE_TRANSACTION",
    "OPERATIONS",
    "TASKS",
    "available",
    "balance",
    "charge_fee",
    "check_available",
    "record",
]

BALANCE_TRANSACTION = Resource("balance_transaction", "txn", "/v1/balance_transactions", series="3")

DAY_SECONDS = 86_400
AVAILABLE_DAYS = 2  # Stripe's shortest schedule, for cards in the United States

TOTALS = "balance_totals"  # the kind of the one object that holds the sums, so that none is taken
TOTALS_ID = "totals"

FEE_BASIS_POINTS = 290  # Stripe's list price for cards in the United States: 2.9 % and 30 cents
FEE_FIXED = 30


def charge_fee(amount: int) -> int:
    """Return what Stripe takes of a card payment of *amount*."""
    return min(amount, (amount * FEE_BASIS_POINTS + 5000) // 10_000 + FEE_FIXED)


def record(
    transaction: Transaction,
    kind: str,
    amount: int,
    currency: str,
    source: str,
    *,
    fee: int = 0,
    category: str | None = None,
    description: str | None = None,
    at_once: bool = False,
) -> Json:
    """
    Move the balance by *amount* less *fee*, and return the transaction that did.

    *at_once*: it is available now, and not in two days.
    """
    available_on = transaction.created
    if not at_once:
        available_on = (transaction.created // DAY_SECONDS + AVAILABLE_DAYS) * DAY_SECONDS
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    made = BALANCE_TRANSACTION.new(
        transaction,
        {},
        amount=amount,
        available_on=available_on,
        balance_type="payments",
        currency=currency,
        description=description,
        fee=fee,
        fee_details=details if fee else [],
        net=amount - fee,
        reporting_category=category or kind,
        source=source,
        status="available" if at_once else "pending",
        type=kind,
    )
    transaction.put("balance_transaction", made)
    _move(transaction, made["status"], currency, made["net"])
    if not at_once:
        _await(transaction, available_on)
    return made


def available(transaction: Transaction, currency: str) -> int:
    """Return what can be paid out in *currency*."""
    return int(_totals(transaction)["available"].get(currency, 0))


def balance(transaction: Transaction) -> Json:
    """Return the balance object."""
    totals = _totals(transaction)
    return blank(
        "balance",
        {name: _funds(totals[name]) for name in ("available", "pending")} | {"livemode": False},
    )


def retrieve_balance(
    transaction: Transaction, _arguments: Arguments, _path: Mapping[str, str]
) -> Json:
    """Return the balance."""
    return balance(transaction)


def _funds(by_currency: Mapping[str, int]) -> list[Json]:
    return [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in sorted({"usd": 0, **by_currency}.items())
    ]


def _totals(transaction: Transaction) -> Json:
    found = transaction.find(TOTALS, TOTALS_ID)
    return found or {"id": TOTALS_ID, "available": {}, "pending": {}}


def _move(transaction: Transaction, where: str, currency: str, amount: int) -> None:
    totals = _totals(transaction)
    sums = {**totals[where], currency: totals[where].get(currency, 0) + amount}
    transaction.put(TOTALS, {**totals, where: sums})


# Funds become available


def _await(transaction: Transaction, available_on: int) -> None:
    """Let the funds be looked at on that day, once for all that become available then."""
    day = str(available_on)
    if transaction.find("settlement_day", day) is None:
        transaction.put("settlement_day", {"id": day})
        transaction.later(available_on - transaction.now, "balance_transaction.available", day)


def _make_available(transaction: Transaction, day: str) -> None:
    transaction.remove("settlement_day", day)
    for pending in transaction.store.everything("balance_transaction"):
        if pending["status"] == "pending" and pending["available_on"] <= int(day):
            transaction.put("balance_transaction", {**pending, "status": "available"})
            _move(transaction, "pending", pending["currency"], -pending["net"])
            _move(transaction, "available", pending["currency"], pending["net"])
    transaction.emit("balance.available", balance(transaction))


def check_available(transaction: Transaction, amount: int, currency: str) -> None:
    """Raise `ApiError` where less than *amount* can be paid out."""
    if amount > available(transaction, currency):
        raise ApiError(
            400,
            "You have insufficient available funds in your Stripe account. Try adding funds "
            "directly to your available balance by creating Charges using the 4000000000000077 "
            "test card.",
            code="balance_insufficient",
        )


TASKS: Mapping[str, Perform] = {"balance_transaction.available": _make_available}

OPERATIONS = (
    BALANCE_TRANSACTION.retrieves(),
    BALANCE_TRANSACTION.lists("created", "currency", "source", "type"),
    simulated("GET", "/v1/balance", retrieve_balance),
)
