"""
Checkout sessions: a page of the sandbox's on which a customer pays or keeps a card.

See https://docs.stripe.com/api/checkout/sessions. The page is `hookloop.sandbox.pages`; it
confirms by the call that Stripe's own page makes.
"""

from collections.abc import Mapping
from typing import Any

from hookloop.ids import new_id
from hookloop.sandbox.arguments import Arguments, Integer, Text
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.errors import (
    ApiError,
    bad_reference,
    invalid_parameter,
    missing_parameter,
    not_simulated,
)
from hookloop.sandbox.expansion import Expanders
from hookloop.sandbox.operation import Perform
from hookloop.sandbox.pagination import LIST_FIELDS
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction
from hookloop.shapes.blank import blank

from . import coupon, customer, payment_intent, payment_method, price, setup_intent

__all__ = [
    "EXPANDERS",
    "OPERATIONS",
    "SESSION",
    "TASKS",
    "confirm",
    "create",
    "expire",
    "line_items_of",
    "payment_ended",
]

SESSION = Resource("checkout.session", "cs_test", "/v1/checkout/sessions")

ITEMS = "checkout_items"
"""The kind under which a session's line items stand, by its id."""

SESSION_OF_INTENT = "checkout_session_of_intent"
"""The kind under which an intent's session is found, by the intent's id."""

DAY_SECONDS = 24 * 3600
EXPIRY_SECONDS_MIN = 30 * 60  # These two are Stripe's.
EXPIRY_SECONDS_MAX = DAY_SECONDS


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Open a session; what it is to be paid for is fixed with it."""
    mode = arguments.get("mode", "payment")
    if mode == "subscription":
        raise not_simulated("checkout sessions of the mode subscription")
    id_ = f"cs_test_a1{new_id('', transaction.random, length=56)}"
    items = _items(transaction, arguments) if mode == "payment" else []
    totals = _totals(transaction, items, arguments)
    account = transaction.account.account_id
    session = SESSION.new(
        transaction,
        {name: value for name, value in arguments.items() if name not in _OWN},
        id=id_,
        customer=_customer(transaction, arguments),
        customer_creation=_customer_creation(mode, arguments),
        expires_at=_expires_at(transaction, arguments),
        mode=mode,
        payment_method_options=arguments.get("payment_method_options") or {},
        payment_method_types=_types(arguments),
        payment_status="no_payment_required" if mode == "setup" else "unpaid",
        status="open",
        ui_mode=arguments.get("ui_mode", "hosted_page"),
        url=f"{transaction.base_url}/c/pay/{account}/{id_}#fid",
        **totals,
    )
    if mode == "setup":
        session["setup_intent"] = _setup(transaction, session, arguments)
        session["currency"] = arguments.get("currency")
    if session["customer_email"]:
        session["customer_details"] = _details({"email": session["customer_email"]})
    intent = arguments.get("payment_intent_data") or {}
    coupons = [one["coupon"] for one in session["discounts"] or [] if one.get("coupon")]
    transaction.put(ITEMS, {"id": id_, "items": items, "intent": intent, "coupons": coupons})
    transaction.put("checkout.session", session)
    seconds = session["expires_at"] - transaction.now
    transaction.later(seconds, "checkout.session.expire", id_)
    return session


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change the metadata; nobody is told."""
    old = SESSION.find(transaction, path["id"])
    return SESSION.save(transaction, old, applied(old, arguments), None)


def expire(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Close an open session. Emits ``checkout.session.expired``."""
    old = SESSION.find(transaction, path["id"])
    if old["status"] != "open":
        raise ApiError(
            400,
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of `{old['status']}`.",
        )
    return _expired(transaction, old)


def confirm(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Pay, as the page does. Raises `ApiError` with 402 where the bank declines."""
    old = SESSION.find(transaction, path["id"])
    if old["status"] != "open":
        raise ApiError(400, f"This Checkout Session is {old['status']} and cannot be paid.")
    expected = arguments.get("expected_amount")
    if expected is not None and expected != old["amount_total"]:
        raise invalid_parameter("The amount has changed meanwhile.", "expected_amount")
    method = _method(transaction, arguments)
    session = _with_customer(transaction, old, method)
    if session["mode"] == "setup":
        setup_intent.confirm(
            transaction, {"payment_method": method["id"]}, {"id": session["setup_intent"]}
        )
        return _page(_completed(transaction, old, session))
    intent = _paid(transaction, session, method)
    session["payment_intent"] = intent["id"]
    transaction.put(SESSION_OF_INTENT, {"id": intent["id"], "session": session["id"]})
    if intent["status"] == "requires_action":
        SESSION.save(transaction, old, session, None)
        return _page(session, next_action=intent["next_action"])
    if intent["status"] == "succeeded" or intent["status"] == "requires_capture":
        session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"
    return _page(_completed(transaction, old, session))


def retrieve_page(transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Return what the page of a session shows."""
    return _page(SESSION.find(transaction, path["id"]))


def _page(session: Json, *, next_action: Json | None = None) -> Json:
    return {
        "id": session["id"],
        "object": "payment_page",
        "next_action": next_action,
        "session": session,
        "total_summary": {"due": session["amount_total"]},
    }


def payment_ended(transaction: Transaction, intent: Json) -> None:
    """Tell the session of *intent*, if there is one, that its payment has ended."""
    found = transaction.find(SESSION_OF_INTENT, intent["id"])
    if found is None:
        return
    old = SESSION.find(transaction, found["session"])
    is_paid = intent["status"] == "succeeded"
    new = {**old, "payment_status": "paid" if is_paid else "unpaid"}
    if old["status"] == "open" and is_paid:  # its customer has come back from the bank's page
        _completed(transaction, old, new)
    elif old["status"] == "complete" and old["payment_status"] == "unpaid":
        event = "async_payment_succeeded" if is_paid else "async_payment_failed"
        transaction.put("checkout.session", new)
        SESSION.emit(transaction, event, new)


def line_items_of(transaction: Transaction, session: Json) -> Json:
    """Return the list of what *session* is paid for."""
    kept = transaction.find(ITEMS, session["id"])
    return {
        "object": "list",
        "data": kept["items"] if kept else [],
        "has_more": False,
        "url": f"{SESSION.url}/{session['id']}/line_items",
    }


def list_line_items(
    transaction: Transaction, arguments: Arguments, path: Mapping[str, str]
) -> Json:
    """Return a page of what a session is paid for."""
    page = line_items_of(transaction, SESSION.find(transaction, path["session"]))
    ids = [item["id"] for item in page["data"]]
    after = arguments.get("starting_after")
    start = ids.index(after) + 1 if after in ids else 0
    limit = arguments.get("limit", 10)
    rest = page["data"][start:]
    return {**page, "data": rest[:limit], "has_more": len(rest) > limit}


# What a session is


def _items(transaction: Transaction, arguments: Arguments) -> list[Json]:
    wanted = arguments.get("line_items")
    if not wanted:
        raise missing_parameter("line_items")
    return [_item(transaction, one, index) for index, one in enumerate(wanted)]


def _item(transaction: Transaction, wanted: Mapping[str, Any], index: int) -> Json:
    param = f"line_items[{index}]"
    if "price_data" in wanted:
        found = price.create(transaction, wanted["price_data"], {})
    elif "price" in wanted:
        found = price.PRICE.referenced(transaction, wanted["price"], f"{param}[price]")
    else:
        raise missing_parameter(f"{param}[price]")
    if found["unit_amount"] is None or found["recurring"]:
        raise not_simulated(f"a {found['type']} price without a whole amount in {param}")
    quantity = wanted.get("quantity", 1)
    total = found["unit_amount"] * quantity
    product = transaction.find("product", found["product"])
    return blank(
        "item",
        {
            "id": transaction.new_record_id("li"),
            "amount_subtotal": total,
            "amount_total": total,
            "currency": found["currency"],
            "description": product and product["name"],
            "price": found,
            "quantity": quantity,
        },
    )


def _totals(transaction: Transaction, items: list[Json], arguments: Arguments) -> dict[str, Any]:
    if not items:
        return {}
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        raise ApiError(400, "All line items must have the same currency.", param="line_items")
    subtotal = sum(item["amount_subtotal"] for item in items)
    discounts = [_discount(transaction, one) for one in arguments.get("discounts") or []]
    off = sum(_off(transaction, one, subtotal) for one in discounts)
    off = min(off, subtotal)
    return {
        "amount_subtotal": subtotal,
        "amount_total": subtotal - off,
        "currency": currencies.pop(),
        "discounts": discounts or None,
        "total_details": {"amount_discount": off, "amount_shipping": 0, "amount_tax": 0},
    }


def _discount(transaction: Transaction, wanted: Mapping[str, Any]) -> Json:
    code = wanted.get("promotion_code")
    if code is None:
        found = coupon.COUPON.referenced(
            transaction, wanted.get("coupon") or "", "discounts[0][coupon]"
        )
        return {"coupon": found["id"], "promotion_code": None}
    promoted = transaction.find("promotion_code", code)
    if promoted is None or not promoted["active"]:
        raise bad_reference("promotion_code", code, "discounts[0][promotion_code]")
    return {"coupon": promoted["promotion"]["coupon"], "promotion_code": code}


def _off(transaction: Transaction, discount: Json, subtotal: int) -> int:
    found = coupon.COUPON.referenced(transaction, discount["coupon"], "discounts[0][coupon]")
    if found["amount_off"] is not None:
        return int(found["amount_off"])
    return round(subtotal * float(found["percent_off"]) / 100)


def _types(arguments: Arguments) -> list[str]:
    types = arguments.get("allowed_payment_method_types") or arguments.get("payment_method_types")
    return list(types or ["card"])


def _customer(transaction: Transaction, arguments: Arguments) -> str | None:
    wanted = arguments.get("customer")
    if wanted is not None and not transaction.find("customer", wanted):
        raise bad_reference("customer", wanted, "customer")
    return wanted


def _customer_creation(mode: str, arguments: Arguments) -> str | None:
    if mode != "payment" or "customer" in arguments:
        return None
    return str(arguments.get("customer_creation", "if_required"))


def _expires_at(transaction: Transaction, arguments: Arguments) -> int:
    wanted = int(arguments.get("expires_at", transaction.created + DAY_SECONDS))
    ahead = wanted - transaction.created
    if not EXPIRY_SECONDS_MIN <= ahead <= EXPIRY_SECONDS_MAX:
        raise invalid_parameter(
            "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from "
            "Checkout Session creation.",
            "expires_at",
        )
    return wanted


def _setup(transaction: Transaction, session: Json, arguments: Arguments) -> str:
    given = arguments.get("setup_intent_data") or {}
    kept = {name: given[name] for name in ("description", "metadata") if name in given}
    if session["customer"]:
        kept["customer"] = session["customer"]
    types = session["payment_method_types"]
    made = setup_intent.create(transaction, {**kept, "payment_method_types": types}, {})
    return str(made["id"])


# Paying


def _method(transaction: Transaction, arguments: Arguments) -> Json:
    if described := arguments.get("payment_method_data"):
        return payment_method.made(transaction, described)
    if wanted := arguments.get("payment_method"):
        return payment_method.resolved(transaction, wanted, "payment_method")
    raise missing_parameter("payment_method")


def _with_customer(transaction: Transaction, old: Json, method: Json) -> Json:
    """Return a copy of *old* that knows who pays, and has made them a customer if it is to."""
    details = {**_details(old["customer_details"] or {}), **_details(method["billing_details"])}
    if details["email"] is None and old["customer_details"]:
        details["email"] = old["customer_details"]["email"]
    session = {**old, "customer_details": details}
    keeps = transaction.find(ITEMS, old["id"])
    is_kept = keeps is not None and keeps["intent"].get("setup_future_usage")
    creates = old["customer_creation"] == "always" or (
        old["customer_creation"] == "if_required" and is_kept
    )
    if creates and old["customer"] is None:
        given = {name: details[name] for name in ("email", "name", "phone") if details[name]}
        session["customer"] = customer.create(transaction, given, {})["id"]
    return session


def _paid(transaction: Transaction, session: Json, method: Json) -> Json:
    """Return the payment intent of *session* as far as it gets. Raises `ApiError` at a decline."""
    kept = transaction.find(ITEMS, session["id"])
    given = {**(kept["intent"] if kept else {}), "payment_method": method["id"], "confirm": True}
    given |= {"amount": session["amount_total"], "currency": session["currency"]}
    given["payment_method_types"] = session["payment_method_types"]
    if back := session["success_url"] or session["return_url"]:
        given["return_url"] = back.replace("{CHECKOUT_SESSION_ID}", session["id"])
    if session["customer"]:
        given["customer"] = session["customer"]
    return payment_intent.create_late(transaction, given)


def _completed(transaction: Transaction, old: Json, session: Json) -> Json:
    kept = transaction.find(ITEMS, session["id"])
    for used in kept["coupons"] if kept else ():
        coupon.redeemed(transaction, used, "discounts")
    new = {**session, "status": "complete", "url": None}
    return SESSION.save(transaction, old, SESSION.changed(new, {}), "completed")


def _expired(transaction: Transaction, old: Json) -> Json:
    return SESSION.save(transaction, old, {**old, "status": "expired", "url": None}, "expired")


def _expire(transaction: Transaction, session_id: str) -> None:
    old = SESSION.find(transaction, session_id)
    if old["status"] == "open":
        _expired(transaction, old)


def _details(billing: Mapping[str, Any]) -> Json:
    names = ("address", "email", "name", "phone")
    empty: Json = {
        "business_name": None,
        "individual_name": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    return {**empty, "tax_exempt": "none", **{name: billing.get(name) for name in names}}


TASKS: Mapping[str, Perform] = {"checkout.session.expire": _expire}

EXPANDERS: Expanders = {("checkout.session", "line_items"): line_items_of}

_OWN = frozenset({"customer", "discounts", "line_items", "payment_intent_data"})

_ONE = f"{SESSION.url}/{{id}}"

OPERATIONS = (
    SESSION.creates(
        create,
        "allow_promotion_codes",
        "allowed_payment_method_types",
        "billing_address_collection",
        "cancel_url",
        "client_reference_id",
        "currency",
        "customer",
        "customer_creation",
        "customer_email",
        "discounts",
        "expires_at",
        "line_items",
        "locale",
        "metadata",
        "mode",
        "payment_intent_data",
        "payment_method_options",
        "setup_intent_data",
        "submit_type",
        "success_url",
        payment_method_types=payment_method.TYPES_FIELD,
    ),
    SESSION.retrieves(),
    SESSION.updates(update, "metadata"),
    SESSION.lists("customer", "payment_intent", "status"),
    SESSION.acts("expire", expire),
    simulated("GET", f"{SESSION.url}/{{session}}/line_items", list_line_items, *LIST_FIELDS),
    # What Stripe's page calls, and its command line in the page's stead.
    simulated("GET", "/v1/payment_pages/{id}", retrieve_page),
    simulated(
        "POST",
        "/v1/payment_pages/{id}/confirm",
        confirm,
        payment_method=Text(unsettable=False),
        payment_method_data=payment_method.DATA_FIELD,
        expected_amount=Integer(minimum=0),
    ),
)
