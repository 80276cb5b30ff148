"""
The mode without signatures: believe the id alone, and ask the API for the event.

It costs a request for each event, and a 401 tells a sender that the API knows no such
event: the dashboard's test button, or somebody who guesses. Pure: the request to the API
is the caller's.
"""

import re
from typing import Any

from .event import Event, PayloadError, read_payload, read_stripe_event
from .incoming import Incoming, read_length
from .receive import Rejected, body_unavailable, too_large

__all__ = ["judge_retrieved", "read_id"]

# The id becomes part of a URL: a sender must not choose the path of our request.
_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{1,250}", re.ASCII)


def read_id(request: Incoming, *, body_bytes_max: int) -> str | Rejected:
    """Return the id of the event a request claims to bring. Never raises."""
    if len(request.body) > body_bytes_max:
        return too_large(body_bytes_max)
    if not request.body and read_length(request.get("content-length")):
        return body_unavailable()
    try:
        id_ = read_payload(request.body).get("id")
    except PayloadError as error:
        return Rejected(400, "invalid_payload", "not_an_event", str(error))
    if not isinstance(id_, str) or not _EVENT_ID.fullmatch(id_):
        return Rejected(400, "invalid_payload", "not_an_event", "the body has no event's id")
    return id_


def judge_retrieved(id_: str, found: Any, *, client: object = None) -> Event[Any] | Rejected:
    """Judge what the API gave for *id_*: a dict, or None where it has no such event."""
    if found is None:
        return Rejected(401, "unknown_event", "unknown_event", f"the API has no event {id_}")
    if not isinstance(found, dict) or found.get("id") != id_:
        return Rejected(
            500, "failed", "failed", f"retrieve({id_!r}) returned no dict of that event"
        )
    try:
        return read_stripe_event(b"", found, client=client)
    except PayloadError as error:
        return Rejected(400, "invalid_payload", "not_an_event", str(error))
