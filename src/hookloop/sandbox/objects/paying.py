"""
How a payment intent gets from its confirmation to its end, and what is told on the way.

What it takes, and what may be done to it, is `payment_intent`.
"""

from collections.abc import Mapping
from typing import Any

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.errors import ApiError, card_error, invalid_parameter, unexpected_state
from hookloop.sandbox.instruments import AUTHENTICATION_FAILED, Decline
from hookloop.sandbox.operation import Perform
from hookloop.sandbox.payment import Course, Outcome
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import charge, payment_method
from .authentication_page import next_action, tries

__all__ = [
    "PAYMENT_INTENT",
    "TASKS",
    "calm",
    "confirmed",
    "declined",
    "followed",
    "succeeded",
    "unexpected",
]

PAYMENT_INTENT = Resource("payment_intent", "pi", "/v1/payment_intents", series="3")


def confirmed(transaction: Transaction, intent: Json, arguments: Arguments) -> Json:
    """Return *intent* as far as its payment gets by itself. Raises `ApiError` at a decline."""
    if intent["payment_method"] is None:
        raise unexpected(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
            "either update the PaymentIntent with a payment method and then confirm it again, or "
            "confirm it again directly with a payment method or ConfirmationToken.",
        )
    method = payment_method.resolved(transaction, intent["payment_method"], "payment_method")
    _check_method(transaction, intent, method, arguments)
    course = tries(transaction, method, off_session=_is_off_session(arguments))
    return followed(transaction, intent, method, course, arguments)


def followed(
    transaction: Transaction, intent: Json, method: Json, course: Course, arguments: Arguments
) -> Json:
    """Return *intent* as *course* leaves it. Raises `ApiError` at a decline."""
    if course.outcome is Outcome.NEEDS_ACTION:
        if arguments.get("error_on_requires_action"):
            raise card_error(_NEEDS_ACTION, payment_intent=intent)
        return _waiting(transaction, intent, method, arguments)
    if course.outcome is Outcome.DECLINED:
        assert course.decline is not None, "a decline has a reason"  # noqa: S101
        return declined(transaction, intent, method, course.decline, card_error)
    captures = intent["capture_method"] != "manual"
    made = _charged(transaction, intent, method, course.outcome, captures=captures)
    _keep_method(transaction, intent, method)
    new = {**calm(intent), "latest_charge": made["id"]}
    if course.outcome is Outcome.PROCESSING:
        new["status"] = "processing"
        PAYMENT_INTENT.save(transaction, intent, new, "processing")
        if course.later is not None:
            task = "failed" if course.decline else "succeeded"
            transaction.later(course.later_seconds, f"payment_intent.{task}", intent["id"])
        return new
    if not captures:
        new.update(status="requires_capture", amount_capturable=intent["amount"])
        return PAYMENT_INTENT.save(transaction, intent, new, "amount_capturable_updated")
    return succeeded(transaction, new, intent["amount"])


def _waiting(transaction: Transaction, intent: Json, method: Json, arguments: Arguments) -> Json:
    action = next_action(transaction, intent, method, arguments.get("return_url"))
    new = {**calm(intent), "status": "requires_action", "next_action": action}
    return PAYMENT_INTENT.save(transaction, intent, new, "requires_action")


def _charged(
    transaction: Transaction,
    intent: Json,
    method: Json,
    outcome: Outcome,
    *,
    decline: Decline | None = None,
    captures: bool = True,
) -> Json:
    return charge.made(
        transaction,
        method,
        outcome,
        decline=decline,
        captures=captures,
        payment_intent=intent["id"],
        **{name: intent[name] for name in _TOLD_TO_CHARGES},
    )


def succeeded(transaction: Transaction, intent: Json, amount: int) -> Json:
    """Return *intent* as paid with *amount*, and tell of it."""
    new = {
        **calm(intent),
        "amount_capturable": 0,
        "amount_received": amount,
        "status": "succeeded",
    }
    transaction.put("payment_intent", new)
    PAYMENT_INTENT.emit(transaction, "succeeded", new)
    _tell_session(transaction, new)
    return new


def _tell_session(transaction: Transaction, intent: Json) -> None:
    from . import checkout_session  # which makes intents

    checkout_session.payment_ended(transaction, intent)


def declined(
    transaction: Transaction, intent: Json, method: Json, decline: Decline, raised: Any
) -> Json:
    """Lead *intent* back to its beginning, and raise what *raised* makes of *decline*."""
    failed = None
    if decline is not AUTHENTICATION_FAILED:
        failed = _charged(transaction, intent, method, Outcome.DECLINED, decline=decline)["id"]
    new = {
        **calm(intent),
        "last_payment_error": _error(decline, method, failed),
        "latest_charge": failed or intent["latest_charge"],
        "payment_method": None,
        "status": "requires_payment_method",
    }
    new = PAYMENT_INTENT.changed(new, {})
    transaction.put("payment_intent", new)
    PAYMENT_INTENT.emit(transaction, "payment_failed", new)
    if raised is not None:
        raise raised(decline, charge=failed, payment_intent=new, payment_method=method)
    return new


def calm(intent: Json) -> Json:
    """Return *intent* as waiting for nothing and complaining of nothing."""
    return {**intent, "last_payment_error": None, "next_action": None, "processing": None}


def _complete(transaction: Transaction, intent_id: str) -> None:
    """Let the bank say that a delayed payment has arrived."""
    old = PAYMENT_INTENT.find(transaction, intent_id)
    if old["status"] == "processing":
        charge.completed(transaction, old["latest_charge"], None)
        succeeded(transaction, old, old["amount"])


def _fail(transaction: Transaction, intent_id: str) -> None:
    """Let the bank say that a delayed payment has not arrived."""
    old = PAYMENT_INTENT.find(transaction, intent_id)
    if old["status"] != "processing":
        return
    method = payment_method.PAYMENT_METHOD.find(transaction, old["payment_method"])
    decline = tries(transaction, method).decline
    assert decline is not None, "that is why it fails"  # noqa: S101
    charge.completed(transaction, old["latest_charge"], decline)
    new = {
        **old,
        "last_payment_error": _error(decline, method, old["latest_charge"]),
        "payment_method": None,
        "status": "requires_payment_method",
    }
    new = PAYMENT_INTENT.changed(new, {})
    transaction.put("payment_intent", new)
    PAYMENT_INTENT.emit(transaction, "payment_failed", new)
    _tell_session(transaction, new)


def _check_method(
    transaction: Transaction, intent: Json, method: Json, arguments: Arguments
) -> None:
    payment_method.check_usable(transaction, method)
    automatic = intent["automatic_payment_methods"]
    if automatic is None and method["type"] not in intent["payment_method_types"]:
        raise ApiError(
            400,
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. "
            f"Please attach a PaymentMethod of one of the following types: "
            f"{', '.join(intent['payment_method_types'])}.",
            code="payment_intent_incompatible_payment_method",
            param="payment_method",
        )
    # Only of those who ask for a version: the command line's fixtures are older than the rule.
    redirects = (automatic or {}).get("allow_redirects", "never") != "never"
    is_elsewhere = _is_off_session(arguments) or arguments.get("error_on_requires_action")
    no_way_back = not arguments.get("return_url") and not is_elsewhere
    if redirects and transaction.api_version and no_way_back:
        raise invalid_parameter(
            "This PaymentIntent is configured to accept payment methods enabled in your "
            "Dashboard. Because some of these payment methods might redirect your customer "
            "off of your page, you must provide a `return_url`. If you don't want to accept "
            "redirect-based payment methods, set `automatic_payment_methods[enabled]` to "
            "`true` and `automatic_payment_methods[allow_redirects]` to `never` when creating "
            "Setup Intents and Payment Intents.",
            "return_url",
        )


def _keep_method(transaction: Transaction, intent: Json, method: Json) -> None:
    """Attach the method where it is to be used again, and otherwise let it be used up."""
    later = intent["setup_future_usage"]
    if later and intent["customer"]:
        payment_method.attached(transaction, method, intent["customer"])
        if later == "off_session":
            payment_method.set_up(transaction, method)
    else:
        payment_method.spent(transaction, method)


def _is_off_session(arguments: Arguments) -> bool:
    return arguments.get("off_session") not in (None, False)


def _error(decline: Decline, method: Json, failed: str | None) -> Json:
    error: Json = {"charge": failed, "code": decline.code, "message": decline.message}
    error["decline_code"] = decline.decline_code
    error["advice_code"] = decline.advice
    error["doc_url"] = f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}"
    error["payment_method"] = method
    return {**{name: value for name, value in error.items() if value}, "type": "card_error"}


def unexpected(intent: Json, message: str) -> ApiError:
    """The intent is in no state to do that."""
    return unexpected_state("payment_intent", message, intent)


_NEEDS_ACTION = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)

TASKS: Mapping[str, Perform] = {
    "payment_intent.failed": _fail,
    "payment_intent.succeeded": _complete,
}

_TOLD_TO_CHARGES = (
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
)
