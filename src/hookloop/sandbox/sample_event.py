"""
What "Send test webhook" sends: an event about an object that never was, with every id zeroed.

Its id is ``evt_00000000000000``, and the API knows no such event: a handler that fetches what it
is told of gets a 404, as it would from Stripe.
"""

import re
from typing import Any

from hookloop.shapes.package import object_class
from hookloop.shapes.sample import Sampler, SampleRandom

from .store import Json

__all__ = ["SAMPLE_EVENT_ID", "sample_event"]

SAMPLE_EVENT_ID = "evt_00000000000000"

_ID = re.compile(r"\b([a-z]+(?:_[a-z]+)*_)[0-9A-Za-z]{12,}(?![0-9A-Za-z])")


def sample_event(event_type: str, random: SampleRandom, *, at: int, api_version: str) -> Json:
    """Return an event of *event_type*, which Stripe has, made at *at* (Unix seconds)."""
    class_ = object_class(event_type)
    subject: Json = {}
    if class_ is not None:
        subject = _zeroed(Sampler(random, at=at, livemode=False).object_of(class_))
    return {
        "id": SAMPLE_EVENT_ID,
        "object": "event",
        "api_version": api_version,
        "created": at,
        "data": {"object": subject},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    }


def _zeroed(value: Any) -> Any:
    """Return *value* with nothing of each id but what it begins with."""
    if isinstance(value, dict):
        return {name: _zeroed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_zeroed(one) for one in value]
    if isinstance(value, str):
        return _ID.sub(r"\g<1>00000000000000", value)
    return value
