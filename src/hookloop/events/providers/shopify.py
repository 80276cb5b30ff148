"""Shopify: ``X-Shopify-Hmac-Sha256``, in base64, over the body; no timestamp."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from hookloop.errors import SignatureError
from hookloop.events.event import Event, PayloadError
from hookloop.events.incoming import Incoming
from hookloop.events.outcomes import Reply

from .provider import require

__all__ = ["Shopify"]


class Shopify:
    """
    See https://shopify.dev/docs/apps/build/webhooks/subscribe/https.

    The event's type is the topic with a dot for the slash, ``orders.create``, so that
    prefixes work as for everyone else. Its id is ``X-Shopify-Event-Id``, which several
    deliveries of one change share, or else ``X-Shopify-Webhook-Id``.
    """

    name = "shopify"

    def check_secret(self, secret: str) -> None:
        """Any string will do: it is the app's client secret."""

    def verify(
        self,
        request: Incoming,
        secrets: Sequence[str],
        *,
        now: float,  # noqa: ARG002  # the interface has it; Shopify signs no time
        tolerance: float,  # noqa: ARG002  # the same
    ) -> int:
        given = require(request, "x-shopify-hmac-sha256").encode("utf-8", "replace")
        for index, secret in enumerate(secrets):
            digest = hmac.digest(secret.encode(), request.body, hashlib.sha256)
            if hmac.compare_digest(base64.b64encode(digest), given):
                return index
        raise SignatureError("mismatch", "X-Shopify-Hmac-Sha256 matches none of our secrets")

    def read(
        self, request: Incoming, payload: dict[str, Any], *, secret_label: str | None
    ) -> Event[Any]:
        topic = request.get("x-shopify-topic")
        id_ = request.get("x-shopify-event-id") or request.get("x-shopify-webhook-id")
        if not topic or not id_:
            raise PayloadError("X-Shopify-Topic or X-Shopify-Webhook-Id is missing")
        type_ = topic.replace("/", ".")
        return Event(payload, request.body, id=id_, type=type_, secret_label=secret_label)

    def greeting(self, _event: Event[Any]) -> Reply | None:
        return None
