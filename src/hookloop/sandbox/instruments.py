"""
Stripe's test instruments: what each card number, ``pm_card_...`` and ``tok_...`` does.

See https://docs.stripe.com/testing.
"""

import re
from dataclasses import dataclass, replace
from enum import Enum

__all__ = [
    "AUTHENTICATION_FAILED",
    "AUTHENTICATION_REQUIRED",
    "CARDS",
    "Action",
    "Card",
    "Decline",
    "RefundFate",
    "card_by_name",
    "card_by_number",
    "is_luhn_valid",
]


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a bank says no."""

    code: str
    message: str
    decline_code: str | None = None
    advice: str | None = None


class Action(Enum):
    """When a card wants its holder to prove who they are."""

    NEVER = "never"
    UNLESS_SET_UP = "unless set up"
    """Not again once it was set up for later use."""
    ALWAYS = "always"


class RefundFate(Enum):
    """What becomes of a refund to a card."""

    SUCCEEDS = "succeeds"
    PENDING = "pending, then succeeds"
    FAILS = "succeeds, then fails"


@dataclass(frozen=True, slots=True)
class Card:
    """A test card and its fate."""

    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    decline: Decline | None = None
    attaches: bool = True
    """Whether it can be kept for a customer; a declined card mostly cannot."""
    action: Action = Action.NEVER
    dispute: str | None = None
    """The reason of the dispute that each of its charges meets."""
    is_inquiry: bool = False
    """Whether that dispute only asks, and takes no money."""
    refund: RefundFate = RefundFate.SUCCEEDS
    is_available_at_once: bool = False
    risk_level: str = "normal"

    @property
    def last4(self) -> str:
        return self.number[-4:]


_NAME = re.compile(r"(?:pm_card|tok)_(\w{1,80})", re.ASCII)


def card_by_name(name: str) -> Card | None:
    """Return the card that ``pm_card_NAME`` and ``tok_NAME`` stand for."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return CARDS.get(match[1]) or CARDS.get(match[1].removeprefix("visa_"))


def card_by_number(number: str) -> Card:
    """Return the card of *number*; one that has no fate of its own succeeds."""
    found = _BY_NUMBER.get(number)
    return found or Card(number, _brand(number))


def is_luhn_valid(number: str) -> bool:
    """Say whether *number* is one a card could have: digits with a good last one."""
    if not (number.isascii() and number.isdecimal() and 12 <= len(number) <= 19):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


def _brand(number: str) -> str:
    for brand, beginnings in _BRANDS:
        if number.startswith(beginnings):
            return brand
    return "unknown"


_BRANDS = (
    ("visa", ("4",)),
    ("amex", ("34", "37")),
    ("mastercard", tuple(str(start) for start in (*range(51, 56), *range(22, 28)))),
    ("diners", ("30", "36", "38")),
    ("discover", ("60", "64", "65")),
    ("jcb", ("35",)),
    ("unionpay", ("62",)),
)


def _declined(decline_code: str, message: str = "Your card was declined.") -> Decline:
    return Decline("card_declined", message, decline_code, "try_again_later")


_GENERIC = _declined("generic_decline")
_INSUFFICIENT = _declined("insufficient_funds", "Your card has insufficient funds.")

_DECLINES = {
    "chargeDeclined": ("4000000000000002", _GENERIC),
    "chargeDeclinedInsufficientFunds": ("4000000000009995", _INSUFFICIENT),
    "chargeDeclinedLostCard": ("4000000000009987", _declined("lost_card")),
    "chargeDeclinedStolenCard": ("4000000000009979", _declined("stolen_card")),
    "chargeDeclinedExpiredCard": (
        "4000000000000069",
        Decline("expired_card", "Your card has expired.", "expired_card"),
    ),
    "chargeDeclinedIncorrectCvc": (
        "4000000000000127",
        Decline("incorrect_cvc", "Your card's security code is incorrect.", "incorrect_cvc"),
    ),
    "chargeDeclinedProcessingError": (
        "4000000000000119",
        Decline(
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
            "processing_error",
        ),
    ),
    "chargeDeclinedVelocityLimitExceeded": (
        "4000000000006975",
        _declined(
            "card_velocity_exceeded",
            "Your card was declined for making repeated attempts too frequently or exceeding its "
            "amount limit.",
        ),
    ),
}

_VISA = Card("4242424242424242")

CARDS: dict[str, Card] = {
    "visa": _VISA,
    "us": _VISA,
    "visa_debit": Card("4000056655665556", funding="debit"),
    "mastercard": Card("5555555555554444", "mastercard"),
    "mastercard_debit": Card("5200828282828210", "mastercard", "debit"),
    "mastercard_prepaid": Card("5105105105105100", "mastercard", "prepaid"),
    "amex": Card("378282246310005", "amex"),
    "discover": Card("6011111111111117", "discover"),
    "diners": Card("3056930009020004", "diners"),
    "jcb": Card("3566002020360505", "jcb", country="JP"),
    "unionpay": Card("6200000000000005", "unionpay", country="CN"),
    "au": Card("4000000360000006", country="AU"),
    "br": Card("4000000760000002", country="BR"),
    "ca": Card("4000001240000000", country="CA"),
    "de": Card("4000002760000016", country="DE"),
    "fr": Card("4000002500000003", country="FR"),
    "gb": Card("4000008260000000", country="GB"),
    "ie": Card("4000003720000005", country="IE"),
    "in": Card("4000003560000008", country="IN"),
    "jp": Card("4000003920000003", country="JP"),
    "mx": Card("4000004840008001", country="MX"),
    "bypassPending": Card("4000000000000077", is_available_at_once=True),
    **{
        name: Card(number, decline=decline, attaches=False)
        for name, (number, decline) in _DECLINES.items()
    },
    "chargeCustomerFail": Card("4000000000000341", decline=_GENERIC),
    "radarBlock": Card(
        "4100000000000019", decline=_declined("fraudulent"), attaches=False, risk_level="highest"
    ),
    "riskLevelHighest": Card(
        "4000000000004954", decline=_declined("fraudulent"), risk_level="highest"
    ),
    "riskLevelElevated": Card("4000000000009235", risk_level="elevated"),
    "authenticationRequired": Card("4000002760003184", action=Action.ALWAYS, country="DE"),
    "authenticationRequiredOnSetup": Card(
        "4000002500003155", action=Action.UNLESS_SET_UP, country="FR"
    ),
    "authenticationRequiredChargeDeclinedInsufficientFunds": Card(
        "4000008260003178", action=Action.ALWAYS, decline=_INSUFFICIENT, country="GB"
    ),
    "threeDSecure2Required": Card("4000000000003220", action=Action.ALWAYS),
    "threeDSecureRequired": Card("4000000000003063", action=Action.ALWAYS),
    "threeDSecureOptional": Card("4000000000003055"),
    "createDispute": Card("4000000000000259", dispute="fraudulent"),
    "createDisputeProductNotReceived": Card("4000000000002685", dispute="product_not_received"),
    "createDisputeInquiry": Card("4000000000001976", dispute="fraudulent", is_inquiry=True),
    "pendingRefund": Card("4000000000007726", refund=RefundFate.PENDING),
    "refundFail": Card("4000000000005126", refund=RefundFate.FAILS),
}
"""By the end of their names: ``pm_card_visa`` and ``tok_visa`` are ``visa``."""

_BY_NUMBER = {card.number: card for card in CARDS.values()}

AUTHENTICATION_FAILED = replace(
    _GENERIC,
    code="payment_intent_authentication_failure",
    message="The provided PaymentMethod has failed authentication. You can provide a new "
    "PaymentMethod to attempt to fulfill this PaymentIntent again.",
    decline_code=None,
    advice=None,
)
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)
