"""
Setup intents: a payment method made ready for later, without a payment.

See https://docs.stripe.com/api/setup_intents.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments, Choice, Text
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.errors import (
    ApiError,
    bad_reference,
    card_error,
    unexpected_state,
)
from hookloop.sandbox.instruments import AUTHENTICATION_FAILED, Decline
from hookloop.sandbox.payment import Outcome
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import payment_method
from .authentication_page import next_action, tries

__all__ = ["OPERATIONS", "SETUP_INTENT", "authenticate", "cancel", "confirm", "create", "update"]

SETUP_INTENT = Resource("setup_intent", "seti", "/v1/setup_intents")
SETUP_ATTEMPT = Resource("setup_attempt", "setatt", "/v1/setup_attempts")

CONFIRMABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Plan a setup, and with ``confirm`` do it at once."""
    automatic = arguments.get("automatic_payment_methods")
    types = arguments.get("payment_method_types") or arguments.get("allowed_payment_method_types")
    if types is None and (automatic is None or automatic["enabled"]):
        automatic = {"allow_redirects": "always", **(automatic or {"enabled": True})}
    intent = SETUP_INTENT.new(
        transaction,
        {name: value for name, value in arguments.items() if name not in _OWN},
        automatic_payment_methods=automatic if types is None else None,
        customer=_customer(transaction, arguments.get("customer")),
        payment_method_options=arguments.get("payment_method_options") or {},
        payment_method_types=types or ["card", "link"],
        status="requires_payment_method",
        usage=arguments.get("usage", "off_session"),
    )
    intent["client_secret"] = transaction.new_client_secret(intent["id"])
    intent = _with_method(transaction, intent, arguments)
    SETUP_INTENT.save_new(transaction, intent)
    return _confirmed(transaction, intent, arguments) if arguments.get("confirm") else intent


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named; nobody is told."""
    old = SETUP_INTENT.find(transaction, path["id"])
    new = applied(old, {name: value for name, value in arguments.items() if name not in _OWN})
    if "customer" in arguments:
        new["customer"] = _customer(transaction, arguments["customer"])
    return SETUP_INTENT.save(transaction, old, _with_method(transaction, new, arguments), None)


def confirm(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Try the setup. Raises `ApiError` with 402 where the bank declines."""
    old = SETUP_INTENT.find(transaction, path["id"])
    if old["status"] not in CONFIRMABLE:
        raise _unexpected(
            old,
            f"You cannot confirm this SetupIntent because it has a status of {old['status']}.",
        )
    new = _with_method(transaction, old, arguments)
    transaction.put("setup_intent", new)
    return _confirmed(transaction, new, arguments)


def authenticate(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Do what the intent waits for in its customer's stead: prove who they are, or fail to."""
    old = SETUP_INTENT.find(transaction, path["id"])
    if old["status"] != "requires_action":
        raise _unexpected(old, f"This SetupIntent is {old['status']} and waits for nobody.")
    method = payment_method.PAYMENT_METHOD.find(transaction, old["payment_method"])
    if arguments.get("outcome") == "failed":
        return _failed(transaction, old, method, _AUTHENTICATION_FAILED)
    return _succeeded(transaction, old, method)


def cancel(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Give up. Emits ``setup_intent.canceled``."""
    old = SETUP_INTENT.find(transaction, path["id"])
    if old["status"] not in CONFIRMABLE:
        raise _unexpected(
            old,
            f"You cannot cancel this SetupIntent because it has a status of {old['status']}. Only "
            "a SetupIntent with one of the following statuses may be canceled: "
            "requires_payment_method, requires_confirmation, requires_action.",
        )
    reason = arguments.get("cancellation_reason")
    new = {**old, "status": "canceled", "cancellation_reason": reason, "next_action": None}
    return SETUP_INTENT.save(transaction, old, new, "canceled")


def _confirmed(transaction: Transaction, intent: Json, arguments: Arguments) -> Json:
    if intent["payment_method"] is None:
        raise _unexpected(
            intent,
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the "
            "SetupIntent with a payment method and then confirm it again.",
        )
    method = payment_method.PAYMENT_METHOD.find(transaction, intent["payment_method"])
    payment_method.check_usable(transaction, method)
    course = tries(transaction, method)
    if course.outcome is Outcome.NEEDS_ACTION:
        action = next_action(transaction, intent, method, arguments.get("return_url"))
        new = {**intent, "status": "requires_action", "next_action": action}
        return SETUP_INTENT.save(transaction, intent, new, "requires_action")
    keeps = method["type"] != "card" or payment_method.card_of(transaction, method).attaches
    if course.outcome is Outcome.DECLINED and not keeps:
        assert course.decline is not None, "a decline has a reason"  # noqa: S101
        failed = _failed(transaction, intent, method, course.decline)
        raise card_error(course.decline, setup_intent=failed, payment_method=method)
    return _succeeded(transaction, intent, method)


def _succeeded(transaction: Transaction, intent: Json, method: Json) -> Json:
    if intent["customer"] is not None:
        payment_method.attached(transaction, method, intent["customer"])
    payment_method.set_up(transaction, method)
    attempt = _attempt(transaction, intent, method, "succeeded")
    new = {
        **intent,
        "last_setup_error": None,
        "latest_attempt": attempt["id"],
        "next_action": None,
        "status": "succeeded",
    }
    return SETUP_INTENT.save(transaction, intent, new, "succeeded")


def _failed(transaction: Transaction, intent: Json, method: Json, decline: Decline) -> Json:
    error = {"code": decline.code, "message": decline.message, "payment_method": method}
    if decline.decline_code:
        error["decline_code"] = decline.decline_code
    attempt = _attempt(transaction, intent, method, "failed")
    new = {
        **intent,
        "last_setup_error": {**error, "type": "card_error"},
        "latest_attempt": attempt["id"],
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    return SETUP_INTENT.save(transaction, intent, SETUP_INTENT.changed(new, {}), "setup_failed")


def _attempt(transaction: Transaction, intent: Json, method: Json, status: str) -> Json:
    made = SETUP_ATTEMPT.new(
        transaction,
        {},
        customer=intent["customer"],
        payment_method=method["id"],
        payment_method_details={"type": method["type"], method["type"]: {}},
        setup_intent=intent["id"],
        status=status,
        usage=intent["usage"],
    )
    transaction.put("setup_attempt", made)
    return made


def _with_method(transaction: Transaction, intent: Json, arguments: Arguments) -> Json:
    if described := arguments.get("payment_method_data"):
        method = payment_method.made(transaction, described)
    elif wanted := arguments.get("payment_method"):
        method = payment_method.resolved(transaction, wanted, "payment_method")
    else:
        return intent
    return {**intent, "payment_method": method["id"], "status": "requires_confirmation"}


def _customer(transaction: Transaction, wanted: str | None) -> str | None:
    found = transaction.find("customer", wanted or "")
    if wanted is not None and (found is None or found.get("deleted")):
        raise bad_reference("customer", wanted, "customer")
    return wanted


def _unexpected(intent: Json, message: str) -> ApiError:
    return unexpected_state("setup_intent", message, intent)


_AUTHENTICATION_FAILED = Decline(
    "setup_intent_authentication_failure",
    AUTHENTICATION_FAILED.message.replace("PaymentIntent", "SetupIntent"),
)

_OWN = frozenset({"payment_method", "customer"})

_CHANGEABLE = (
    "allowed_payment_method_types",
    "customer",
    "description",
    "metadata",
    "payment_method",
    "payment_method_data",
    "payment_method_options",
)

OPERATIONS = (
    SETUP_INTENT.creates(
        create,
        "automatic_payment_methods",
        "confirm",
        "mandate_data",
        "return_url",
        "usage",
        "use_stripe_sdk",
        *_CHANGEABLE,
        payment_method_types=payment_method.TYPES_FIELD,
    ),
    SETUP_INTENT.retrieves("client_secret"),
    SETUP_INTENT.updates(update, *_CHANGEABLE, payment_method_types=payment_method.TYPES_FIELD),
    SETUP_INTENT.lists("customer", "payment_method"),
    SETUP_INTENT.acts(
        "confirm",
        confirm,
        "mandate_data",
        "payment_method",
        "payment_method_data",
        "return_url",
        "use_stripe_sdk",
        client_secret=Text(unsettable=False),
    ),
    SETUP_INTENT.acts("cancel", cancel, "cancellation_reason"),
    SETUP_ATTEMPT.lists("setup_intent"),
    simulated(
        "POST",
        "/v1/test_helpers/setup_intents/{id}/authenticate",
        authenticate,
        outcome=Choice(("succeeded", "failed")),
    ),
)
