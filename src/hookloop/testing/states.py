"""What a type of event says about the object in it: an invoice that was paid owes nothing."""

from hookloop.shapes.object_shape import Choice, shape_of
from hookloop.shapes.package import object_name
from hookloop.shapes.sample import Json

__all__ = ["settle"]

# The last word of a type, and the statuses it may stand for, the likeliest first. Where none
# fits, the last word itself is tried before anything else.
_STATUSES: dict[str, tuple[str, ...]] = {
    "action_required": ("requires_action",),
    "active": ("active",),
    "amount_capturable_updated": ("requires_capture",),
    "completed": ("complete",),
    "created": ("draft", "active", "requires_payment_method", "needs_response", "open", "pending"),
    "deleted": ("canceled", "inactive", "draft"),
    "closed": ("won", "closed"),
    "finalization_failed": ("draft",),
    "finalized": ("open",),
    "marked_uncollectible": ("uncollectible",),
    "payment_action_required": ("open", "requires_action"),
    "payment_failed": ("open", "requires_payment_method"),
    "payment_succeeded": ("paid", "succeeded"),
    "pending": ("pending",),
    "requires_action": ("requires_action",),
    "sent": ("open",),
    "setup_failed": ("requires_payment_method",),
    "trial_will_end": ("trialing",),
    "upcoming": ("draft",),
    "voided": ("void",),
    "will_be_due": ("open",),
    "overdue": ("open",),
}


def settle(event_type: str, object_: Json, class_: type) -> None:
    """Change *object_*, a sample of *class_*, to what an event of *event_type* would carry."""
    last = event_type.rpartition(".")[2]
    _settle_status(last, object_, class_)
    match object_name(class_):
        case "invoice":
            _settle_invoice(last, object_)
        case "charge":
            _settle_charge(last, object_)
        case "subscription" if object_["status"] == "canceled":
            object_.update(canceled_at=object_["created"], ended_at=object_["created"])
        case "payment_intent":
            is_paid = object_["status"] == "succeeded"
            object_["amount_received"] = object_["amount"] if is_paid else 0
            is_held = object_["status"] == "requires_capture"
            object_["amount_capturable"] = object_["amount"] if is_held else 0


def _settle_status(last: str, object_: Json, class_: type) -> None:
    field = shape_of(class_).fields.get("status")
    if field is None:
        return
    likely = (last, *_STATUSES.get(last, ()))
    if isinstance(field.kind, Choice):
        words = field.kind.words
        object_["status"] = next((word for word in likely if word in words), object_["status"])
    elif last in ("succeeded", "failed", "pending", "canceled"):
        object_["status"] = last


def _settle_invoice(last: str, invoice: Json) -> None:
    if invoice["status"] != "paid":
        invoice["amount_paid"] = 0
        invoice["amount_remaining"] = invoice["amount_due"]
    if invoice["status"] == "draft":
        invoice.update(number=None, hosted_invoice_url=None, invoice_pdf=None)
    at = invoice["created"]
    invoice["status_transitions"].update(
        finalized_at=None if invoice["status"] == "draft" else at,
        paid_at=at if invoice["status"] == "paid" else None,
        voided_at=at if invoice["status"] == "void" else None,
    )
    invoice["attempted"] = invoice["status"] == "paid" or last == "payment_failed"
    invoice["attempt_count"] = int(invoice["attempted"])


def _settle_charge(last: str, charge: Json) -> None:
    is_refunded = last == "refunded"
    is_good = last not in ("failed", "pending", "expired")
    charge.update(
        paid=is_good,
        captured=is_good,
        refunded=is_refunded,
        amount_captured=charge["amount"] if is_good else 0,
        amount_refunded=charge["amount"] if is_refunded else 0,
    )
    if last == "failed":
        charge.update(failure_code="card_declined", failure_message="Your card was declined.")
