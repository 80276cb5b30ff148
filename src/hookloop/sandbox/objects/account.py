"""
The account itself, as whoever holds its key sees it. See https://docs.stripe.com/api/accounts.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction
from hookloop.shapes.blank import blank

__all__ = ["OPERATIONS", "retrieve"]


def retrieve(transaction: Transaction, _arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Return the account of the key: one that may do everything."""
    return blank(
        "account",
        {
            "id": transaction.account.account_id,
            "charges_enabled": True,
            "country": "US",
            "default_currency": "usd",
            "details_submitted": True,
            "payouts_enabled": True,
            "type": "standard",
        },
    )


OPERATIONS = (simulated("GET", "/v1/account", retrieve),)
