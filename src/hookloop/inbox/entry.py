"""An event as the inbox keeps it: its raw bytes, and a head that lets it be read again."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hookloop.events.event import Event, PayloadError, read_payload
from hookloop.events.incoming import Incoming
from hookloop.ledger.message import Message, NewMessage

if TYPE_CHECKING:
    from hookloop.events.providers.provider import Provider

__all__ = [
    "event_of",
    "headers_of",
    "new_entry",
    "object_key",
    "provider_of",
    "rank_of",
    "source_of",
]

CREDENTIALS = {"authorization", "cookie", "proxy-authorization"}
"""Headers that are somebody's password, and say nothing of the event."""

# Made once: `json.dumps` with an argument makes one for every call.
_encoded = json.JSONEncoder(separators=(",", ":")).encode

FIRST = {"created", "opened"}
LAST = {"archived", "canceled", "cancelled", "closed", "deleted", "expired", "removed"}
"""How types end that begin or end their object."""

HEADER_CHARACTERS_MAX = 16_384
"""Of all headers kept: a sender's are below 2 KB, and those of a row of proxies below this."""


def new_entry(
    event: Event[Any],
    request: Incoming | None,
    provider: str,
    targets: tuple[str, ...],
    *,
    ordered: frozenset[str] = frozenset(),
    is_changed: bool = False,
) -> NewMessage:
    """
    Return what is kept of *event*, owed to each of *targets*.

    Those that are *ordered* get the events of one object one at a time. *is_changed* says that a
    filter has handed on another event than the body holds.
    """
    head: dict[str, Any] = {"provider": provider}
    if event.secret_label is not None:
        head["label"] = event.secret_label
    if request is not None:
        head["headers"] = _kept(request)
    if is_changed:
        head["payload"] = event.payload
    return NewMessage(
        source=source_of(event, provider),
        body=event.raw,
        targets=targets,
        head=_encoded(head).encode(),
        type=event.type,
        # The dashboard's test button sends all its events under one id: each is a first one.
        key=None if event.is_placeholder else event.key[2],
        order_key=object_key(event) if ordered else None,
        ordered_targets=ordered,
        rank=rank_of(event) if ordered else 0.0,
    )


def source_of(event: Event[Any], provider: str) -> str:
    """Return whose event it is: the sender, the account, and whether it is live."""
    account, livemode, _ = event.key
    return f"{provider}/{account or '-'}/{'live' if livemode else 'test'}"


def object_key(event: Event[Any]) -> str | None:
    """Return the id of the object *event* is about, the same for a snapshot and its thin twin."""
    if event.related is not None:
        found: object = event.related.id
    else:
        subject = event.data.get("object")
        found = subject.get("id") if isinstance(subject, dict) else None
    if not isinstance(found, str) or not found:
        return None
    account, livemode, _ = event.key
    return f"{account or '-'}/{'live' if livemode else 'test'}/{found}"


def rank_of(event: Event[Any]) -> float:
    """
    Return where *event* stands among those of its object: by the second it was made in.

    Within a second what begins an object comes first, what ends it last, and all else in between,
    in the order of arrival: the sender says no more.
    """
    ending = event.type.rpartition(".")[2]
    return event.created + (0.0 if ending in FIRST else 0.9 if ending in LAST else 0.5)


def event_of(message: Message, provider: "Provider") -> Event[Any]:
    """
    Return the event that was accepted, as its handlers would have got it at once.

    Raises `PayloadError` where *message* holds none: a bug, or another program's row.
    """
    head = _head(message)
    payload = head.get("payload")
    request = Incoming(message.body, headers_of(message))
    return provider.read(
        request,
        payload if isinstance(payload, dict) else read_payload(message.body),
        secret_label=head.get("label"),
    )


def headers_of(message: Message) -> list[tuple[str, str]]:
    """Return the request's headers as they were kept."""
    return [(name, value) for name, value in _head(message).get("headers", ())]


def provider_of(message: Message) -> str:
    """Return the name of the sender whose event it is."""
    return str(_head(message).get("provider", ""))


def _head(message: Message) -> dict[str, Any]:
    try:
        head = json.loads(message.head)
    except ValueError:
        head = None
    if not isinstance(head, dict):
        raise PayloadError(f"message {message.id} has no head that an inbox has written")
    return head


def _kept(request: Incoming) -> Sequence[tuple[str, str]]:
    kept, left = [], HEADER_CHARACTERS_MAX
    for raw_name, raw_value in request.headers:
        name = (raw_name.decode("latin-1") if isinstance(raw_name, bytes) else raw_name).lower()
        value = raw_value.decode("latin-1") if isinstance(raw_value, bytes) else raw_value
        size = len(name) + len(value)
        if name not in CREDENTIALS and size <= left:
            kept.append((name, value))
            left -= size
    return kept
