"""What a request says of itself where it is a webhook: provider, event, object. Pure."""

import json
from typing import Any

from hookloop.exchange import RequestHead

from .captured import WebhookFacts

__all__ = ["webhook_facts"]

READ_BYTES_MAX = 256 * 1024  # every event of Stripe's; a larger body is named by its headers
WORD_CHARS_MAX = 200  # of a type or an id in a column


def webhook_facts(head: RequestHead, body: bytes) -> WebhookFacts | None:
    """Return what *head* and *body* say, or None where they are no webhook's. Never raises."""
    if head.method not in {b"POST", b"PUT"}:
        return None
    names = {name.lower(): value for name, value in head.headers}
    provider = next((word for header, word in _BY_HEADER if header in names), None)
    if provider is not None and provider in _READ_BY_HEADER:
        type_header, id_header = _READ_BY_HEADER[provider]
        return WebhookFacts(
            provider,
            _word(names.get(type_header, b"").decode("latin-1")),
            _word(names.get(id_header, b"").decode("latin-1")),
            "",
        )
    content = _object(body)
    if provider is None and not _looks_like_an_event(content):
        return None
    return WebhookFacts(
        provider or ("stripe" if content.get("object") == "event" else "other"),
        _event_type(content),
        _event_id(content, names),
        _object_id(content),
    )


_BY_HEADER = (
    (b"stripe-signature", "stripe"),
    (b"x-github-event", "github"),
    (b"x-shopify-topic", "shopify"),
    (b"x-slack-signature", "slack"),
    (b"webhook-signature", "standard"),
    (b"svix-signature", "svix"),
)
_READ_BY_HEADER: dict[str, tuple[bytes, bytes]] = {
    "github": (b"x-github-event", b"x-github-delivery"),
    "shopify": (b"x-shopify-topic", b"x-shopify-webhook-id"),
}


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > READ_BYTES_MAX or body.lstrip()[:1] != b"{":
        return {}
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _looks_like_an_event(content: dict[str, Any]) -> bool:
    """A Stripe event, of either kind, whose signature was lost on the way or never made."""
    is_named = isinstance(content.get("id"), str) and isinstance(content.get("type"), str)
    return is_named and content.get("object") in {"event", "v2.core.event"}


def _event_type(content: dict[str, Any]) -> str:
    event = content.get("event")  # Slack wraps what happened in an envelope
    if isinstance(event, dict) and content.get("type") == "event_callback":
        return _word(event.get("type"))
    return _word(content.get("type"))


def _event_id(content: dict[str, Any], names: dict[bytes, bytes]) -> str:
    for header in (b"webhook-id", b"svix-id"):
        if header in names:
            return _word(names[header].decode("latin-1"))
    return _word(content.get("id")) or _word(content.get("event_id"))


def _object_id(content: dict[str, Any]) -> str:
    data = content.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    if not isinstance(thing, dict):
        thing = content.get("related_object") or data  # Stripe's thin events; Standard Webhooks
    return _word(thing.get("id")) if isinstance(thing, dict) else ""


def _word(value: object) -> str:
    return value[:WORD_CHARS_MAX] if isinstance(value, str) else ""
