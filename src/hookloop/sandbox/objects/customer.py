"""
Customers: created, edited, deleted, listed, and every change told as an event.

See https://docs.stripe.com/api/customers.
"""

from collections.abc import Mapping
from typing import Any

from hookloop.sandbox.arguments import (
    Arguments,
    Boolean,
    Choice,
    Fields,
    Hash,
    Integer,
    ListOf,
    MetadataField,
    Text,
    Unsimulated,
)
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.difference import previous_attributes
from hookloop.sandbox.errors import ApiError, invalid_parameter, no_such_object
from hookloop.sandbox.expansion import Expander, Expanders
from hookloop.sandbox.metadata import merged_metadata
from hookloop.sandbox.pagination import EXPAND_FIELD, LIST_FIELDS, CreatedField, list_page
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.search import searches
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import payment_method, source, tax_id
from .customer_part import CustomerPart

__all__ = ["EXPANDERS", "OPERATIONS", "create", "delete", "list_", "retrieve", "update"]

KIND = "customer"
URL = "/v1/customers"

EMAIL_CHARS_MAX = 512  # These four are Stripe's.
NAME_CHARS_MAX = 256
BUSINESS_NAME_CHARS_MAX = 150
CUSTOM_FIELDS_MAX = 4

LOCALES_MAX = 100  # Stripe names no bound; nobody reads a hundred languages.
INVOICE_PREFIX_LENGTH = 8

ADDRESS: Fields = {
    name: Text() for name in ("city", "country", "line1", "line2", "postal_code", "state")
}

INVOICE_SETTINGS: Fields = {
    "custom_fields": ListOf(
        Hash(
            {
                "name": Text(chars_max=40, unsettable=False, required=True),
                "value": Text(chars_max=140, unsettable=False, required=True),
            },
            unsettable=False,
        ),
        items_max=CUSTOM_FIELDS_MAX,
        unsettable=True,
    ),
    "default_payment_method": Text(),
    "footer": Text(),
    "rendering_options": Hash(
        {
            "amount_tax_display": Choice(("exclude_tax", "include_inclusive_tax"), unsettable=True),
            "template": Text(),
        }
    ),
}

UPDATE_FIELDS: Fields = {
    "address": Hash(ADDRESS),
    "balance": Integer(),
    "business_name": Text(chars_max=BUSINESS_NAME_CHARS_MAX),
    "cash_balance": Unsimulated(),
    "default_source": Text(unsettable=False),
    "description": Text(),
    "email": Text(chars_max=EMAIL_CHARS_MAX),
    "expand": EXPAND_FIELD,
    "individual_name": Text(chars_max=BUSINESS_NAME_CHARS_MAX),
    "invoice_prefix": Text(chars_max=12, unsettable=False),
    "invoice_settings": Hash(INVOICE_SETTINGS, unsettable=False),
    "metadata": MetadataField(),
    "name": Text(chars_max=NAME_CHARS_MAX),
    "next_invoice_sequence": Integer(minimum=1),
    "phone": Text(),
    "preferred_locales": ListOf(Text(unsettable=False), items_max=LOCALES_MAX, unsettable=True),
    "shipping": Hash(
        {
            "address": Hash(ADDRESS, unsettable=False, required=True),
            "name": Text(unsettable=False, required=True),
            "phone": Text(),
        }
    ),
    "source": Text(unsettable=False),
    "tax": Unsimulated(),
    "tax_exempt": Choice(("none", "exempt", "reverse"), unsettable=True),
    "validate": Boolean(),  # whether to ask the bank about a source; a test card always answers
}

CREATE_FIELDS: Fields = {
    **{name: field for name, field in UPDATE_FIELDS.items() if name != "default_source"},
    "id": Text(chars_max=255, unsettable=False),
    "payment_method": Text(unsettable=False),
    "test_clock": Unsimulated(),
}

UNSET_VALUES = {"tax_exempt": "none", "preferred_locales": []}
"""What an empty string sets a field to, where that is not null."""

_NO_FIELDS = frozenset({"id", "payment_method", "tax_id_data"})

OPTIONAL = frozenset({"business_name", "individual_name"})
"""Fields that only an object which has them shows."""


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Make a customer. Emits ``customer.created``."""
    customer_id = arguments.get("id") or transaction.new_id("cus")
    if transaction.find(KIND, customer_id):
        raise ApiError(400, "Customer already exists.", code="resource_already_exists", param="id")
    blank = _blank(customer_id, transaction)
    given = {name: value for name, value in arguments.items() if name not in _NO_FIELDS}
    if wanted := arguments.get("payment_method"):
        given = _with_method(transaction, blank, given, wanted)
    card = _with_card(transaction, customer_id, given)
    customer = _changed(blank, given)
    _check_default_method(transaction, customer)
    transaction.put(KIND, customer)
    transaction.emit("customer.created", customer)
    if card is not None:
        transaction.emit("customer.source.created", card)
    tax_id.add_all(transaction, customer_id, arguments.get("tax_id_data") or ())
    return customer


def retrieve(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Return a customer; a deleted one is told as deleted, not as missing."""
    customer = transaction.find(KIND, path["id"])
    if customer is None:
        raise no_such_object(KIND, path["id"])
    return customer


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named. Emits ``customer.updated`` with the old values, if any changed."""
    old = _living(transaction, path["id"])
    given = dict(arguments)
    card = _with_card(transaction, old["id"], given)
    source.check_default(transaction, old["id"], given.get("default_source"))
    new = _changed(old, given)
    _check_default_method(transaction, new)
    if card is not None:
        transaction.emit("customer.source.created", card)
    if previous := previous_attributes(old, new):
        transaction.put(KIND, new)
        transaction.emit("customer.updated", new, previous)
    return new


def delete(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Delete for good; the id still tells that it was. Emits ``customer.deleted``."""
    customer = _living(transaction, path["id"])
    deleted = {"id": customer["id"], "object": "customer", "deleted": True}
    transaction.put(KIND, deleted)
    transaction.emit("customer.deleted", customer)
    return deleted


def list_(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Return a page of the living, newest first, filtered by ``email`` and ``created``."""
    email, created = arguments.get("email"), arguments.get("created")

    def matches(customer: Json) -> bool:
        return (email is None or customer["email"] == email) and (
            created is None or customer["created"] in created
        )

    anything = email is None and created is None
    return list_page(
        transaction.store, KIND, arguments, url=URL, matches=None if anything else matches
    )


def _with_method(
    transaction: Transaction, customer: Json, given: Arguments, wanted: str
) -> dict[str, Any]:
    """Attach the payment method *wanted*, and return *given* with its id where it named it."""
    transaction.put(KIND, customer)
    method = payment_method.resolved(transaction, wanted, "payment_method")
    method = payment_method.attached(transaction, method, customer["id"])
    settings = given.get("invoice_settings") or {}
    if settings.get("default_payment_method") == wanted:
        return {
            **given,
            "invoice_settings": {**settings, "default_payment_method": method["id"]},
        }
    return {**given}


def _with_card(transaction: Transaction, customer: str, given: dict[str, Any]) -> Json | None:
    """Return the card of *given*'s token, which it makes the default source; None without one."""
    token = given.pop("source", None)
    if token is None:
        return None
    card = source.added(transaction, customer, token)
    given["default_source"] = card["id"]
    return card


def _check_default_method(transaction: Transaction, customer: Json) -> None:
    wanted = customer["invoice_settings"]["default_payment_method"]
    found = transaction.find("payment_method", wanted or "")
    if wanted is not None and (found is None or found["customer"] != customer["id"]):
        raise invalid_parameter(
            f"The customer does not have a payment method with the ID {wanted}. The payment "
            "method must be attached to the customer.",
            "invoice_settings[default_payment_method]",
            "resource_missing",
        )


def _living(transaction: Transaction, customer_id: str) -> Json:
    customer = transaction.find(KIND, customer_id)
    if customer is None or customer.get("deleted"):
        raise no_such_object(KIND, customer_id)
    return customer


def _blank(customer_id: str, transaction: Transaction) -> Json:
    """Return a customer of whom nothing is known yet, keys in Stripe's order."""
    return {
        "id": customer_id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": transaction.created,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": transaction.new_invoice_prefix(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def _changed(old: Json, arguments: Arguments) -> Json:
    """Return *old* with *arguments* applied; *old* stays as it is."""
    new = dict(old)
    for name, value in arguments.items():
        if name in ("expand", "validate"):
            continue
        if name in OPTIONAL and value is None:
            new.pop(name, None)
        else:
            new[name] = _new_value(name, old.get(name), value)
    return new


def _new_value(name: str, old: Any, value: Any) -> Any:
    if name == "metadata":
        return merged_metadata(old, value)
    if value is None:
        return UNSET_VALUES.get(name)
    if name == "address":
        return {**(old or dict.fromkeys(ADDRESS)), **value}
    if name == "shipping":
        address = {**dict.fromkeys(ADDRESS), **value["address"]}
        return {"address": address, "name": value["name"], "phone": value.get("phone")}
    if name == "invoice_settings":
        return {**old, **_settings(value)}
    if name == "email":
        return _email(value)
    if name == "invoice_prefix":
        return _invoice_prefix(value)
    return value


def _settings(given: Arguments) -> Json:
    settings = dict(given)
    if options := settings.get("rendering_options"):
        settings["rendering_options"] = {"amount_tax_display": None, "template": None, **options}
    return settings


def _email(given: str) -> str:
    local, at, domain = given.rpartition("@")
    if not (local and at and domain) or not given.isprintable() or " " in given:
        raise invalid_parameter(f"Invalid email address: {given[:80]}", "email", "email_invalid")
    return given


def _invoice_prefix(given: str) -> str:
    if not (given.isascii() and given.isalnum() and given == given.upper()):
        raise invalid_parameter(
            "Invoice prefixes must be 1 to 12 uppercase letters or numbers.", "invoice_prefix"
        )
    return given


def _empty_list(part: str) -> Expander:
    return lambda _, customer: {
        "object": "list",
        "data": [],
        "has_more": False,
        "url": f"{URL}/{customer['id']}/{part}",
    }


def _page_of(part: CustomerPart) -> Expander:
    return lambda transaction, customer: part.page(transaction, {}, customer["id"])


EXPANDERS: Expanders = {
    (KIND, "cash_balance"): lambda _, customer: customer.get("cash_balance"),
    (KIND, "discount"): lambda _, customer: customer.get("discount"),
    (KIND, "invoice_credit_balance"): lambda *_: {},
    (KIND, "sources"): _page_of(source.SOURCES),
    (KIND, "subscriptions"): _empty_list("subscriptions"),
    (KIND, "tax"): lambda *_: {
        "automatic_tax": "unrecognized_location",
        "ip_address": None,
        "location": None,
        "provider": "stripe",
    },
    (KIND, "tax_ids"): _page_of(tax_id.TAX_IDS),
}

_ONE = f"{URL}/{{id}}"

LIST: Fields = {
    **LIST_FIELDS,
    "created": CreatedField(),
    "email": Text(chars_max=EMAIL_CHARS_MAX, unsettable=False),
    "test_clock": Unsimulated(),
}

OPERATIONS = (
    simulated("POST", URL, create, "tax_id_data", **CREATE_FIELDS),
    simulated("GET", URL, list_, **LIST),
    simulated("GET", _ONE, retrieve),
    simulated("POST", _ONE, update, **UPDATE_FIELDS),
    simulated("DELETE", _ONE, delete),
    searches(Resource(KIND, "cus", URL), "email", "name", "phone"),
)
