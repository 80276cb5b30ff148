"""
Tax rates: a percentage and what it is called. See https://docs.stripe.com/api/tax_rates.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

__all__ = ["OPERATIONS", "TAX_RATE", "create"]

TAX_RATE = Resource("tax_rate", "txr", "/v1/tax_rates")


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Make a rate."""
    rate = TAX_RATE.new(
        transaction,
        arguments,
        active=arguments.get("active", True),
        effective_percentage=arguments["percentage"],
        rate_type="percentage",
    )
    return TAX_RATE.save_new(transaction, rate)


_CHANGEABLE = (
    "active",
    "country",
    "description",
    "display_name",
    "jurisdiction",
    "metadata",
    "state",
    "tax_type",
)

OPERATIONS = (
    TAX_RATE.creates(create, "inclusive", "percentage", *_CHANGEABLE),
    TAX_RATE.retrieves(),
    TAX_RATE.updates(None, *_CHANGEABLE),
    TAX_RATE.lists("active", "inclusive"),
)
