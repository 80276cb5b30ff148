"""
Promotion codes: what a customer types to get a coupon's discount.

See https://docs.stripe.com/api/promotion_codes.
"""

from collections.abc import Mapping
from typing import Any

from hookloop.ids import new_id
from hookloop.sandbox.arguments import Arguments, Hash, Text
from hookloop.sandbox.errors import ApiError, bad_reference, missing_parameter
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import coupon

__all__ = ["OPERATIONS", "PROMOTION_CODE", "create"]

PROMOTION_CODE = Resource("promotion_code", "promo", "/v1/promotion_codes")

CODE_CHARS = 8


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Make a code for a coupon; two that are active cannot be the same, in either case."""
    found = _coupon(transaction, arguments)
    code = arguments.get("code") or new_id("", transaction.random, length=CODE_CHARS).upper()
    _check_free(transaction, code)
    if (customer := arguments.get("customer")) and not transaction.find("customer", customer):
        raise bad_reference("customer", customer, "customer")
    made = PROMOTION_CODE.new(
        transaction,
        {name: value for name, value in arguments.items() if name != "promotion"},
        active=arguments.get("active", True),
        code=code,
        expires_at=arguments.get("expires_at") or found["redeem_by"],
        restrictions={"first_time_transaction": False, **(arguments.get("restrictions") or {})},
        **_reference(found),
    )
    return PROMOTION_CODE.save_new(transaction, made)


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named; a code can be made active again while its coupon is valid."""
    old = PROMOTION_CODE.find(transaction, path["id"])
    if arguments.get("active") and not old["active"]:
        _check_free(transaction, old["code"])
    return PROMOTION_CODE.save(transaction, old, applied(old, arguments))


def _coupon(transaction: Transaction, arguments: Arguments) -> Json:
    promotion = arguments.get("promotion") or {}
    wanted = promotion.get("coupon") or arguments.get("coupon")
    if wanted is None:
        raise missing_parameter("promotion[coupon]")
    param = "coupon" if "coupon" in arguments else "promotion[coupon]"
    found = coupon.COUPON.referenced(transaction, wanted, param)
    if not coupon.is_valid(found, transaction.now):
        raise ApiError(400, f"Coupon expired: {wanted}", code="coupon_expired", param=param)
    return found


def _reference(found: Json) -> dict[str, Any]:
    return {"promotion": {"type": "coupon", "coupon": found["id"]}}


def _check_free(transaction: Transaction, code: str) -> None:
    for other in transaction.store.everything("promotion_code"):
        if other["active"] and other["code"].lower() == code.lower():
            raise ApiError(
                400,
                f"An active promotion code with `code: {code}` already exists.",
                code="resource_already_exists",
                param="code",
            )


OPERATIONS = (
    PROMOTION_CODE.creates(
        create,
        "active",
        "code",
        "customer",
        "expires_at",
        "max_redemptions",
        "metadata",
        "restrictions",
        # Versions before 2025-09-30 named the coupon outside.
        coupon=Text(unsettable=False),
        promotion=Hash({"type": Text(unsettable=False), "coupon": Text(unsettable=False)}),
    ),
    PROMOTION_CODE.retrieves(),
    PROMOTION_CODE.updates(update, "active", "metadata", "restrictions"),
    PROMOTION_CODE.lists(
        "active",
        "customer",
        where={
            "code": lambda code: lambda made: made["code"].lower() == code.lower(),
            "coupon": lambda wanted: lambda made: made["promotion"]["coupon"] == wanted,
        },
    ),
)
