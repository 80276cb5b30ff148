"""The objects of the API, a file each; this joins what they offer."""

from collections.abc import Mapping

from hookloop.sandbox.expansion import Expanders
from hookloop.sandbox.operation import Operation, Perform

from . import (
    account,
    balance_transaction,
    charge,
    checkout_session,
    coupon,
    customer,
    customer_balance_transaction,
    dispute,
    event,
    payment_intent,
    payment_method,
    payout,
    plan,
    price,
    product,
    promotion_code,
    refund,
    setup_intent,
    source,
    tax_id,
    tax_rate,
    webhook_endpoint,
)

__all__ = ["EXPANDERS", "OPERATIONS", "TASKS"]

_OBJECTS = (
    account,
    balance_transaction,
    charge,
    checkout_session,
    coupon,
    customer,
    customer_balance_transaction,
    dispute,
    event,
    payment_intent,
    payment_method,
    payout,
    plan,
    price,
    product,
    promotion_code,
    refund,
    setup_intent,
    source,
    tax_id,
    tax_rate,
    webhook_endpoint,
)

OPERATIONS: tuple[Operation, ...] = tuple(
    operation for one in _OBJECTS for operation in one.OPERATIONS
)

EXPANDERS: Expanders = {
    **charge.EXPANDERS,
    **checkout_session.EXPANDERS,
    **customer.EXPANDERS,
}

TASKS: Mapping[str, Perform] = {
    name: perform
    for one in (
        balance_transaction,
        charge,
        checkout_session,
        dispute,
        payment_intent,
        payout,
        refund,
        tax_id,
    )
    for name, perform in one.TASKS.items()
}
"""What accounts do by themselves, by name."""
