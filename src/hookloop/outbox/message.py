"""What a product tells the world: a type, an account it is about, and the bytes that are sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hookloop.errors import ConfigError

__all__ = ["BODY_BYTES_MAX", "OutboxMessage", "Posted", "body_of"]

BODY_BYTES_MAX = 1024 * 1024
"""Standard Webhooks advises 20 kB; receivers refuse what is over 1 MiB, our own among them."""

NAME_CHARACTERS_MAX = 200
"""Of an id, a type, an account or an order key: they are columns, and an id is a header."""


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """
    Something that happened, for every endpoint of its account that wants its type.

    Raises `ConfigError` for one that cannot be sent.
    """

    type: str
    """Such as ``invoice.paid``: letters, digits, ``_`` and dots."""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Printed into the body as Standard Webhooks has it: ``{"type", "timestamp", "data"}``."""
    account: str = ""
    """Which of your customers it concerns; endpoints of other accounts never see it."""
    id: str | None = None
    """The ``webhook-id``, the same in each attempt, made up where there is none. One of your own
    makes an append idempotent: the same id is sent once within 35 days."""
    order_key: str | None = None
    """Messages that share it reach an endpoint one after the other, in the order of their commits;
    one that fails holds up those behind it. None waits for nobody."""
    body: bytes | None = field(default=None, repr=False)
    """Sent as it is, in place of what `data` would make."""

    def __post_init__(self) -> None:
        if not self.type or not all(c.isalnum() or c in "._-" for c in self.type):
            raise ConfigError(
                f"a message has the type {self.type!r}: use letters, digits, dots and _ only"
            )
        if self.id is not None and not (self.id and self.id.isascii() and self.id.isprintable()):
            raise ConfigError("a message's id goes into a header: use printable ASCII only")
        if self.id is not None and "." in self.id:
            raise ConfigError("a message's id must hold no dot: what is signed is split at dots")
        names = (self.type, self.account, self.id or "", self.order_key or "")
        if max(map(len, names)) > NAME_CHARACTERS_MAX:
            raise ConfigError(
                f"a message of type {self.type[:40]!r} has an id, type, account or order key over "
                f"{NAME_CHARACTERS_MAX} characters: shorten it"
            )


@dataclass(frozen=True, slots=True)
class Posted:
    """A message as it stands in the table of the user's database, until it is in the ledger."""

    number: int
    """Grows; says nothing of which transaction commits first."""
    id: str
    type: str
    account: str
    order_key: str | None
    body: bytes = field(repr=False)


def body_of(message: OutboxMessage, *, now: float) -> bytes:
    """Return the bytes that are sent and signed. Raises `ConfigError` for what is no JSON."""
    body = message.body
    if body is None:
        stamp = datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
        envelope = {"type": message.type, "timestamp": stamp, "data": message.data}
        try:
            body = json.dumps(envelope, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"a message of type {message.type} cannot be printed as JSON "
                f"({type(error).__name__}): give its data plain dicts, lists, text and numbers"
            ) from None
    if len(body) > BODY_BYTES_MAX:
        raise ConfigError(
            f"a message of type {message.type} has {len(body)} bytes: {BODY_BYTES_MAX} is the most "
            "that receivers take; send an id, and let them fetch the rest"
        )
    return body
