"""
Refunds: money that goes back. See https://docs.stripe.com/api/refunds.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments, Integer
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.errors import (
    ApiError,
    exclusive_parameters,
    invalid_parameter,
    missing_parameter,
    no_such_object,
)
from hookloop.sandbox.instruments import RefundFate
from hookloop.sandbox.operation import Perform
from hookloop.sandbox.pagination import list_page
from hookloop.sandbox.payment import SOON_SECONDS
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import balance_transaction, charge, payment_method

__all__ = ["OPERATIONS", "REFUND", "TASKS", "cancel", "create", "update"]

REFERENCE = "acquirer_reference_number"

REFUND = Resource("refund", "re", "/v1/refunds", series="3")


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Give back all or part of a charge, as long as there is something left to give."""
    charged = _charge(transaction, arguments)
    amount = _amount(charged, arguments)
    charged = charge.settled(transaction, charged)
    fate = _fate(transaction, charged)
    made = REFUND.new(
        transaction,
        {name: arguments[name] for name in _KEPT if name in arguments},
        amount=amount,
        charge=charged["id"],
        currency=charged["currency"],
        customer=charged["customer"] if "customer" in arguments else None,
        destination_details={"type": "card", "card": _destination("pending")},
        payment_intent=charged["payment_intent"],
        status="pending" if fate is RefundFate.PENDING else "succeeded",
    )
    moved = balance_transaction.record(
        transaction,
        "refund" if _is_card(charged) else "payment_refund",
        -amount,
        charged["currency"],
        made["id"],
        category="refund",
        description=charged["description"] and f"REFUND FOR CHARGE ({charged['description']})",
    )
    made["balance_transaction"] = moved["id"]
    REFUND.save_new(transaction, made)
    _change_refunded(transaction, charged, amount, "refunded")
    transaction.later(SOON_SECONDS, "refund.proceed", made["id"])
    return made


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change the metadata."""
    old = REFUND.find(transaction, path["id"])
    return _save(transaction, old, applied(old, arguments))


def cancel(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Refuse: only a refund that waits for its receiver can be canceled, and none does here."""
    found = REFUND.find(transaction, path["id"])
    raise ApiError(
        400,
        f"Refunds with status `{found['status']}` cannot be canceled. Only refunds with status "
        "`requires_action` can be canceled.",
        code="resource_missing" if found["status"] == "canceled" else None,
    )


def list_of_charge(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Return a page of a charge's refunds."""
    wanted = charge.CHARGE.find(transaction, path["charge"])["id"]
    return list_page(
        transaction.store,
        "refund",
        arguments,
        url=f"/v1/charges/{wanted}/refunds",
        matches=lambda refund: refund["charge"] == wanted,
    )


def retrieve_of_charge(
    transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]
) -> Json:
    """Return one of a charge's refunds."""
    found = REFUND.find(transaction, path["id"])
    if found["charge"] != path["charge"]:
        raise no_such_object("refund", path["id"])
    return found


def _charge(transaction: Transaction, arguments: Arguments) -> Json:
    by_charge, by_intent = arguments.get("charge"), arguments.get("payment_intent")
    if by_charge is not None and by_intent is not None:
        raise exclusive_parameters("charge", "payment_intent")
    if by_charge is not None:
        return charge.CHARGE.referenced(transaction, by_charge, "charge")
    if by_intent is None:
        raise missing_parameter("charge")
    from . import payment_intent  # which makes charges, as refunds change them

    intent = payment_intent.PAYMENT_INTENT.referenced(transaction, by_intent, "payment_intent")
    if intent["latest_charge"] is None or intent["status"] != "succeeded":
        raise ApiError(
            400,
            f"This PaymentIntent ({by_intent}) does not have a successful charge to refund.",
            param="payment_intent",
        )
    return charge.CHARGE.find(transaction, intent["latest_charge"])


def _amount(charged: Json, arguments: Arguments) -> int:
    """Return how much goes back. Raises `ApiError` where that is more than there is."""
    left = charged["amount"] - charged["amount_refunded"]
    if charged["disputed"]:
        raise ApiError(
            400,
            f"Charge {charged['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    if charged["refunded"] or left == 0:
        raise ApiError(
            400,
            f"Charge {charged['id']} has already been refunded.",
            code="charge_already_refunded",
        )
    if not charged["captured"]:
        raise ApiError(
            400,
            f"Charge {charged['id']} has not been captured; cancel its PaymentIntent instead.",
        )
    amount: int = arguments.get("amount", left)
    if amount > left:
        raise invalid_parameter(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            "amount",
        )
    return amount


def _fate(transaction: Transaction, charged: Json) -> RefundFate:
    method = payment_method.PAYMENT_METHOD.find(transaction, charged["payment_method"])
    if method["type"] != "card":
        return RefundFate.SUCCEEDS
    return payment_method.card_of(transaction, method).refund


def _is_card(charged: Json) -> bool:
    return bool(charged["payment_method_details"]["type"] == "card")


def _change_refunded(transaction: Transaction, charged: Json, amount: int, event: str) -> None:
    refunded = charged["amount_refunded"] + amount
    new = {
        **charged,
        "amount_refunded": refunded,
        "refunded": refunded == charged["amount"],
    }
    charge.CHARGE.save(transaction, charged, new, event)


def _save(transaction: Transaction, old: Json, new: Json) -> Json:
    """Put *new* and tell of it in both of Stripe's ways."""
    REFUND.save(transaction, old, new)
    if new != old:
        transaction.emit("charge.refund.updated", new)
    return new


def _proceed(transaction: Transaction, refund_id: str) -> None:
    """Let the bank say what became of the refund."""
    old = REFUND.find(transaction, refund_id)
    charged = charge.CHARGE.find(transaction, old["charge"])
    if _fate(transaction, charged) is RefundFate.FAILS:
        _fail(transaction, old, charged)
        return
    details = {"type": "card", "card": _destination("available", reference="5364068536")}
    _save(transaction, old, {**old, "status": "succeeded", "destination_details": details})


def _destination(status: str, **more: str) -> Json:
    return {"reference_status": status, "reference_type": REFERENCE, "type": "refund", **more}


def _fail(transaction: Transaction, old: Json, charged: Json) -> None:
    moved = balance_transaction.record(
        transaction, "refund_failure", old["amount"], old["currency"], old["id"]
    )
    new = {
        **old,
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": moved["id"],
    }
    transaction.put("refund", new)
    REFUND.emit(transaction, "failed", new)
    transaction.emit("charge.refund.updated", new)
    _change_refunded(transaction, charged, -old["amount"], "updated")


TASKS: Mapping[str, Perform] = {"refund.proceed": _proceed}

_KEPT = ("instructions_email", "metadata", "reason")

OPERATIONS = (
    REFUND.creates(
        create,
        "charge",
        "payment_intent",
        *_KEPT,
        amount=Integer(minimum=1, maximum=charge.AMOUNT_MAX),
    ),
    REFUND.retrieves(),
    REFUND.updates(update, "metadata"),
    REFUND.lists("charge", "payment_intent"),
    REFUND.acts("cancel", cancel),
    simulated("GET", "/v1/charges/{charge}/refunds", list_of_charge),
    simulated("GET", "/v1/charges/{charge}/refunds/{id}", retrieve_of_charge),
)
