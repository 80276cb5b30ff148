"""Slack: ``X-Slack-Signature`` over ``v0:{time}:{body}``."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from hookloop.errors import SignatureError
from hookloop.events.event import Event, PayloadError
from hookloop.events.incoming import Incoming
from hookloop.events.outcomes import Reply

from .provider import check_age, read_timestamp, require

__all__ = ["Slack"]


class Slack:
    """
    The Events API. See https://docs.slack.dev/authentication/verifying-requests-from-slack.

    The event's type is that of the inner event, ``app_mention``; its id is ``event_id``.
    Slack's ``url_verification`` call is answered here and reaches no handler.
    """

    name = "slack"

    def check_secret(self, secret: str) -> None:
        """Any string will do: Slack's are 32 hex digits today."""

    def verify(
        self, request: Incoming, secrets: Sequence[str], *, now: float, tolerance: float
    ) -> int:
        given = require(request, "x-slack-signature").encode("utf-8", "replace")
        text = require(request, "x-slack-request-timestamp")
        signed_at = read_timestamp(text, "X-Slack-Request-Timestamp")
        signed = b"v0:%b:%b" % (text.encode(), request.body)
        for index, secret in enumerate(secrets):
            expected = "v0=" + hmac.digest(secret.encode(), signed, hashlib.sha256).hex()
            if hmac.compare_digest(expected.encode(), given):
                check_age(signed_at, now, tolerance)
                return index
        raise SignatureError("mismatch", "X-Slack-Signature matches none of our secrets")

    def read(
        self, request: Incoming, payload: dict[str, Any], *, secret_label: str | None
    ) -> Event[Any]:
        inner = payload.get("event")
        type_ = inner.get("type") if isinstance(inner, dict) else payload.get("type")
        id_ = payload.get("event_id") or payload.get("challenge")
        if not (isinstance(type_, str) and type_ and isinstance(id_, str) and id_):
            raise PayloadError("the body has no event_id and event.type")
        return Event(payload, request.body, id=id_, type=type_, secret_label=secret_label)

    def greeting(self, event: Event[Any]) -> Reply | None:
        if event.type != "url_verification":
            return None
        return Reply({"challenge": event.payload.get("challenge")})
