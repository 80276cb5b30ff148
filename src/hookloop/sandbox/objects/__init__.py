"""The objects of the API, a file each; this joins what they offer."""

from hookloop.sandbox.expansion import Expanders
from hookloop.sandbox.operation import Operation

from . import (
    coupon,
    customer,
    event,
    plan,
    price,
    product,
    promotion_code,
    tax_rate,
    webhook_endpoint,
)

__all__ = ["EXPANDERS", "OPERATIONS"]

_OBJECTS = (
    coupon,
    customer,
    event,
    plan,
    price,
    product,
    promotion_code,
    tax_rate,
    webhook_endpoint,
)

OPERATIONS: tuple[Operation, ...] = tuple(
    operation for one in _OBJECTS for operation in one.OPERATIONS
)

EXPANDERS: Expanders = {**customer.EXPANDERS}
