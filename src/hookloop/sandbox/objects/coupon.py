"""
Coupons: a discount to be given. See https://docs.stripe.com/api/coupons.
"""

from collections.abc import Mapping

from hookloop.ids import new_id
from hookloop.sandbox.arguments import Arguments, Decimal, Integer
from hookloop.sandbox.errors import (
    ApiError,
    exclusive_parameters,
    invalid_parameter,
    missing_parameter,
)
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

__all__ = ["COUPON", "OPERATIONS", "create", "is_valid", "redeemed"]

COUPON = Resource("coupon", "", "/v1/coupons")

ID_CHARS = 8  # as Stripe makes one up


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Make a coupon of a percentage or of an amount."""
    _check(arguments)
    wanted = arguments.get("id") or new_id("", transaction.random, length=ID_CHARS)
    if transaction.find("coupon", wanted):
        raise ApiError(400, "Coupon already exists.", code="resource_already_exists", param="id")
    currency = arguments.get("currency")
    coupon = COUPON.new(
        transaction,
        arguments,
        id=wanted,
        currency=currency and currency.lower(),
        duration=arguments.get("duration", "once"),
        valid=True,
    )
    if coupon.get("applies_to") is None:
        coupon.pop("applies_to", None)  # only those that have it show it
    return COUPON.save_new(transaction, coupon)


def is_valid(coupon: Json, now: float) -> bool:
    """Say whether *coupon* may still be redeemed."""
    used_up = coupon["max_redemptions"] is not None and (
        coupon["times_redeemed"] >= coupon["max_redemptions"]
    )
    return not used_up and (coupon["redeem_by"] is None or now <= coupon["redeem_by"])


def redeemed(transaction: Transaction, coupon_id: str, param: str) -> Json:
    """Return the coupon as used once more. Raises `ApiError` where it cannot be."""
    old = COUPON.referenced(transaction, coupon_id, param)
    if not is_valid(old, transaction.now):
        raise ApiError(400, f"Coupon expired: {coupon_id}", code="coupon_expired", param=param)
    new = {**old, "times_redeemed": old["times_redeemed"] + 1}
    new["valid"] = is_valid(new, transaction.now)
    return COUPON.save(transaction, old, new, None)


def _check(arguments: Arguments) -> None:
    percent, amount = arguments.get("percent_off"), arguments.get("amount_off")
    if percent is not None and amount is not None:
        raise exclusive_parameters("percent_off", "amount_off")
    if percent is None and amount is None:
        raise ApiError(400, "Must provide percent_off or amount_off.", code="parameter_missing")
    if percent is not None and not 0 < percent <= 100:
        raise invalid_parameter(
            "Invalid percent_off: must be above 0 and up to 100.", "percent_off"
        )
    if amount is not None and not arguments.get("currency"):
        raise missing_parameter("currency")
    is_repeating = arguments.get("duration") == "repeating"
    if is_repeating and arguments.get("duration_in_months") is None:
        raise missing_parameter("duration_in_months")


OPERATIONS = (
    COUPON.creates(
        create,
        "applies_to",
        "currency",
        "currency_options",
        "duration",
        "id",
        "metadata",
        "name",
        "redeem_by",
        amount_off=Integer(minimum=1),
        duration_in_months=Integer(minimum=1),
        max_redemptions=Integer(minimum=1),
        percent_off=Decimal(),
    ),
    COUPON.retrieves(),
    COUPON.updates(None, "currency_options", "metadata", "name"),
    COUPON.deletes(),
    COUPON.lists(),
)
