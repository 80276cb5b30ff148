"""GitHub: ``X-Hub-Signature-256`` over the body; no timestamp, so no tolerance."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from hookloop.errors import SignatureError
from hookloop.events.event import Event, PayloadError
from hookloop.events.incoming import Incoming
from hookloop.events.outcomes import Reply

from .provider import require

__all__ = ["GitHub"]

_PREFIX = "sha256="


class GitHub:
    """
    See https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.

    The event's type is ``X-GitHub-Event``, followed by the body's ``action`` where it has
    one: ``push``, ``pull_request.opened``. Its id is ``X-GitHub-Delivery``. GitHub signs no
    time: a body captured once stays valid, and only its id tells a replay.
    """

    name = "github"

    def check_secret(self, secret: str) -> None:
        """Any string will do: it is the user's own."""

    def verify(
        self,
        request: Incoming,
        secrets: Sequence[str],
        *,
        now: float,  # noqa: ARG002  # the interface has it; GitHub signs no time
        tolerance: float,  # noqa: ARG002  # the same
    ) -> int:
        header = require(request, "x-hub-signature-256")
        if not header.startswith(_PREFIX):
            raise SignatureError("malformed", "X-Hub-Signature-256 does not start with sha256=")
        given = header.removeprefix(_PREFIX).encode("utf-8", "replace")
        for index, secret in enumerate(secrets):
            expected = hmac.digest(secret.encode(), request.body, hashlib.sha256).hex().encode()
            if hmac.compare_digest(expected, given):
                return index
        raise SignatureError("mismatch", "X-Hub-Signature-256 matches none of our secrets")

    def read(
        self, request: Incoming, payload: dict[str, Any], *, secret_label: str | None
    ) -> Event[Any]:
        kind, delivery = request.get("x-github-event"), request.get("x-github-delivery")
        if not kind or not delivery:
            raise PayloadError("X-GitHub-Event or X-GitHub-Delivery is missing")
        action = payload.get("action")
        type_ = f"{kind}.{action}" if isinstance(action, str) and action else kind
        return Event(payload, request.body, id=delivery, type=type_, secret_label=secret_label)

    def greeting(self, _event: Event[Any]) -> Reply | None:
        return None
