"""
What a customer is owed or owes, and every change of it.

See https://docs.stripe.com/api/customer_balance_transactions.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from .customer_part import CustomerPart, changed_customer, living_customer

__all__ = ["OPERATIONS", "create", "update"]

TRANSACTION = Resource("customer_balance_transaction", "cbtxn", "/v1/customers")
TRANSACTIONS = CustomerPart(TRANSACTION, "balance_transactions")


def create(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Move the balance: below zero the customer has credit. Emits ``customer.updated``."""
    customer = living_customer(transaction, path["customer"])
    balance = customer["balance"] + arguments["amount"]
    made = TRANSACTION.new(
        transaction,
        arguments,
        currency=arguments["currency"].lower(),
        customer=customer["id"],
        ending_balance=balance,
        type="adjustment",
    )
    transaction.put("customer_balance_transaction", made)
    changed_customer(
        transaction, customer, balance=balance, currency=customer["currency"] or made["currency"]
    )
    return made


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change the description or the metadata; nobody is told."""
    old = TRANSACTIONS.find(transaction, path)
    return TRANSACTION.save(transaction, old, applied(old, arguments), None)


OPERATIONS = (
    simulated("POST", TRANSACTIONS.url, create, "amount", "currency", "description", "metadata"),
    TRANSACTIONS.retrieves(),
    TRANSACTIONS.lists(),
    simulated("POST", f"{TRANSACTIONS.url}/{{id}}", update, "description", "metadata"),
)
