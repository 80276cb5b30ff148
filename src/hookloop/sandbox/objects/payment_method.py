"""
Payment methods: what a customer pays with. See https://docs.stripe.com/api/payment_methods.

What a test card does when it is charged is no part of the object: it is kept beside it.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hookloop.ids import ALPHABET
from hookloop.sandbox.arguments import Arguments, Choice, Hash, Integer, ListOf, Text
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.errors import (
    ApiError,
    bad_reference,
    card_error,
    invalid_parameter,
    missing_parameter,
    no_such_object,
    not_simulated,
)
from hookloop.sandbox.instruments import (
    Card,
    Decline,
    card_by_name,
    card_by_number,
    is_luhn_valid,
)
from hookloop.sandbox.pagination import list_page
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

__all__ = [
    "DATA_FIELD",
    "OPERATIONS",
    "PAYMENT_METHOD",
    "TYPES_FIELD",
    "attached",
    "card_of",
    "check_attachable",
    "check_usable",
    "copied",
    "instrument_of",
    "made",
    "resolved",
    "set_up",
    "spent",
]

PAYMENT_METHOD = Resource("payment_method", "pm", "/v1/payment_methods")

INSTRUMENT = "instrument"
"""The kind under which what a payment method really is stands, by the payment method's id."""

CHECKS = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}

INCORRECT_NUMBER = Decline("incorrect_number", "Your card number is incorrect.")
EXPIRED_YEAR = Decline("invalid_expiry_year", "Your card's expiration year is invalid.")
EXPIRED_MONTH = Decline("invalid_expiry_month", "Your card's expiration month is invalid.")


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Make a payment method of a card, a token, a bank account; no event tells of it."""
    if "type" not in arguments:
        raise missing_parameter("type")
    return made(transaction, arguments)


def made(transaction: Transaction, given: Arguments) -> Json:
    """Return a new payment method as *given* describes it, put. Raises `ApiError`."""
    kind = given["type"]
    details = given.get(kind) or {}
    instrument: Json = {"type": kind}
    if kind == "card":
        card, shown = _card(transaction, details)
        instrument["number"] = card.number
    elif kind not in _TYPES:
        raise not_simulated(f"payment methods of the type {kind}")
    else:
        shown, number = _other(kind, details)
        instrument["number"] = number
    method = PAYMENT_METHOD.new(
        transaction,
        {name: given[name] for name in ("allow_redisplay", "metadata") if name in given},
        billing_details=_billing_details(given),
        type=kind,
        **{kind: shown},
    )
    return _put(transaction, method, instrument)


def resolved(transaction: Transaction, wanted: str, param: str) -> Json:
    """Return the payment method *wanted*, a new one for ``pm_card_visa``. Raises `ApiError`."""
    card = card_by_name(wanted) if wanted.startswith("pm_card_") else None
    if card is None:
        return PAYMENT_METHOD.referenced(transaction, wanted, param)
    method = PAYMENT_METHOD.new(
        transaction,
        {},
        allow_redisplay="unspecified",
        billing_details=_billing_details({}),
        type="card",
        card=_shown(transaction, card),
    )
    return _put(transaction, method, {"type": "card", "number": card.number})


def instrument_of(transaction: Transaction, method: Json) -> Json:
    """Return what stands beside *method*: its number, and whether it was set up."""
    found = transaction.find(INSTRUMENT, method["id"])
    assert found is not None, "every payment method has one"  # noqa: S101
    return found


def card_of(transaction: Transaction, method: Json) -> Card:
    """Return the test card that *method* stands for."""
    return card_by_number(str(instrument_of(transaction, method)["number"]))


def check_usable(transaction: Transaction, method: Json) -> None:
    """Raise `ApiError` where *method* was used up."""
    if instrument_of(transaction, method).get("is_spent"):
        raise ApiError(
            400,
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer "
            "attachment, shared with a connected account without Customer attachment, or was "
            "detached from a Customer. It may not be used again. To use a PaymentMethod multiple "
            "times, you must attach it to a Customer first.",
        )


def set_up(transaction: Transaction, method: Json) -> None:
    """Let *method* be charged from now on without its holder."""
    _mark(transaction, method, is_set_up=True)


def spent(transaction: Transaction, method: Json) -> None:
    """Let *method* not be used again, unless it belongs to a customer."""
    if method["customer"] is None:
        _mark(transaction, method, is_spent=True)


# What belongs to customers


def attach(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Keep a payment method for a customer. Emits ``payment_method.attached``."""
    if card_by_name(path["id"]) is None:
        PAYMENT_METHOD.find(transaction, path["id"])
    method = resolved(transaction, path["id"], "id")
    customer = arguments.get("customer")
    if customer is None:
        raise missing_parameter("customer")
    found = transaction.find("customer", customer)
    if found is None or found.get("deleted"):
        raise bad_reference("customer", customer, "customer")
    return attached(transaction, method, customer)


def attached(transaction: Transaction, method: Json, customer: str) -> Json:
    """Return *method* as *customer*'s, and tell of it. Raises `ApiError`."""
    if method["customer"] == customer:
        return method
    if method["customer"] is not None:
        raise ApiError(
            400,
            "The payment method you provided has already been attached to a customer.",
            code="resource_already_exists",
        )
    check_usable(transaction, method)
    check_attachable(transaction, method)
    new = {**method, "customer": customer}
    return PAYMENT_METHOD.save(transaction, method, new, "attached")


def check_attachable(transaction: Transaction, method: Json) -> None:
    """Raise `ApiError` where the bank does not let a card be kept."""
    if method["type"] == "card":
        card = card_of(transaction, method)
        if card.decline is not None and not card.attaches:
            raise card_error(card.decline)


def copied(transaction: Transaction, method: Json, id_: str) -> Json:
    """Return *method* under another id, put."""
    return _put(transaction, {**method, "id": id_}, instrument_of(transaction, method))


def detach(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Take a payment method from its customer, for good. Emits ``payment_method.detached``."""
    old = PAYMENT_METHOD.find(transaction, path["id"])
    if old["customer"] is None:
        raise ApiError(
            400,
            "The payment method you provided is not attached to a customer so detachment is "
            "impossible.",
        )
    new = {**old, "customer": None}
    transaction.put("payment_method", new)
    _mark(transaction, new, is_spent=True)
    PAYMENT_METHOD.emit(transaction, "detached", new, {"customer": old["customer"]})
    return new


def list_of_customer(
    transaction: Transaction, arguments: Arguments, path: Mapping[str, str]
) -> Json:
    """Return a page of a customer's payment methods."""
    _check_customer(transaction, path["customer"])
    wanted = {name: arguments[name] for name in ("type", "allow_redisplay") if name in arguments}
    wanted["customer"] = path["customer"]
    return list_page(
        transaction.store,
        "payment_method",
        arguments,
        url=f"/v1/customers/{path['customer']}/payment_methods",
        matches=lambda method: wanted.items() <= method.items(),
    )


def retrieve_of_customer(
    transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]
) -> Json:
    """Return one of a customer's payment methods."""
    _check_customer(transaction, path["customer"])
    method = transaction.find("payment_method", path["id"])
    if method is None or method["customer"] != path["customer"]:
        raise no_such_object("payment_method", path["id"])
    return method


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named; only one that belongs to a customer can be changed."""
    old = PAYMENT_METHOD.find(transaction, path["id"])
    if old["customer"] is None:
        raise ApiError(
            400,
            "You must save this PaymentMethod to a customer before you can update it.",
        )
    new = PAYMENT_METHOD.changed(old, arguments)
    return PAYMENT_METHOD.save(transaction, old, new)


def _check_customer(transaction: Transaction, wanted: str) -> None:
    found = transaction.find("customer", wanted)
    if found is None or found.get("deleted"):
        raise no_such_object("customer", wanted)


# What is shown


def _put(transaction: Transaction, method: Json, instrument: Json) -> Json:
    transaction.put("payment_method", method)
    transaction.put(INSTRUMENT, {**instrument, "id": method["id"]})
    return method


def _mark(transaction: Transaction, method: Json, **marks: bool) -> None:
    transaction.put(INSTRUMENT, {**instrument_of(transaction, method), **marks})


def _billing_details(given: Arguments) -> Json:
    details = given.get("billing_details") or {}
    address = {**dict.fromkeys(_ADDRESS), **(details.get("address") or {})}
    return {"email": None, "name": None, "phone": None, "tax_id": None, **details} | {
        "address": address
    }


_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def _card(transaction: Transaction, details: Mapping[str, Any]) -> tuple[Card, Json]:
    token = details.get("token")
    if token is not None:
        card = card_by_name(token) if token.startswith("tok_") else None
        if card is None:
            raise bad_reference("token", token, "card[token]")
        return card, _shown(transaction, card)
    number = (details.get("number") or "").replace(" ", "").replace("-", "")
    if not number:
        raise missing_parameter("card[number]")
    if not is_luhn_valid(number):
        raise card_error(INCORRECT_NUMBER)
    now = datetime.fromtimestamp(transaction.now, UTC)
    month, year = details.get("exp_month"), details.get("exp_year")
    if month is None or year is None:
        raise missing_parameter("card[exp_month]" if month is None else "card[exp_year]")
    year = year + 2000 if year < 100 else year
    if not 1 <= month <= 12:
        raise card_error(EXPIRED_MONTH)
    if not (now.year, now.month) <= (year, month) <= (now.year + 50, 12):
        raise card_error(EXPIRED_YEAR)
    card = card_by_number(number)
    return card, _shown(transaction, card, month=month, year=year)


def _shown(
    transaction: Transaction, card: Card, *, month: int = 12, year: int | None = None
) -> Json:
    year = year or datetime.fromtimestamp(transaction.now, UTC).year + 1
    digest = hashlib.sha256(transaction.account.digest + card.number.encode()).digest()
    return {
        "brand": card.brand,
        "checks": dict(CHECKS),
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": month,
        "exp_year": year,
        "fingerprint": "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:16]),
        "funding": card.funding,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
    }


def _other(kind: str, details: Mapping[str, Any]) -> tuple[Json, str | None]:
    """Return what another type than a card shows, and the number that decides its fate."""
    if kind == "sepa_debit":
        iban = (details.get("iban") or "").replace(" ", "").upper()
        if len(iban) < 15:
            raise invalid_parameter("The IBAN you provided is invalid.", "sepa_debit[iban]")
        shown = {"bank_code": iban[4:12], "country": iban[:2], "last4": iban[-4:]}
        return {**shown, "branch_code": "", "fingerprint": iban[-16:]}, iban
    if kind == "us_bank_account":
        number = details.get("account_number")
        if not number:
            raise missing_parameter("us_bank_account[account_number]")
        holder = details.get("account_holder_type", "individual")
        kept = {"routing_number": details.get("routing_number"), "account_holder_type": holder}
        shown = {**kept, "account_type": details.get("account_type", "checking")}
        return {**shown, "bank_name": "STRIPE TEST BANK", "last4": number[-4:]}, number
    return {name: value for name, value in details.items() if isinstance(value, str)}, None


_TYPES = (
    "acss_debit",
    "affirm",
    "afterpay_clearpay",
    "alipay",
    "alma",
    "amazon_pay",
    "au_becs_debit",
    "bacs_debit",
    "bancontact",
    "blik",
    "boleto",
    "card",
    "cashapp",
    "eps",
    "giropay",
    "grabpay",
    "ideal",
    "klarna",
    "konbini",
    "link",
    "mobilepay",
    "multibanco",
    "oxxo",
    "p24",
    "paynow",
    "paypal",
    "pix",
    "promptpay",
    "revolut_pay",
    "sepa_debit",
    "sofort",
    "swish",
    "twint",
    "us_bank_account",
    "wechat_pay",
    "zip",
)

_LINES = ("city", "country", "line1", "line2", "postal_code", "state")

DATA_FIELD = Hash(
    {
        "type": Choice(("card", "sepa_debit"), required=True),
        "card": Hash(
            {
                "number": Text(),
                "exp_month": Integer(),
                "exp_year": Integer(),
                "cvc": Text(),
                "token": Text(),
            }
        ),
        "sepa_debit": Hash({"iban": Text()}),
        "billing_details": Hash(
            {
                "address": Hash({name: Text() for name in _LINES}),
                "email": Text(),
                "name": Text(),
                "phone": Text(),
            }
        ),
    }
)
"""A payment method as the form of a page describes it."""

TYPES_FIELD = ListOf(Choice((*_TYPES, "customer_balance")), items_max=len(_TYPES) + 1)
"""``payment_method_types``, as ``allowed_payment_method_types`` was called before 2026-10."""

OPERATIONS = (
    PAYMENT_METHOD.creates(
        create, "allow_redisplay", "billing_details", "metadata", "type", *_TYPES
    ),
    PAYMENT_METHOD.retrieves(),
    PAYMENT_METHOD.updates(update, "allow_redisplay", "billing_details", "card", "metadata"),
    PAYMENT_METHOD.lists("allow_redisplay", "customer", "type"),
    PAYMENT_METHOD.acts("attach", attach, customer=Text(unsettable=False)),
    PAYMENT_METHOD.acts("detach", detach),
    simulated(
        "GET",
        "/v1/customers/{customer}/payment_methods",
        list_of_customer,
        "allow_redisplay",
        "type",
    ),
    simulated("GET", "/v1/customers/{customer}/payment_methods/{id}", retrieve_of_customer),
)
