"""
Prices: how much a product costs, once or again and again. See https://docs.stripe.com/api/prices.

A recurring price is also a plan of the same id, as the API had it before there were prices.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.difference import previous_attributes
from hookloop.sandbox.errors import ApiError, exclusive_parameters, missing_parameter
from hookloop.sandbox.resource import Matcher, Resource, applied
from hookloop.sandbox.search import searches
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction
from hookloop.shapes.blank import blank

__all__ = ["OPERATIONS", "PRICE", "create", "plan_of", "save_new", "tell_plan_updated", "update"]

PRICE = Resource("price", "price", "/v1/prices")


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Make a price of a product, which may be described with it."""
    if arguments.get("unit_amount") is not None and arguments.get("unit_amount_decimal"):
        raise exclusive_parameters("unit_amount", "unit_amount_decimal")
    _check_amount(arguments)
    recurring = arguments.get("recurring")
    price = PRICE.new(
        transaction,
        arguments,
        active=arguments.get("active", True),
        billing_scheme=arguments.get("billing_scheme", "per_unit"),
        currency=arguments["currency"].lower(),
        product=_product(transaction, arguments),
        recurring=recurring and {"interval_count": 1, "usage_type": "licensed", **recurring},
        tax_behavior=arguments.get("tax_behavior", "unspecified"),
        tiers=_tiers(arguments.get("tiers")),
        type="recurring" if recurring else "one_time",
        **_amounts(arguments),
    )
    _take_lookup_key(transaction, price, arguments)
    return save_new(transaction, price)


def save_new(transaction: Transaction, price: Json) -> Json:
    """Put *price*, and tell of it and of the plan it is too."""
    if price["recurring"]:
        transaction.emit("plan.created", plan_of(price))
    return PRICE.save_new(transaction, price)


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named; amounts stay for good."""
    old = PRICE.find(transaction, path["id"])
    new = applied(old, arguments)
    _take_lookup_key(transaction, new, arguments)
    if new != old and new["recurring"]:
        tell_plan_updated(transaction, old, new)
    return PRICE.save(transaction, old, new)


_SAME_IN_PLAN = ("id", "active", "billing_scheme", "created", "currency", "livemode", "metadata")
_SAME_IN_PLAN_TOO = ("nickname", "product", "tiers_mode")
_RECURRING_IN_PLAN = ("interval", "interval_count", "meter", "trial_period_days", "usage_type")


def plan_of(price: Json) -> Json:
    """Return a recurring price as a plan."""
    return blank(
        "plan",
        {name: price[name] for name in (*_SAME_IN_PLAN, *_SAME_IN_PLAN_TOO)}
        | {name: price["recurring"].get(name) for name in _RECURRING_IN_PLAN}
        | {"amount": price["unit_amount"], "amount_decimal": price["unit_amount_decimal"]},
    )


def tell_plan_updated(transaction: Transaction, old: Json, new: Json) -> None:
    """Emit ``plan.updated`` for a price that was changed, if its plan shows it."""
    before, after = plan_of(old), plan_of(new)
    if previous := previous_attributes(before, after):
        transaction.emit("plan.updated", after, previous)


def _product(transaction: Transaction, arguments: Arguments) -> str:
    from . import product  # which makes prices itself

    described = arguments.get("product_data")
    if described is not None and "product" in arguments:
        raise exclusive_parameters("product", "product_data")
    if described is not None:
        made = product.create(transaction, described, {})
    elif "product" in arguments:
        made = product.PRODUCT.referenced(transaction, arguments["product"], "product")
    else:
        raise missing_parameter("product")
    return str(made["id"])


def _check_amount(arguments: Arguments) -> None:
    if arguments.get("billing_scheme") == "tiered":
        if not arguments.get("tiers"):
            raise missing_parameter("tiers")
        if not arguments.get("tiers_mode"):
            raise missing_parameter("tiers_mode")
    elif not {"unit_amount", "unit_amount_decimal", "custom_unit_amount"} & arguments.keys():
        raise missing_parameter("unit_amount")
    if (arguments.get("unit_amount") or 0) < 0:
        raise ApiError(
            400,
            "This value must be greater than or equal to 0.",
            code="parameter_invalid_integer",
            param="unit_amount",
        )


def _tiers(given: list[Json] | None) -> list[Json] | None:
    """Return *given* as they are shown: the last one has no upper end."""
    if given is None:
        return None
    return [{**tier, "up_to": None if tier["up_to"] == "inf" else tier["up_to"]} for tier in given]


def _amounts(arguments: Arguments) -> dict[str, Any]:
    """Return the amount as Stripe tells it: in whole units if it is whole, and as a decimal."""
    exact = arguments.get("unit_amount_decimal")
    whole = arguments.get("unit_amount")
    if exact is not None:
        number = Decimal(exact)
        is_whole = number == number.to_integral_value()
        return {"unit_amount": int(number) if is_whole else None, "unit_amount_decimal": exact}
    return {"unit_amount": whole, "unit_amount_decimal": None if whole is None else str(whole)}


def _take_lookup_key(transaction: Transaction, price: Json, arguments: Arguments) -> None:
    """Make the price's key its own. Raises `ApiError` where another one has and keeps it."""
    key = price["lookup_key"]
    for other in transaction.store.everything("price") if key else ():
        if other["lookup_key"] != key or other["id"] == price["id"]:
            continue
        if not arguments.get("transfer_lookup_key"):
            raise ApiError(
                400,
                f"A price (`{other['id']}`) already uses that lookup key.",
                code="resource_already_exists",
                param="lookup_key",
            )
        PRICE.save(transaction, other, {**other, "lookup_key": None})


def _recurs(wanted: Mapping[str, Any]) -> Matcher:
    return lambda price: (
        price["recurring"] is not None and wanted.items() <= (price["recurring"].items())
    )


_CHANGEABLE = (
    "active",
    "currency_options",
    "lookup_key",
    "metadata",
    "nickname",
    "tax_behavior",
    "transfer_lookup_key",
)

OPERATIONS = (
    PRICE.creates(
        create,
        "billing_scheme",
        "currency",
        "custom_unit_amount",
        "product",
        "product_data",
        "recurring",
        "tiers",
        "tiers_mode",
        "transform_quantity",
        "unit_amount",
        "unit_amount_decimal",
        *_CHANGEABLE,
    ),
    PRICE.retrieves(),
    PRICE.updates(update, *_CHANGEABLE),
    PRICE.lists(
        "active",
        "currency",
        "product",
        "type",
        where={
            "lookup_keys": lambda keys: lambda price: price["lookup_key"] in keys,
            "recurring": _recurs,
        },
    ),
    searches(PRICE, "active", "currency", "lookup_key", "product", "type"),
)
