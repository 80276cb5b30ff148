"""Events inside the envelopes of Amazon EventBridge and Azure Event Grid, which sign nothing."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hookloop.errors import ConfigError

from .event import PayloadError, read_stripe_event

if TYPE_CHECKING:
    from .receiver import Receiver
    from .result import Result

__all__ = ["is_eventbridge", "open_envelope", "receive_envelope"]

EVENTBRIDGE_SOURCE = "aws.partner/stripe.com"


def is_eventbridge(value: Mapping[str, Any]) -> bool:
    """Return whether *value* is what EventBridge hands over for Stripe."""
    return str(value.get("source", "")).startswith(EVENTBRIDGE_SOURCE) and "detail" in value


def open_envelope(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return Stripe's own event out of an EventBridge event or a CloudEvent of Event Grid.

    Raises `ConfigError` for anything else.
    """
    inner = envelope.get("detail") if is_eventbridge(envelope) else None
    if inner is None and "specversion" in envelope:
        inner = envelope.get("data")
    if not isinstance(inner, dict):
        raise ConfigError(
            "this is neither an EventBridge event from Stripe (source aws.partner/stripe.com..., "
            "with detail) nor a CloudEvent (specversion, with data)"
        )
    return inner


def receive_envelope(receiver: "Receiver", envelope: Mapping[str, Any]) -> "Result":
    """Run the handlers of the event in *envelope*."""
    payload = open_envelope(envelope)
    try:
        event = read_stripe_event(json.dumps(payload).encode(), payload)
    except PayloadError as error:
        raise ConfigError(f"the envelope holds no event: {error}") from None
    return receiver.receive_trusted(event)
