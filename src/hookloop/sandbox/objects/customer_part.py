"""
What belongs to a customer and stands below their URL: found there, listed there, told of.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.declared import simulated
from hookloop.sandbox.difference import previous_attributes
from hookloop.sandbox.errors import no_such_object
from hookloop.sandbox.operation import Operation
from hookloop.sandbox.pagination import list_page
from hookloop.sandbox.resource import Resource
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

__all__ = ["CustomerPart", "changed_customer", "living_customer"]


@dataclass(frozen=True, slots=True)
class CustomerPart:
    """One kind of object below ``/v1/customers/{customer}/``."""

    resource: Resource
    name: str
    """The last word of the URL: ``tax_ids``."""

    @property
    def url(self) -> str:
        return f"/v1/customers/{{customer}}/{self.name}"

    def find(self, transaction: Transaction, path: Mapping[str, str]) -> Json:
        """Return the object the URL names. Raises `ApiError`."""
        living_customer(transaction, path["customer"])
        found = transaction.find(self.resource.kind, path["id"])
        if found is None or found["customer"] != path["customer"]:
            raise no_such_object(self.resource.kind, path["id"])
        return found

    def page(self, transaction: Transaction, arguments: Arguments, customer: str) -> Json:
        """Return a page of what belongs to *customer*."""
        return list_page(
            transaction.store,
            self.resource.kind,
            arguments,
            url=self.url.format(customer=customer),
            matches=lambda found: bool(found["customer"] == customer),
        )

    def retrieves(self) -> Operation:
        def retrieve(
            transaction: Transaction, _arguments: Arguments, path: Mapping[str, str]
        ) -> Json:
            return self.find(transaction, path)

        return simulated("GET", f"{self.url}/{{id}}", retrieve)

    def lists(self) -> Operation:
        def list_(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
            living_customer(transaction, path["customer"])
            return self.page(transaction, arguments, path["customer"])

        return simulated("GET", self.url, list_)


def living_customer(transaction: Transaction, wanted: str) -> Json:
    """Return the customer a URL names. Raises `ApiError`."""
    found = transaction.find("customer", wanted)
    if found is None or found.get("deleted"):
        raise no_such_object("customer", wanted)
    return found


def changed_customer(transaction: Transaction, old: Json, **values: object) -> Json:
    """Put *old* with *values*, and emit ``customer.updated`` if that changes anything."""
    new = {**old, **values}
    if previous := previous_attributes(old, new):
        transaction.put("customer", new)
        transaction.emit("customer.updated", new, previous)
    return new
