"""
Charges: attempts to move money, made by payment intents or, the old way, directly.

See https://docs.stripe.com/api/charges.
"""

from collections.abc import Mapping
from typing import Any

from hookloop.sandbox.arguments import Arguments, Integer
from hookloop.sandbox.errors import (
    ApiError,
    bad_reference,
    card_error,
    invalid_parameter,
    missing_parameter,
)
from hookloop.sandbox.expansion import Expanders
from hookloop.sandbox.instruments import Card, Decline
from hookloop.sandbox.operation import Perform
from hookloop.sandbox.pagination import list_page
from hookloop.sandbox.payment import SOON_SECONDS, Outcome, course_of_card
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.search import searches
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import balance_transaction, payment_method

__all__ = [
    "AMOUNT_MAX",
    "CHARGE",
    "EXPANDERS",
    "OPERATIONS",
    "TASKS",
    "capture",
    "completed",
    "expired",
    "made",
    "released",
    "settled",
]

CHARGE = Resource("charge", "ch", "/v1/charges", series="3")

AMOUNT_MAX = 99_999_999  # Stripe's: eight digits

AUTHORIZATION_SECONDS = 7 * 24 * 3600.0  # a card's bank holds the money for so long

_RISK_SCORES = {"normal": 20, "elevated": 65, "highest": 92}


def made(
    transaction: Transaction,
    method: Json,
    outcome: Outcome,
    *,
    decline: Decline | None = None,
    captures: bool = True,
    **values: Any,
) -> Json:
    """
    Make a charge of *method* with *outcome*, and tell of it.

    *values*: its amount and currency, and what the intent says of it.
    """
    charge = _blank(transaction, method, **values)
    if outcome is Outcome.PROCESSING:
        charge["status"] = "pending"
        return _told(transaction, charge, "pending")
    if outcome is Outcome.DECLINED:
        assert decline is not None, "a decline has a reason"  # noqa: S101
        return _told(transaction, _failed(charge, decline), "failed")
    charge.update(status="succeeded", paid=True, captured=captures)
    if captures:
        charge["amount_captured"] = charge["amount"]
    _told(transaction, charge, "succeeded")
    if captures:
        _settle_soon(transaction, charge, method)
    else:
        transaction.later(AUTHORIZATION_SECONDS, "charge.expire", charge["id"])
    return charge


def completed(transaction: Transaction, charge_id: str, decline: Decline | None) -> Json:
    """End a pending charge as the bank says, and tell of it."""
    old = CHARGE.find(transaction, charge_id)
    if decline is not None:
        return CHARGE.save(transaction, old, _failed(old, decline), "failed")
    amount = old["amount"]
    new = {**old, "status": "succeeded", "paid": True, "captured": True, "amount_captured": amount}
    CHARGE.save(transaction, old, new, "succeeded")
    _settle_soon(transaction, new, _method(transaction, new))
    return new


def capture(transaction: Transaction, charge_id: str, amount: int) -> Json:
    """Take *amount* of what was authorised and let go of the rest. Emits ``charge.captured``."""
    old = CHARGE.find(transaction, charge_id)
    new = {
        **old,
        "captured": True,
        "amount_captured": amount,
        "amount_refunded": old["amount"] - amount,
    }
    CHARGE.save(transaction, old, new, "captured")
    _settle_soon(transaction, new, _method(transaction, new))
    return new


def released(transaction: Transaction, charge_id: str) -> Json:
    """Let go of all that was authorised. Emits ``charge.refunded``."""
    old = CHARGE.find(transaction, charge_id)
    new = {**old, "amount_refunded": old["amount"], "refunded": True}
    return CHARGE.save(transaction, old, new, "refunded")


def settled(transaction: Transaction, charge: Json) -> Json:
    """Return *charge* with its balance transaction, made if it was not yet."""
    if charge["balance_transaction"] is not None:
        return charge
    return _settled(transaction, charge, None)


# The old way: a charge without an intent


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Charge a card by its token, or the default one of a customer."""
    for name in ("amount", "currency"):
        if name not in arguments:
            raise missing_parameter(name)
    method = _chargeable(transaction, arguments)
    card = payment_method.card_of(transaction, method)
    course = course_of_card(card, off_session=True, is_authenticated=True, is_set_up=True)
    charge = made(
        transaction,
        method,
        course.outcome,
        decline=course.decline,
        captures=arguments.get("capture", True),
        **{name: value for name, value in arguments.items() if name in _GIVEN},
    )
    if course.decline is not None:
        raise card_error(course.decline, charge=charge["id"])
    return charge


def capture_one(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Capture a charge that no intent looks after."""
    charge = CHARGE.find(transaction, path["id"])
    if charge["captured"] or charge["refunded"] or charge["status"] != "succeeded":
        raise ApiError(
            400, f"Charge {charge['id']} has already been captured.", code="charge_already_captured"
        )
    amount = arguments.get("amount", charge["amount"])
    if amount > charge["amount"]:
        raise invalid_parameter("You cannot capture more than was authorised.", "amount")
    if charge["payment_intent"] is not None:
        raise ApiError(
            400,
            f"This charge cannot be captured with the charges API. It belongs to the "
            f"PaymentIntent {charge['payment_intent']}: capture that instead.",
        )
    return capture(transaction, charge["id"], amount)


def _chargeable(transaction: Transaction, arguments: Arguments) -> Json:
    source, customer = arguments.get("source"), arguments.get("customer")
    if source is not None and source.startswith("tok_"):
        return payment_method.made(transaction, {"type": "card", "card": {"token": source}})
    if source is not None:
        found = transaction.find("payment_method", source)
        if found is None:
            raise bad_reference("source", source, "source")
        return found
    found = transaction.find("customer", customer or "")
    if customer is not None and (found is None or found.get("deleted")):
        raise bad_reference("customer", customer, "customer")
    default = found and found["default_source"]
    method = default and transaction.find("payment_method", default)
    if not method:
        raise ApiError(
            402,
            "Cannot charge a customer that has no active card",
            kind="card_error",
            code="missing",
            param="card",
        )
    return method


# What a charge is


def _blank(transaction: Transaction, method: Json, **values: Any) -> Json:
    charge = CHARGE.new(
        transaction,
        {},
        billing_details=method["billing_details"],
        calculated_statement_descriptor="HOOKLOOP",
        fraud_details={},
        payment_method=method["id"],
        payment_method_details=_details(method),
        outcome=_outcome(transaction, method, None),
        source=None,
        **values,
    )
    charge["currency"] = charge["currency"].lower()
    return charge


def _details(method: Json) -> Json:
    kind = method["type"]
    shown = dict(method[kind])
    if kind != "card":
        names = {name for name, value in shown.items() if isinstance(value, str)}
        return {"type": kind, kind: {name: shown[name] for name in names}}
    card = {name: shown[name] for name in _CARD_DETAILS if name in shown}
    card.update(network=shown["brand"], overcapture=None, three_d_secure=None)
    return {"type": "card", "card": {name: value for name, value in card.items() if value}}


_CARD_DETAILS = (
    "brand",
    "checks",
    "country",
    "exp_month",
    "exp_year",
    "fingerprint",
    "funding",
    "last4",
    "regulated_status",
)


def _outcome(transaction: Transaction, method: Json, decline: Decline | None) -> Json:
    card = payment_method.card_of(transaction, method) if method["type"] == "card" else Card("0")
    told: Json = {
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": card.risk_level,
        "risk_score": _RISK_SCORES[card.risk_level],
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    if decline is not None:
        told.update(
            network_status="declined_by_network",
            reason=decline.decline_code or decline.code,
            seller_message="The bank did not return any further details with this decline.",
            type="issuer_declined",
        )
        if decline.decline_code == "fraudulent":
            told.update(
                network_status="not_sent_to_network",
                reason="highest_risk_level",
                seller_message="Stripe blocked this payment as too risky.",
                type="blocked",
            )
    return told


def _failed(charge: Json, decline: Decline) -> Json:
    return {
        **charge,
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": charge["outcome"]
        | {
            "network_status": "declined_by_network",
            "reason": decline.decline_code or decline.code,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        },
        "paid": False,
        "status": "failed",
    }


def _told(transaction: Transaction, charge: Json, event: str) -> Json:
    transaction.put("charge", charge)
    CHARGE.emit(transaction, event, charge)
    return charge


def _method(transaction: Transaction, charge: Json) -> Json:
    return payment_method.PAYMENT_METHOD.find(transaction, charge["payment_method"])


# Money, and what follows


def _settle_soon(transaction: Transaction, charge: Json, method: Json) -> None:
    """Let the charge reach the balance in a moment, and meet the dispute its card is made for."""
    transaction.later(SOON_SECONDS, "charge.settle", charge["id"])
    if method["type"] == "card" and payment_method.card_of(transaction, method).dispute:
        transaction.later(0.0, "charge.dispute", charge["id"])


def _settle(transaction: Transaction, charge_id: str) -> None:
    charge = CHARGE.find(transaction, charge_id)
    if charge["balance_transaction"] is None:
        _settled(transaction, charge, "updated")


def _settled(transaction: Transaction, charge: Json, event: str | None) -> Json:
    method = _method(transaction, charge)
    is_card = method["type"] == "card"
    moved = balance_transaction.record(
        transaction,
        "charge" if is_card else "payment",
        charge["amount_captured"],
        charge["currency"],
        charge["id"],
        fee=balance_transaction.charge_fee(charge["amount_captured"]),
        category="charge",
        description=charge["description"],
        at_once=is_card and payment_method.card_of(transaction, method).is_available_at_once,
    )
    new = {**charge, "balance_transaction": moved["id"]}
    CHARGE.save(transaction, charge, new, event)
    if moved["status"] == "available":
        transaction.emit("balance.available", balance_transaction.balance(transaction))
    return new


def expired(transaction: Transaction, charge: Json) -> Json:
    """Let go of an authorisation nobody captured. Emits ``charge.expired``."""
    new = {**charge, "amount_refunded": charge["amount"], "refunded": True}
    return CHARGE.save(transaction, charge, new, "expired")


def _expire(transaction: Transaction, charge_id: str) -> None:
    charge = CHARGE.find(transaction, charge_id)
    if charge["captured"] or charge["refunded"]:
        return
    expired(transaction, charge)
    if charge["payment_intent"] is not None:
        from . import payment_intent  # which makes charges

        payment_intent.expired(transaction, charge["payment_intent"])


def _dispute(transaction: Transaction, charge_id: str) -> None:
    from . import dispute  # which changes charges

    charge = CHARGE.find(transaction, charge_id)
    card = payment_method.card_of(transaction, _method(transaction, charge))
    dispute.opened(transaction, charge, card)


def _refunds(transaction: Transaction, charge: Json) -> Json:
    return list_page(
        transaction.store,
        "refund",
        {},
        url=f"/v1/charges/{charge['id']}/refunds",
        matches=lambda refund: refund["charge"] == charge["id"],
    )


TASKS: Mapping[str, Perform] = {
    "charge.dispute": _dispute,
    "charge.expire": _expire,
    "charge.settle": _settle,
}

EXPANDERS: Expanders = {("charge", "refunds"): _refunds}

_GIVEN = frozenset(
    {
        "amount",
        "currency",
        "customer",
        "description",
        "metadata",
        "receipt_email",
        "shipping",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_group",
    }
)

OPERATIONS = (
    CHARGE.creates(
        create,
        "capture",
        "source",
        *sorted(_GIVEN - {"amount"}),
        amount=Integer(minimum=1, maximum=AMOUNT_MAX),
    ),
    CHARGE.retrieves(),
    CHARGE.updates(
        None,
        "customer",
        "description",
        "fraud_details",
        "metadata",
        "receipt_email",
        "shipping",
        "transfer_group",
    ),
    CHARGE.lists("customer", "payment_intent", "transfer_group"),
    CHARGE.acts(
        "capture",
        capture_one,
        "receipt_email",
        "statement_descriptor",
        "statement_descriptor_suffix",
        amount=Integer(minimum=1, maximum=AMOUNT_MAX),
    ),
    searches(
        CHARGE,
        "amount",
        "billing_details.address.postal_code",
        "currency",
        "customer",
        "disputed",
        "payment_method_details.card.brand",
        "payment_method_details.card.exp_month",
        "payment_method_details.card.exp_year",
        "payment_method_details.card.fingerprint",
        "payment_method_details.card.last4",
        "refunded",
        "status",
    ),
)
