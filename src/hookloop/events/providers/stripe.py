"""Stripe: snapshot and thin events, signed in ``Stripe-Signature``."""

import warnings
from collections.abc import Sequence
from typing import Any

from hookloop.errors import ConfigError, SignatureError
from hookloop.events.event import Event, read_stripe_event
from hookloop.events.incoming import Incoming
from hookloop.events.outcomes import Reply
from hookloop.signing import match_stripe

__all__ = ["Stripe"]


class Stripe:
    """See https://docs.stripe.com/webhooks#verify-manually and `hookloop.signing`."""

    name = "stripe"

    def __init__(self, client: object = None) -> None:
        self._client = client

    def check_secret(self, secret: str) -> None:
        if secret.startswith(("sk_", "rk_", "pk_")):
            raise ConfigError(
                "an API key was given as signing secret: the dashboard shows the endpoint's, "
                "whsec_..., beside its URL"
            )
        if not secret.startswith("whsec_"):
            warnings.warn(
                "Stripe's signing secrets begin with whsec_, and one given does not: it may be cut "
                "off, or another sender's",
                stacklevel=5,  # the line that makes the `Hooks`
            )

    def verify(
        self, request: Incoming, secrets: Sequence[str], *, now: float, tolerance: float
    ) -> int | SignatureError:
        header = request.get("stripe-signature")
        return match_stripe(request.body, header, secrets, now, tolerance)

    def read(
        self, request: Incoming, payload: dict[str, Any], *, secret_label: str | None
    ) -> Event[Any]:
        return read_stripe_event(request.body, payload, secret_label, self._client)

    def greeting(self, _event: Event[Any]) -> Reply | None:
        return None
