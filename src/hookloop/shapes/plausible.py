"""What a field of a given name probably holds: the guesses that make an object realistic."""

__all__ = [
    "DAY_SECONDS",
    "FILLED_LISTS",
    "HAPPY_FLAGS",
    "USUALLY_SET",
    "is_amount",
    "is_time",
    "preferred_word",
    "small_number",
    "text_of",
    "time_offset",
]

DAY_SECONDS = 86_400

USUALLY_SET = frozenset(
    {
        "account",
        "amount",
        "balance",
        "balance_transaction",
        "billing_reason",
        "billing_details",
        "charge",
        "cancellation_details",
        "client_secret",
        "country",
        "currency",
        "customer",
        "delinquent",
        "email",
        "exp_month",
        "exp_year",
        "fingerprint",
        "hosted_invoice_url",
        "invoice_pdf",
        "last4",
        "latest_charge",
        "latest_invoice",
        "name",
        "number",
        "payment_intent",
        "payment_method",
        "payment_method_details",
        "price",
        "quantity",
        "recurring",
        "status",
        "status_transitions",
        "type",
        "unit_amount",
        "url",
    }
)
"""Fields that may be null and in practice hardly ever are."""

HAPPY_FLAGS = frozenset(
    {
        "active",
        "approved",
        "attempted",
        "cancelable",
        "captured",
        "charges_enabled",
        "details_submitted",
        "discountable",
        "eligible",
        "paid",
        "payouts_enabled",
        "requested",
        "supported",
    }
)

FILLED_LISTS = frozenset({"available", "items", "lines", "pending", "phases"})
"""Lists an object makes no sense without; others are empty."""

_PREFERRED_WORDS = (
    "card",
    "active",
    "succeeded",
    "paid",
    "open",
    "complete",
    "completed",
    "available",
    "posted",
    "verified",
    "needs_response",
    "charge_automatically",
    "subscription_cycle",
    "recurring",
    "month",
    "payment",
    "automatic",
    "enabled",
    "individual",
    "visa",
    "US",
    "usd",
)

_NO_AMOUNTS = frozenset(
    {
        "amount_capturable",
        "amount_discount",
        "amount_fees",
        "amount_overpaid",
        "amount_refunded",
        "amount_remaining",
        "amount_reversed",
        "amount_returned",
        "amount_shipping",
        "amount_tax",
        "discount_amount",
        "post_payment_credit_notes_amount",
        "pre_payment_credit_notes_amount",
        "shipping_amount",
        "total_tax_amount",
    }
)
"""Amounts that are zero unless something has happened."""

_AMOUNTS = frozenset({"subtotal", "total", "net", "unit_cost", "amount", "value"})

_SMALL_NUMBERS = {
    "attempt_count": 1,
    "count": 1,
    "day_of_month": 1,
    "days_after_charge": 7,
    "divide_by": 1,
    "exp_month": 12,
    "exp_year": 2034,
    "interval_count": 1,
    "percent_off": 25,
    "percentage": 20,
    "quantity": 1,
    "size": 1024,
    "version": 1,
}

_TIMES = frozenset(
    {
        "as_of",
        "billing_cycle_anchor",
        "created",
        "date",
        "end",
        "release_after",
        "start",
        "timestamp",
        "updated",
    }
)
_TIME_ENDS = ("_at", "_on", "_date", "_end", "_start", "_time", "_timestamp", "_until", "_after")

_TEXTS = {
    "account_holder_name": "Jenny Rosen",
    "accept_header": "text/html",
    "bank_name": "STRIPE TEST BANK",
    "brand": "visa",
    "city": "San Francisco",
    "code": "sample_code",
    "country": "US",
    "currency": "usd",
    "description": "(created by hookloop)",
    "display_name": "Jenny Rosen",
    "email": "jenny.rosen@example.com",
    "email_sent_to": "jenny.rosen@example.com",
    "funding": "credit",
    "interval": "month",
    "ip_address": "192.0.2.1",
    "last4": "4242",
    "line1": "354 Oyster Point Blvd",
    "name": "Jenny Rosen",
    "number": "ABCD1234-0001",
    "phone": "+15555550100",
    "postal_code": "94080",
    "routing_number": "110000000",
    "state": "CA",
    "status": "pending",
    "timezone": "Etc/UTC",
    "type": "card",
}


def preferred_word(words: tuple[str, ...]) -> str:
    """Return the likeliest of *words*."""
    return next((word for word in _PREFERRED_WORDS if word in words), words[0])


def is_time(name: str) -> bool:
    """Say whether an integer called *name* is a time in Unix seconds."""
    return name in _TIMES or name.endswith(_TIME_ENDS)


def time_offset(name: str) -> int:
    """Return how many seconds after the event the time called *name* is; below 0 for before."""
    if name == "end" or name.endswith(("_end", "end_date")):
        return 30 * DAY_SECONDS
    if name.startswith("expire") or name.endswith(("_until", "_after")):
        return DAY_SECONDS
    return 0


def is_amount(name: str) -> bool:
    """Say whether an integer called *name* is money, in the currency's smallest unit."""
    return (
        name in _AMOUNTS or name.startswith("amount_") or name.endswith("_amount")
    ) and name not in _NO_AMOUNTS


def small_number(name: str) -> int:
    """Return the value of an integer that is neither a time nor an amount."""
    return _SMALL_NUMBERS.get(name, 0)


def text_of(name: str, serial: str) -> str:
    """Return the text of a field called *name*; *serial* is what makes it unlike others."""
    if name in _TEXTS:
        return _TEXTS[name]
    if name.endswith("currency"):
        return "usd"
    if name.endswith("email"):
        return _TEXTS["email"]
    if name.endswith(("url", "pdf", "png", "svg")):
        return f"https://example.com/{name}/{serial}"
    return f"sample_{name}"
