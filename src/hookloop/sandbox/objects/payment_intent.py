"""
Payment intents: a payment from its plan to its end.

    requires_payment_method -> requires_confirmation -> [requires_action] -> [processing]
    -> [requires_capture] -> succeeded

and canceled from everywhere before the end; a decline leads back to the beginning.
See https://docs.stripe.com/payments/paymentintents/lifecycle.
"""

from collections.abc import Mapping
from typing import Any

from hookloop.sandbox.arguments import Arguments, Boolean, Choice, Integer, OneOf, Text
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.errors import (
    ApiError,
    bad_reference,
)
from hookloop.sandbox.instruments import AUTHENTICATION_FAILED
from hookloop.sandbox.resource import applied
from hookloop.sandbox.search import searches
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import charge, payment_method
from .authentication_page import tries
from .paying import (
    PAYMENT_INTENT,
    TASKS,
    calm,
    confirmed,
    declined,
    followed,
    succeeded,
    unexpected,
)

__all__ = [
    "OPERATIONS",
    "PAYMENT_INTENT",
    "TASKS",
    "authenticate",
    "cancel",
    "capture",
    "confirm",
    "confirmed",
    "create",
    "create_late",
    "expired",
    "update",
]


AMOUNT_MIN = 50  # Stripe's, in most currencies; see `_check_amount`
NO_MINIMUM = frozenset({"jpy", "krw", "vnd", "clp", "pyg", "ugx", "xaf", "xof", "xpf"})

CONFIRMABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
CANCELABLE = CONFIRMABLE | {"requires_capture", "processing"}
CHANGEABLE_AT_ALL = frozenset({"description", "metadata", "receipt_email", "transfer_group"})
"""What may still be changed once money has moved."""


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Plan a payment, and with ``confirm`` try it at once."""
    intent = PAYMENT_INTENT.new(
        transaction,
        {name: value for name, value in arguments.items() if name not in _OWN},
        capture_method=arguments.get("capture_method", "automatic_async"),
        confirmation_method=arguments.get("confirmation_method", "automatic"),
        currency=arguments["currency"].lower(),
        customer=_customer(transaction, arguments.get("customer")),
        payment_method_options=arguments.get("payment_method_options") or {},
        status="requires_payment_method",
        **_methods_allowed(arguments),
    )
    _check_amount(intent)
    intent["client_secret"] = transaction.new_client_secret(intent["id"])
    intent = _with_method(transaction, intent, arguments)
    PAYMENT_INTENT.save_new(transaction, intent)
    return confirmed(transaction, intent, arguments) if arguments.get("confirm") else intent


def create_late(transaction: Transaction, given: Arguments) -> Json:
    """
    Make an intent the way a page of Stripe's does: it is told of when its fate is known.

    Raises `ApiError` with 402 where the bank declines.
    """
    before = len(transaction.changes.events)
    try:
        return create(transaction, given, {})
    finally:
        # `payment_intent.created` comes first, and Stripe tells of it last.
        events = transaction.changes.events
        if len(events) > before:
            events.append(events.pop(before))


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named, as far as the payment has not gone too far for it; nobody is told."""
    old = PAYMENT_INTENT.find(transaction, path["id"])
    late = old["status"] not in CONFIRMABLE and arguments.keys() - CHANGEABLE_AT_ALL - {"expand"}
    if late:
        raise unexpected(
            old,
            f"This PaymentIntent's {min(late)} could not be updated because it has a status of "
            f"{old['status']}. You may only update the {min(late)} of a PaymentIntent with one of "
            f"the following statuses: {', '.join(sorted(CONFIRMABLE))}.",
        )
    new = applied(old, {name: value for name, value in arguments.items() if name not in _OWN})
    if "customer" in arguments:
        new["customer"] = _customer(transaction, arguments["customer"])
    new["currency"] = new["currency"].lower()
    if arguments.keys() & {"payment_method_types", "allowed_payment_method_types"}:
        new.update(_methods_allowed(arguments))
    _check_amount(new)
    new = _with_method(transaction, new, arguments)
    return PAYMENT_INTENT.save(transaction, old, new, None)


def confirm(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Try to pay. Raises `ApiError` with 402 where the bank declines."""
    old = PAYMENT_INTENT.find(transaction, path["id"])
    if old["status"] not in CONFIRMABLE:
        raise unexpected(
            old,
            f"You cannot confirm this PaymentIntent because it has already {_past(old)}.",
        )
    new = applied(old, {name: value for name, value in arguments.items() if name not in _OWN})
    new = _with_method(transaction, new, arguments)
    transaction.put("payment_intent", new)
    return confirmed(transaction, new, arguments)


def authenticate(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Do what the intent waits for in its customer's stead: prove who they are, or fail to."""
    old = PAYMENT_INTENT.find(transaction, path["id"])
    if old["status"] != "requires_action":
        raise unexpected(old, f"This PaymentIntent is {old['status']} and waits for nobody.")
    method = payment_method.PAYMENT_METHOD.find(transaction, old["payment_method"])
    if arguments.get("outcome") == "failed":
        return declined(transaction, old, method, AUTHENTICATION_FAILED, None)
    course = tries(transaction, method, is_authenticated=True)
    try:
        return followed(transaction, old, method, course, {})
    except ApiError as error:
        if not error.keeps_changes:
            raise
        return PAYMENT_INTENT.find(transaction, path["id"])  # whoever authenticates hears no error


def capture(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Take what was authorised, or less. Emits ``charge.captured`` and success."""
    old = PAYMENT_INTENT.find(transaction, path["id"])
    if old["status"] != "requires_capture":
        raise unexpected(
            old,
            "This PaymentIntent could not be captured because it has a status of "
            f"{old['status']}. Only a PaymentIntent with one of the following statuses may be "
            "captured: requires_capture.",
        )
    amount = arguments.get("amount_to_capture", old["amount_capturable"])
    if amount > old["amount_capturable"]:
        raise ApiError(
            400,
            "The payment could not be captured because the requested capture amount is greater "
            "than the amount you can capture for this charge.",
            code="amount_too_large",
            param="amount_to_capture",
        )
    charge.capture(transaction, old["latest_charge"], amount)
    return succeeded(transaction, applied(old, _metadata(arguments)), amount)


def cancel(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Give up; what was authorised is let go of. Emits ``payment_intent.canceled``."""
    old = PAYMENT_INTENT.find(transaction, path["id"])
    if old["status"] not in CANCELABLE:
        raise unexpected(
            old,
            f"You cannot cancel this PaymentIntent because it has a status of {old['status']}. "
            "Only a PaymentIntent with one of the following statuses may be canceled: "
            "requires_payment_method, requires_capture, requires_confirmation, requires_action, "
            "processing.",
        )
    if old["status"] == "requires_capture":
        charge.released(transaction, old["latest_charge"])
    return _canceled(transaction, old, arguments.get("cancellation_reason"))


def expired(transaction: Transaction, intent_id: str) -> None:
    """Give up an intent whose authorisation has run out."""
    old = PAYMENT_INTENT.find(transaction, intent_id)
    if old["status"] == "requires_capture":
        _canceled(transaction, old, "automatic")


def _canceled(transaction: Transaction, old: Json, reason: str | None) -> Json:
    new = {
        **calm(old),
        "amount_capturable": 0,
        "canceled_at": transaction.created,
        "cancellation_reason": reason,
        "status": "canceled",
    }
    return PAYMENT_INTENT.save(transaction, old, new, "canceled")


def _customer(transaction: Transaction, wanted: str | None) -> str | None:
    found = transaction.find("customer", wanted or "")
    if wanted is not None and (found is None or found.get("deleted")):
        raise bad_reference("customer", wanted, "customer")
    return wanted


def _check_amount(intent: Json) -> None:
    least = 1 if intent["currency"] in NO_MINIMUM else AMOUNT_MIN
    if intent["amount"] < least:
        raise ApiError(
            400,
            "Amount must convert to at least 50 cents. "
            f"{intent['amount']} {intent['currency']} does not.",
            code="amount_too_small",
            param="amount",
        )


def _methods_allowed(arguments: Arguments) -> dict[str, Any]:
    """Return the types of payment methods and whether they are chosen by Stripe."""
    automatic = arguments.get("automatic_payment_methods")
    types = arguments.get("payment_method_types") or arguments.get("allowed_payment_method_types")
    if types is not None or (automatic is not None and not automatic["enabled"]):
        return {"payment_method_types": types or ["card"], "automatic_payment_methods": None}
    chosen = {"allow_redirects": "always", **(automatic or {"enabled": True})}
    return {"payment_method_types": ["card", "link"], "automatic_payment_methods": chosen}


def _with_method(transaction: Transaction, intent: Json, arguments: Arguments) -> Json:
    """Return *intent* with the payment method *arguments* name or describe."""
    if described := arguments.get("payment_method_data"):
        method = payment_method.made(transaction, described)
    elif wanted := arguments.get("payment_method"):
        method = payment_method.resolved(transaction, wanted, "payment_method")
    else:
        return intent
    owner = method["customer"]
    if owner is not None and owner != intent["customer"]:
        raise ApiError(
            400,
            f"The provided PaymentMethod ({method['id']}) belongs to the Customer {owner}. Please "
            "include that Customer in the `customer` parameter of this PaymentIntent.",
            param="payment_method",
        )
    return {**intent, "payment_method": method["id"], "status": "requires_confirmation"}


def _metadata(arguments: Arguments) -> Arguments:
    return {"metadata": arguments["metadata"]} if "metadata" in arguments else {}


def _past(intent: Json) -> str:
    if intent["status"] == "succeeded":
        return "succeeded after being previously confirmed"
    return f"a status of {intent['status']}"


_OWN = frozenset({"payment_method", "customer"})
"""Arguments that are no mere values."""

_AMOUNT = Integer(minimum=1, maximum=charge.AMOUNT_MAX)

_CHANGEABLE = (
    "allowed_payment_method_types",
    "capture_method",
    "description",
    "metadata",
    "payment_method",
    "payment_method_data",
    "payment_method_options",
    "receipt_email",
    "setup_future_usage",
    "shipping",
)
_CHANGEABLE_TOO = (
    "currency",
    "customer",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)
_OFF_SESSION = OneOf((Boolean(), Choice(("one_off", "recurring"))))

OPERATIONS = (
    PAYMENT_INTENT.creates(
        create,
        "automatic_payment_methods",
        "confirm",
        "confirmation_method",
        "error_on_requires_action",
        "mandate_data",
        "return_url",
        "use_stripe_sdk",
        *_CHANGEABLE,
        *_CHANGEABLE_TOO,
        amount=Integer(minimum=1, maximum=charge.AMOUNT_MAX, required=True),
        off_session=_OFF_SESSION,
        payment_method_types=payment_method.TYPES_FIELD,
    ),
    PAYMENT_INTENT.retrieves("client_secret"),
    PAYMENT_INTENT.updates(
        update,
        *_CHANGEABLE,
        *_CHANGEABLE_TOO,
        amount=_AMOUNT,
        payment_method_types=payment_method.TYPES_FIELD,
    ),
    PAYMENT_INTENT.lists("customer"),
    PAYMENT_INTENT.acts(
        "confirm",
        confirm,
        "error_on_requires_action",
        "mandate_data",
        "return_url",
        "use_stripe_sdk",
        *_CHANGEABLE,
        client_secret=Text(unsettable=False),
        off_session=_OFF_SESSION,
    ),
    PAYMENT_INTENT.acts("capture", capture, "metadata", amount_to_capture=_AMOUNT),
    PAYMENT_INTENT.acts("cancel", cancel, "cancellation_reason"),
    searches(PAYMENT_INTENT, "amount", "currency", "customer", "status"),
    simulated(
        "POST",
        "/v1/test_helpers/payment_intents/{id}/authenticate",
        authenticate,
        outcome=Choice(("succeeded", "failed")),
    ),
)
