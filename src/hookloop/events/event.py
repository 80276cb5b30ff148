"""A received event: a light view of the payload, which stays whole."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from hookloop.errors import RemoteError

__all__ = ["Event", "PayloadError", "parse_event"]


class PayloadError(RemoteError):
    """A signed body that is no event: nothing can be dispatched from it."""


@dataclass(frozen=True, slots=True)
class Event:
    """
    What Stripe says has happened. See https://docs.stripe.com/api/events/object.

    Fields Stripe adds later are in `payload`. The repr names the event and shows
    nothing of what is in it, so it is safe to log.
    """

    id: str
    """``evt_...``: the same for every delivery of the event."""
    type: str
    """Such as ``customer.updated``."""
    payload: dict[str, Any]
    """The whole body, parsed."""
    raw: bytes
    """The whole body as it was signed."""

    def __repr__(self) -> str:
        return f"<Event {self.id} {self.type}>"

    @property
    def created(self) -> int:
        """When it happened, in Unix seconds; 0 where the event does not say."""
        value = self.payload.get("created")
        return value if isinstance(value, int) else 0

    @property
    def livemode(self) -> bool:
        """Whether real money is meant."""
        return self.payload.get("livemode") is True

    @property
    def account(self) -> str | None:
        """The connected account it comes from, for Connect."""
        return self.payload.get("account")

    @property
    def api_version(self) -> str | None:
        """The API version its object is rendered in."""
        return self.payload.get("api_version")

    @property
    def request_id(self) -> str | None:
        """The API request that caused it; None where Stripe itself did."""
        return _member(self.payload, "request").get("id")

    @property
    def idempotency_key(self) -> str | None:
        """The key of the API request that caused it."""
        return _member(self.payload, "request").get("idempotency_key")

    @property
    def data(self) -> dict[str, Any]:
        """``object``, and ``previous_attributes`` where something was updated."""
        return _member(self.payload, "data")

    @property
    def previous(self) -> dict[str, Any]:
        """What changed, as it was before; empty for events that update nothing."""
        return _member(self.data, "previous_attributes")


def parse_event(raw: bytes) -> Event:
    """
    Read an event from a verified body.

    Raises `PayloadError` for anything but a JSON object with an ``id`` and a
    ``type``; whatever the bytes, nothing else is raised.
    """
    try:
        payload = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise PayloadError("the body is not JSON") from None
    if not isinstance(payload, dict):
        raise PayloadError("the body is not a JSON object")
    id_, type_ = payload.get("id"), payload.get("type")
    if not (isinstance(id_, str) and id_ and isinstance(type_, str) and type_):
        raise PayloadError("the body has no id and type, so it is not an event")
    return Event(id=id_, type=type_, payload=payload, raw=raw)


def _member(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _refuse_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(name)
