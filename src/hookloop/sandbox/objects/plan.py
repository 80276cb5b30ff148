"""
Plans: recurring prices as the API told of them before. See https://docs.stripe.com/api/plans.

A plan is a view of the price of the same id, and a price is what is kept.
"""

from collections.abc import Mapping
from typing import Any

from hookloop.sandbox.arguments import Arguments, Text
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.errors import ApiError, no_such_object
from hookloop.sandbox.pagination import list_page
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import price, product

__all__ = ["OPERATIONS", "PLAN", "create", "delete", "list_", "retrieve", "update"]

PLAN = Resource("plan", "plan", "/v1/plans", id_length=14)

_RECURRING = ("interval", "interval_count", "meter", "trial_period_days", "usage_type")


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Make a plan, which is a recurring price, of a product that may be described with it."""
    if transaction.find("price", arguments.get("id", "")):
        raise ApiError(400, "Plan already exists.", code="resource_already_exists", param="id")
    given = arguments["product"] if arguments.get("product") else {"name": "Plan"}
    if isinstance(given, dict):
        given = product.create(transaction, given, {})["id"]
    else:
        product.PRODUCT.referenced(transaction, given, "product")
    amount = arguments.get("amount")
    recurring: dict[str, Any] = {"interval_count": 1, "usage_type": "licensed"}
    recurring |= {name: arguments[name] for name in _RECURRING if name in arguments}
    made = price.PRICE.new(
        transaction,
        arguments,
        id=arguments.get("id") or PLAN.new_id(transaction),
        active=arguments.get("active", True),
        billing_scheme=arguments.get("billing_scheme", "per_unit"),
        currency=arguments["currency"].lower(),
        product=given,
        recurring=recurring,
        tax_behavior="unspecified",
        type="recurring",
        unit_amount=amount,
        unit_amount_decimal=None if amount is None else str(amount),
    )
    return price.plan_of(price.save_new(transaction, made))


def retrieve(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Return a plan."""
    return price.plan_of(_price(transaction, path["id"]))


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named."""
    old = _price(transaction, path["id"])
    new = applied(old, arguments)
    if new != old:
        price.tell_plan_updated(transaction, old, new)
    return price.plan_of(price.PRICE.save(transaction, old, new))


def delete(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Delete for good; subscriptions would keep it."""
    old = _price(transaction, path["id"])
    transaction.remove("price", old["id"])
    transaction.emit("plan.deleted", price.plan_of(old))
    transaction.emit("price.deleted", old)
    return {"id": old["id"], "object": "plan", "deleted": True}


def list_(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Return a page of plans, newest first."""
    created = arguments.get("created")

    def matches(found: Json) -> bool:
        return (
            found["recurring"] is not None
            and (created is None or found["created"] in created)
            and all(found[name] == arguments[name] for name in filters)
        )

    filters = [name for name in ("active", "product") if name in arguments]
    page = list_page(transaction.store, "price", arguments, url=PLAN.url, matches=matches)
    return {**page, "data": [price.plan_of(found) for found in page["data"]]}


def _price(transaction: Transaction, wanted: str) -> Json:
    found = transaction.find("price", wanted)
    if found is None or not found["recurring"]:
        raise no_such_object("plan", wanted)
    return found


OPERATIONS = (
    PLAN.creates(
        create,
        "active",
        "amount",
        "billing_scheme",
        "currency",
        "interval",
        "interval_count",
        "metadata",
        "nickname",
        "product",
        "trial_period_days",
        "usage_type",
        id=Text(chars_max=255, unsettable=False),
    ),
    simulated("GET", f"{PLAN.url}/{{id}}", retrieve),
    PLAN.updates(update, "active", "metadata", "nickname"),
    simulated("DELETE", f"{PLAN.url}/{{id}}", delete),
    simulated("GET", PLAN.url, list_, "active", "product"),
)
