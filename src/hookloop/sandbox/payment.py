"""
How a payment goes: what a test instrument does when it is charged. Pure.

Asked of a payment method and what is known of the occasion; what follows for intents
and charges is theirs.
"""

from dataclasses import dataclass
from enum import Enum

from .instruments import AUTHENTICATION_REQUIRED, Action, Card, Decline

__all__ = ["DELAYED_TYPES", "Course", "Outcome", "course_of_card", "course_of_other"]


class Outcome(Enum):
    """What comes of trying to charge."""

    SUCCEEDS = "succeeds"
    DECLINED = "declined"
    NEEDS_ACTION = "needs action"
    """Its holder has to do something first."""
    PROCESSING = "processing"
    """The bank will tell later."""


@dataclass(frozen=True, slots=True)
class Course:
    """How it goes now, and how it ends if that is later."""

    outcome: Outcome
    decline: Decline | None = None
    later: Outcome | None = None
    """What processing ends in; None where it never ends."""
    later_seconds: float = 0.0


DELAYED_TYPES = frozenset(
    {"acss_debit", "au_becs_debit", "bacs_debit", "boleto", "konbini", "multibanco", "oxxo"}
    | {"sepa_debit", "us_bank_account"}
)
"""Types whose bank takes days; here it takes seconds."""

SOON_SECONDS = 2.0
SLOW_SECONDS = 180.0  # as Stripe's slow test accounts have it

_BANK_FAILED = Decline("payment_intent_payment_attempt_failed", "The payment failed.")

_FAILING = frozenset(
    {
        "AT861904300235473202",
        "DE62370400440532013001",
        "FR8420041010050500013M02607",
        "IT60X0542811101000000123456",
        "000111111113",
        "000111111116",
        "000222222227",
        "000333333335",
        "000444444440",
    }
)
_SLOW = frozenset({"AT321904300235473204", "DE08370400440532013003", "IE64BOFI90583812345678"})
_NEVER_ENDING = frozenset({"000999999991"})


def course_of_card(
    card: Card, *, off_session: bool, is_authenticated: bool, is_set_up: bool
) -> Course:
    """Return what comes of charging *card*."""
    wants_action = card.action is Action.ALWAYS or (
        card.action is Action.UNLESS_SET_UP and not is_set_up
    )
    if wants_action and not is_authenticated:
        if off_session:
            return Course(Outcome.DECLINED, AUTHENTICATION_REQUIRED)
        return Course(Outcome.NEEDS_ACTION)
    if card.decline is not None:
        return Course(Outcome.DECLINED, card.decline)
    return Course(Outcome.SUCCEEDS)


def course_of_other(kind: str, number: str | None, *, is_authenticated: bool) -> Course:
    """Return what comes of charging a payment method of another type than card."""
    if kind not in DELAYED_TYPES:  # the customer is sent to a page of the bank's
        return Course(Outcome.SUCCEEDS if is_authenticated else Outcome.NEEDS_ACTION)
    if number in _NEVER_ENDING:
        return Course(Outcome.PROCESSING)
    seconds = SLOW_SECONDS if number in _SLOW else SOON_SECONDS
    if number in _FAILING:
        return Course(Outcome.PROCESSING, _BANK_FAILED, Outcome.DECLINED, seconds)
    return Course(Outcome.PROCESSING, None, Outcome.SUCCEEDS, seconds)
