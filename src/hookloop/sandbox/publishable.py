"""
What a publishable key may do: it stands in a web page, where everybody can read it.

It makes payment methods, and it reads and confirms the one intent whose client secret it
knows. See https://docs.stripe.com/keys.
"""

from collections.abc import Mapping

from .arguments import Arguments
from .errors import ApiError, no_such_object
from .operation import Operation
from .transaction import Transaction

__all__ = ["check_client_secret", "check_publishable"]

_INTENTS = {"payment_intents": "payment_intent", "setup_intents": "setup_intent"}

# By place, the kind of the object whose client secret is asked for; None where none is.
_ALLOWED: Mapping[tuple[str, str], str | None] = {
    ("POST", "/v1/payment_methods"): None,
    ("GET", "/v1/payment_pages/{id}"): None,  # its id is the secret
    ("POST", "/v1/payment_pages/{id}/confirm"): None,
} | {
    place: kind
    for name, kind in _INTENTS.items()
    for place in (("GET", f"/v1/{name}/{{id}}"), ("POST", f"/v1/{name}/{{id}}/confirm"))
}


def check_publishable(
    operation: Operation,
    transaction: Transaction,
    arguments: Arguments,
    names: Mapping[str, str],
) -> None:
    """Raise `ApiError` where a publishable key may not do that."""
    place = (operation.method, operation.path)
    if place not in _ALLOWED:
        raise ApiError(
            403,
            "This API call cannot be made with a publishable API key. Please use a secret API key. "
            "You can find a list of your API keys at https://dashboard.stripe.com/account/apikeys.",
            code="secret_key_required",
        )
    kind = _ALLOWED[place]
    if kind is not None and not arguments.get("client_secret"):
        # To whom it does not know, the intent is not there.
        raise no_such_object(kind, names["id"])
    check_client_secret(operation, transaction, arguments, names)


def check_client_secret(
    operation: Operation,
    transaction: Transaction,
    arguments: Arguments,
    names: Mapping[str, str],
) -> None:
    """Raise `ApiError` where a client secret was given that is another intent's."""
    kind = _ALLOWED.get((operation.method, operation.path))
    secret = arguments.get("client_secret")
    if kind is None or secret is None:
        return
    found = transaction.find(kind, names["id"])
    if found is not None and found["client_secret"] != secret:
        raise ApiError(
            400,
            f"The client_secret provided does not match any associated {kind} on this account.",
            code=f"{kind}_invalid_parameter",
            param="client_secret",
        )
