"""
What a customer has to do before a payment or a setup goes on: prove who they are.

Payment and setup intents wait for it in the same way; it is done on a page of the sandbox's.
"""

from hookloop.sandbox.payment import Course, course_of_card, course_of_other
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import payment_method

__all__ = ["next_action", "tries"]


def tries(
    transaction: Transaction,
    method: Json,
    *,
    off_session: bool = False,
    is_authenticated: bool = False,
) -> Course:
    """Return what comes of using *method* now."""
    instrument = payment_method.instrument_of(transaction, method)
    if method["type"] == "card":
        return course_of_card(
            payment_method.card_of(transaction, method),
            off_session=off_session,
            is_authenticated=is_authenticated,
            is_set_up=bool(instrument.get("is_set_up")),
        )
    return course_of_other(
        method["type"], instrument.get("number"), is_authenticated=is_authenticated
    )


def next_action(
    transaction: Transaction, intent: Json, method: Json, return_url: str | None
) -> Json:
    """Return what *intent* waits for: a page to go to, or for a script of Stripe's to open it."""
    account, secret = transaction.account.account_id, intent["client_secret"]
    url = f"{transaction.base_url}/authenticate/{account}/{intent['id']}?client_secret={secret}"
    if return_url is None and method["type"] == "card":
        script = {"type": "three_d_secure_redirect", "stripe_js": url, "source": method["id"]}
        return {"type": "use_stripe_sdk", "use_stripe_sdk": script}
    redirect = {"return_url": return_url, "url": url}
    return {"type": "redirect_to_url", "redirect_to_url": redirect}
