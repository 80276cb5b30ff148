"""
What to do so that an event happens: a few requests, each of which may use earlier answers.

    TRIGGERS["refund.created"]    # pay by card, then refund
    ${payment_intent:id}          # in a parameter: of the step called payment_intent, its id

Nothing is faked: the event is whatever the API emits for these requests.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hookloop.errors import ConfigError

__all__ = ["TRIGGERS", "Step", "overridden", "resolved"]

_REFERENCE = re.compile(r"\$\{(\w+):([\w.]+)\}")
_OVERRIDE = re.compile(r"(\w+):([^=]+)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """One request."""

    name: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    """As a form has them: ``recurring[interval]``."""
    method: str = "POST"
    fails: bool = False
    """Whether the card is to be declined: the answer is then 402."""


def resolved(step: Step, answers: Mapping[str, Any]) -> Step:
    """Return *step* with its references replaced by what the *answers* of earlier steps say."""

    def value(match: re.Match[str]) -> str:
        found: Any = answers[match[1]]
        for name in match[2].split("."):
            found = found[int(name)] if isinstance(found, list) else found[name]
        return str(found)

    return replace(
        step,
        path=_REFERENCE.sub(value, step.path),
        params={name: _REFERENCE.sub(value, text) for name, text in step.params.items()},
    )


def overridden(steps: Sequence[Step], overrides: Sequence[str]) -> list[Step]:
    """
    Return *steps* with ``step:parameter=value`` in each of *overrides* set.

    ``metadata.key`` may stand for ``metadata[key]``. Raises `ConfigError`.
    """
    changed = {step.name: step for step in steps}
    for override in overrides:
        match = _OVERRIDE.fullmatch(override)
        if match is None:
            raise ConfigError(f"{override!r} is no override: write step:parameter=value")
        if match[1] not in changed:
            raise ConfigError(f"there is no step {match[1]!r} here; there are {', '.join(changed)}")
        first, *rest = match[2].split(".")
        name = first + "".join(f"[{part}]" for part in rest)
        step = changed[match[1]]
        changed[match[1]] = replace(step, params={**step.params, name: match[3]})
    return list(changed.values())


_NOTE = {"description": "(created by hookloop trigger)"}

_CUSTOMER = Step("customer", "/v1/customers", {"name": "Jenny Rosen", **_NOTE})
_PRODUCT = Step("product", "/v1/products", {"name": "myproduct", **_NOTE})
_MONEY = {"unit_amount": "1500", "currency": "usd", "product": "${product:id}"}
_PRICE = Step("price", "/v1/prices", _MONEY)
_PLAN = Step("price", "/v1/prices", {**_MONEY, "recurring[interval]": "month"})
_COUPON = Step("coupon", "/v1/coupons", {"percent_off": "25", "duration": "once"})
_CODE = Step("promotion_code", "/v1/promotion_codes", {"coupon": "${coupon:id}"})
_TAX = Step(
    "tax_rate",
    "/v1/tax_rates",
    {"display_name": "VAT", "percentage": "19", "inclusive": "false"},
)
_ATTACHED = Step(
    "payment_method", "/v1/payment_methods/pm_card_visa/attach", {"customer": "${customer:id}"}
)


_SOURCE = Step("source", "/v1/customers/${customer:id}/sources", {"source": "tok_visa"})
_TAX_ID = Step(
    "tax_id",
    "/v1/customers/${customer:id}/tax_ids",
    {"type": "eu_vat", "value": "DE000000000"},
)


def _pay(card: str = "pm_card_visa", *, fails: bool = False, **more: str) -> Step:
    params = {"amount": "2000", "currency": "usd", "confirm": "true", "payment_method": card}
    return Step(
        "payment_intent",
        "/v1/payment_intents",
        {**params, "payment_method_types[]": "card", **_NOTE, **more},
        fails=fails,
    )


def _pay_by_debit(iban: str) -> Step:
    data = "payment_method_data"
    return Step(
        "payment_intent",
        "/v1/payment_intents",
        {
            "amount": "2000",
            "currency": "eur",
            "confirm": "true",
            "payment_method_types[]": "sepa_debit",
            f"{data}[type]": "sepa_debit",
            f"{data}[sepa_debit][iban]": iban,
            **_NOTE,
        },
    )


def _set_up(card: str, *, fails: bool = False) -> Step:
    params = {"confirm": "true", "payment_method": card, **_NOTE}
    return Step("setup_intent", "/v1/setup_intents", params, fails=fails)


_HELD = _pay(capture_method="manual")
_CAPTURE = Step("capture", "/v1/payment_intents/${payment_intent:id}/capture")
_REFUND = Step("refund", "/v1/refunds", {"payment_intent": "${payment_intent:id}"})
_DISPUTED = (
    _pay("pm_card_createDispute"),
    Step("disputes", "/v1/disputes", {"payment_intent": "${payment_intent:id}"}, "GET"),
)
_EVIDENCE = Step(
    "dispute",
    "/v1/disputes/${disputes:data.0.id}",
    {"evidence[uncategorized_text]": "winning_evidence"},
)
_AVAILABLE = Step(
    "charge",
    "/v1/charges",
    {"amount": "5000", "currency": "usd", "source": "tok_bypassPending", **_NOTE},
)
# A refund brings a charge to the balance at once.
_FUNDED = (
    _AVAILABLE,
    Step("refund", "/v1/refunds", {"charge": "${charge:id}", "amount": "1"}),
)
_PAYOUT = Step("payout", "/v1/payouts", {"amount": "1100", "currency": "usd", **_NOTE})


_SESSION = Step(
    "checkout_session",
    "/v1/checkout/sessions",
    {
        "mode": "payment",
        "success_url": "https://example.com/success",
        "line_items[0][price]": "${price:id}",
        "line_items[0][quantity]": "2",
    },
)
_OPEN = (_PRODUCT, _PRICE, _SESSION)
_PAGE = "/v1/payment_pages/${checkout_session:id}/confirm"


def _pay_page_by_debit(iban: str) -> tuple[Step, ...]:
    data = "payment_method_data"
    session = {**_SESSION.params, "payment_method_types[]": "sepa_debit"}
    params = {f"{data}[type]": "sepa_debit", f"{data}[sepa_debit][iban]": iban}
    return (_PRODUCT, _PRICE, replace(_SESSION, params=session), Step("pay", _PAGE, params))


def _changed(made: Step, **params: str) -> Step:
    """Return the step that changes what *made* made."""
    wanted = params or {"metadata[foo]": "bar"}
    return Step("update", f"{made.path}/${{{made.name}:id}}", wanted)


def _deleted(made: Step) -> Step:
    return Step("delete", f"{made.path}/${{{made.name}:id}}", method="DELETE")


def _acted(made: Step, action: str) -> Step:
    return Step(action, f"{made.path}/${{{made.name}:id}}/{action}")


TRIGGERS: Mapping[str, Sequence[Step]] = {
    "balance.available": (_AVAILABLE,),
    "charge.captured": (_HELD, _CAPTURE),
    "charge.dispute.closed": (*_DISPUTED, _EVIDENCE),
    "charge.dispute.created": (_pay("pm_card_createDispute"),),
    "charge.dispute.funds_reinstated": (*_DISPUTED, _EVIDENCE),
    "charge.dispute.funds_withdrawn": (_pay("pm_card_createDispute"),),
    "charge.dispute.updated": (*_DISPUTED, _EVIDENCE),
    "charge.failed": (_pay("pm_card_chargeDeclined", fails=True),),
    "charge.pending": (_pay_by_debit("AT611904300234573201"),),
    "charge.refund.updated": (_pay(), _REFUND),
    "charge.refunded": (_pay(), _REFUND),
    "charge.succeeded": (_pay(),),
    "charge.updated": (_pay(),),
    "checkout.session.async_payment_failed": _pay_page_by_debit("IT60X0542811101000000123456"),
    "checkout.session.async_payment_succeeded": _pay_page_by_debit("AT611904300234573201"),
    "checkout.session.completed": (*_OPEN, Step("pay", _PAGE, {"payment_method": "pm_card_visa"})),
    "checkout.session.expired": (
        *_OPEN,
        Step("expire", "/v1/checkout/sessions/${checkout_session:id}/expire"),
    ),
    "coupon.created": (_COUPON,),
    "coupon.deleted": (_COUPON, _deleted(_COUPON)),
    "coupon.updated": (_COUPON, _changed(_COUPON)),
    "customer.created": (_CUSTOMER,),
    "customer.deleted": (_CUSTOMER, _deleted(_CUSTOMER)),
    "customer.source.created": (_CUSTOMER, _SOURCE),
    "customer.source.deleted": (_CUSTOMER, _SOURCE, _deleted(_SOURCE)),
    "customer.source.updated": (_CUSTOMER, _SOURCE, _changed(_SOURCE)),
    "customer.tax_id.created": (_CUSTOMER, _TAX_ID),
    "customer.tax_id.deleted": (_CUSTOMER, _TAX_ID, _deleted(_TAX_ID)),
    "customer.tax_id.updated": (_CUSTOMER, _TAX_ID),
    "customer.updated": (_CUSTOMER, _changed(_CUSTOMER)),
    "payment_intent.amount_capturable_updated": (_HELD,),
    "payment_intent.canceled": (
        Step("payment_intent", "/v1/payment_intents", {"amount": "2000", "currency": "usd"}),
        Step("cancel", "/v1/payment_intents/${payment_intent:id}/cancel"),
    ),
    "payment_intent.created": (
        Step("payment_intent", "/v1/payment_intents", {"amount": "2000", "currency": "usd"}),
    ),
    "payment_intent.payment_failed": (_pay("pm_card_chargeDeclined", fails=True),),
    "payment_intent.processing": (_pay_by_debit("AT321904300235473204"),),
    "payment_intent.requires_action": (_pay("pm_card_authenticationRequired"),),
    "payment_intent.succeeded": (_pay(),),
    "payment_method.attached": (_CUSTOMER, _ATTACHED),
    "payment_method.detached": (
        _CUSTOMER,
        _ATTACHED,
        Step("detach", "/v1/payment_methods/${payment_method:id}/detach"),
    ),
    "payment_method.updated": (
        _CUSTOMER,
        _ATTACHED,
        Step("update", "/v1/payment_methods/${payment_method:id}", {"metadata[foo]": "bar"}),
    ),
    "payout.canceled": (*_FUNDED, _PAYOUT, _acted(_PAYOUT, "cancel")),
    "payout.created": (*_FUNDED, _PAYOUT),
    "payout.paid": (*_FUNDED, _PAYOUT),
    "payout.updated": (*_FUNDED, _PAYOUT, _changed(_PAYOUT)),
    "plan.created": (_PRODUCT, _PLAN),
    "plan.deleted": (
        _PRODUCT,
        _PLAN,
        Step("delete", "/v1/plans/${price:id}", method="DELETE"),
    ),
    "plan.updated": (_PRODUCT, _PLAN, _changed(_PLAN)),
    "price.created": (_PRODUCT, _PRICE),
    "price.updated": (_PRODUCT, _PRICE, _changed(_PRICE)),
    "product.created": (_PRODUCT,),
    "product.deleted": (_PRODUCT, _deleted(_PRODUCT)),
    "product.updated": (_PRODUCT, _changed(_PRODUCT)),
    "promotion_code.created": (_COUPON, _CODE),
    "promotion_code.updated": (_COUPON, _CODE, _changed(_CODE)),
    "refund.created": (_pay(), _REFUND),
    "refund.failed": (_pay("pm_card_refundFail"), _REFUND),
    "refund.updated": (_pay(), _REFUND),
    "setup_intent.canceled": (
        Step("setup_intent", "/v1/setup_intents", _NOTE),
        Step("cancel", "/v1/setup_intents/${setup_intent:id}/cancel"),
    ),
    "setup_intent.created": (Step("setup_intent", "/v1/setup_intents", _NOTE),),
    "setup_intent.requires_action": (_set_up("pm_card_authenticationRequired"),),
    "setup_intent.setup_failed": (_set_up("pm_card_chargeDeclined", fails=True),),
    "setup_intent.succeeded": (_set_up("pm_card_visa"),),
    "tax_rate.created": (_TAX,),
    "tax_rate.updated": (_TAX, _changed(_TAX)),
}
"""By the type of the event that happens; some need a moment after the last request."""
