"""
Customers' tax ids. See https://docs.stripe.com/api/tax_ids.

A European one is verified a moment later: ``000000000`` in it is found, ``111111111`` is not,
and about ``222222222`` nobody answers, as in Stripe's test mode.
"""

from collections.abc import Mapping, Sequence

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.operation import Perform
from hookloop.sandbox.payment import SOON_SECONDS
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from .customer_part import CustomerPart, living_customer

__all__ = ["OPERATIONS", "TASKS", "TAX_IDS", "add_all", "create", "delete"]

TAX_ID = Resource("tax_id", "txi", "/v1/tax_ids", events="customer.tax_id")
TAX_IDS = CustomerPart(TAX_ID, "tax_ids")

VERIFIED_TYPES = frozenset({"au_abn", "eu_vat", "gb_vat"})

_UNANSWERED, _UNKNOWN = "222222222", "111111111"


def create(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Add a tax id to a customer."""
    customer = living_customer(transaction, path["customer"])
    kind, value = arguments["type"], arguments["value"]
    is_verified = kind in VERIFIED_TYPES
    made = TAX_ID.new(
        transaction,
        {},
        country=value[:2] if kind == "eu_vat" else kind[:2].upper(),
        customer=customer["id"],
        owner={"type": "customer", "customer": customer["id"]},
        type=kind,
        value=value,
        verification=_verification("pending" if is_verified else "unavailable"),
    )
    if is_verified:
        transaction.later(SOON_SECONDS, "tax_id.verify", made["id"])
    return TAX_ID.save_new(transaction, made)


def add_all(transaction: Transaction, customer: str, given: Sequence[Arguments]) -> None:
    """Add the tax ids a customer is made with."""
    for one in given:
        create(transaction, one, {"customer": customer})


def delete(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Take a tax id away. Emits ``customer.tax_id.deleted``."""
    old = TAX_IDS.find(transaction, path)
    transaction.remove("tax_id", old["id"])
    TAX_ID.emit(transaction, "deleted", old)
    return {"id": old["id"], "object": "tax_id", "deleted": True}


def _verification(status: str) -> Json:
    is_found = status == "verified"
    return {
        "status": status,
        "verified_address": "123 TEST STREET" if is_found else None,
        "verified_name": "TEST" if is_found else None,
    }


def _verify(transaction: Transaction, tax_id: str) -> None:
    old = transaction.find("tax_id", tax_id)
    if old is None or _UNANSWERED in old["value"]:
        return
    status = "unverified" if _UNKNOWN in old["value"] else "verified"
    TAX_ID.save(transaction, old, {**old, "verification": _verification(status)})


TASKS: Mapping[str, Perform] = {"tax_id.verify": _verify}

OPERATIONS = (
    simulated("POST", TAX_IDS.url, create, "type", "value"),
    TAX_IDS.retrieves(),
    TAX_IDS.lists(),
    simulated("DELETE", f"{TAX_IDS.url}/{{id}}", delete),
)
