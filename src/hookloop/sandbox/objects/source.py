"""
Customers' cards the old way: sources, of which one is the default.

A card is a payment method of the same id too, so intents can be paid with it.
See https://docs.stripe.com/api/cards.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments, Text
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.errors import bad_reference, not_simulated
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import payment_method
from .customer_part import CustomerPart, changed_customer, living_customer

__all__ = ["OPERATIONS", "SOURCES", "added", "check_default", "create", "delete", "update"]

CARD = Resource("card", "card", "/v1/customers", events="customer.source")
SOURCES = CustomerPart(CARD, "sources")

_SAME = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")


def create(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Add a card by its token; the first one is the default."""
    customer = living_customer(transaction, path["customer"])
    made = added(transaction, customer["id"], arguments["source"])
    CARD.emit(transaction, "created", made)
    if customer["default_source"] is None:
        changed_customer(transaction, customer, default_source=made["id"])
    return made


def added(transaction: Transaction, customer: str, token: str) -> Json:
    """Return a new card of *customer*, put and not told of. Raises `ApiError`."""
    if not token.startswith("tok_"):
        if transaction.find("payment_method", token) is None:
            raise bad_reference("token", token, "source")
        raise not_simulated("a source that is no token of a card")
    method = payment_method.made(transaction, {"type": "card", "card": {"token": token}})
    card_id = transaction.new_record_id("card")
    twin = payment_method.copied(transaction, method, card_id)
    payment_method.check_attachable(transaction, twin)
    transaction.put("payment_method", {**twin, "customer": customer})
    made = CARD.new(
        transaction,
        {},
        id=card_id,
        customer=customer,
        cvc_check="pass",
        **{name: method["card"][name] for name in _SAME},
    )
    made["brand"] = _BRANDS.get(made["brand"], made["brand"].title())
    transaction.put("card", made)
    return made


def check_default(transaction: Transaction, customer: str, wanted: str | None) -> None:
    """Raise `ApiError` where *wanted* is none of the customer's cards."""
    found = transaction.find("card", wanted or "")
    if wanted is not None and (found is None or found["customer"] != customer):
        raise bad_reference("source", wanted, "default_source")


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named. Emits ``customer.source.updated``."""
    old = SOURCES.find(transaction, path)
    given = dict(arguments)
    for name in ("exp_month", "exp_year"):
        if given.get(name) is not None:
            given[name] = int(given[name])
    return CARD.save(transaction, old, applied(old, given))


def delete(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Take a card away; the newest that is left becomes the default."""
    old = SOURCES.find(transaction, path)
    customer = living_customer(transaction, path["customer"])
    transaction.remove("card", old["id"])
    method = payment_method.PAYMENT_METHOD.find(transaction, old["id"])
    transaction.put("payment_method", {**method, "customer": None})
    CARD.emit(transaction, "deleted", old)
    if customer["default_source"] == old["id"]:
        page = SOURCES.page(transaction, {"limit": 2}, customer["id"])["data"]
        left = [card["id"] for card in page if card["id"] != old["id"]]
        changed_customer(transaction, customer, default_source=left[0] if left else None)
    return {"id": old["id"], "object": "card", "deleted": True}


_BRANDS = {"amex": "American Express", "mastercard": "MasterCard", "jcb": "JCB"}

OPERATIONS = (
    simulated(
        "POST", SOURCES.url, create, "validate", source=Text(required=True, unsettable=False)
    ),
    SOURCES.retrieves(),
    SOURCES.lists(),
    simulated(
        "POST",
        f"{SOURCES.url}/{{id}}",
        update,
        "address_city",
        "address_country",
        "address_line1",
        "address_line2",
        "address_state",
        "address_zip",
        "exp_month",
        "exp_year",
        "metadata",
        "name",
    ),
    simulated("DELETE", f"{SOURCES.url}/{{id}}", delete),
)
