"""The objects of the API, a file each; this joins what they offer."""

from hookloop.sandbox.expansion import Expanders
from hookloop.sandbox.operation import Operation

from . import customer, event, webhook_endpoint

__all__ = ["EXPANDERS", "OPERATIONS"]

OPERATIONS: tuple[Operation, ...] = (
    *customer.OPERATIONS,
    *event.OPERATIONS,
    *webhook_endpoint.OPERATIONS,
)

EXPANDERS: Expanders = {**customer.EXPANDERS}
