"""
One request's reads and writes: all of them are kept at its end, or none.

An operation is handed a `Transaction`, finds and puts objects, emits events and
returns its answer. An `ApiError` on the way leaves the store as it was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hookloop.ids import new_id
from hookloop.shapes.sample import SampleRandom

from .authentication import AccountKey
from .catalogue import Catalogue
from .delivery import Delivery, abandoned, owed_endpoints
from .store import Changes, Json, Store, Task

__all__ = ["Transaction"]

ENDPOINT_KIND = "webhook_endpoint"
EVENT_KIND = "event"
SAMPLE_EVENT_KIND = "sample_event"
"""No kind of Stripe's: what was sent for a test, and never happened."""


@dataclass(slots=True)
class Transaction:
    """What an operation sees of the world: no clock, no disk, no randomness but these."""

    account: AccountKey
    store: Store
    """As it was before; reads of one's own writes go through `find`."""
    catalogue: Catalogue
    now: float
    """Unix seconds."""
    random: SampleRandom
    request_id: str | None
    """None for what the account does by itself."""
    idempotency_key: str | None
    api_version: str | None = None
    """What the request asked for; None where it left it to the account."""
    base_url: str = ""
    """Where the sandbox is, as the caller sees it."""
    is_publishable: bool = False
    """Whether the key is one that anybody may know."""
    changes: Changes = field(default_factory=Changes)
    begun: bool = False
    """Whether the parameters were good and the operation has begun."""

    # Ids and time

    @property
    def created(self) -> int:
        """The time objects made now bear."""
        return int(self.now)

    def new_id(self, prefix: str) -> str:
        """Return an id of fourteen letters, as customers have."""
        return new_id(f"{prefix}_", self.random, length=14)

    def new_record_id(self, prefix: str, *, series: str = "1") -> str:
        """
        Return an id of 24 letters that carries the account's, as events and endpoints have.

        On the path of a payment the *series* is ``3``.
        """
        random = new_id("", self.random, length=13)
        return f"{prefix}_{series}{random[:5]}{self.account.tail}{random[5:]}"

    def new_client_secret(self, of: str) -> str:
        """Return the secret a browser may act on the object *of* with."""
        return new_id(f"{of}_secret_", self.random, length=25)

    def new_secret(self) -> str:
        """Return a signing secret: 32 letters nobody can guess, if `random` is fit for that."""
        return new_id("whsec_", self.random, length=32)

    def new_invoice_prefix(self) -> str:
        """Return eight capitals and digits, the way Stripe begins a customer's invoice numbers."""
        return new_id("", self.random, length=8).upper()

    # Objects

    def find(self, kind: str, wanted: str) -> Json | None:
        """Return the object as this transaction left it, or None."""
        if (kind, wanted) in self.changes.removed:
            return None
        for written, value in reversed(self.changes.objects):
            if written == kind and value["id"] == wanted:
                return value
        return self.store.find(kind, wanted)

    def put(self, kind: str, value: Json) -> None:
        """Write a new object or a new version of one; *value* is never changed after."""
        self.changes.objects.append((kind, value))

    def remove(self, kind: str, wanted: str) -> None:
        """Forget the object altogether."""
        self.changes.removed.append((kind, wanted))

    def abandon_deliveries(self, endpoint_id: str, reason: str) -> None:
        """Give up what the endpoint has yet to take: it is gone, or wants no more."""
        self.changes.deliveries.extend(
            abandoned(delivery, reason) for delivery in self.store.pending_for(endpoint_id)
        )

    # What comes later

    def later(self, seconds: float, name: str, subject: str) -> None:
        """Let the task *name* be done about the object *subject* in so many seconds."""
        self.changes.tasks.append(Task(self.now + seconds, name, subject))

    # Events

    def emit(self, event_type: str, subject: Json, previous: Json | None = None) -> None:
        """Tell the world that *subject* changed; *previous* holds the old values of what did."""
        data: dict[str, Any] = {"object": subject}
        if previous is not None:
            data["previous_attributes"] = previous
        event: Json = {
            "id": self.new_record_id("evt", series=_series(subject)),
            "object": "event",
            "api_version": self.catalogue.api_version,
            "created": self.created,
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,  # counted whenever the event is shown
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": event_type,
        }
        self.changes.events.append(event)
        self.changes.deliveries.extend(
            Delivery(event["id"], endpoint_id)
            for endpoint_id in owed_endpoints(event_type, self._endpoints())
        )

    def _endpoints(self) -> Sequence[Json]:
        return self.store.everything(ENDPOINT_KIND)


def _series(subject: Json) -> str:
    """Return what the id of an event about *subject* begins with: ``3`` for a payment's."""
    is_payment = _PAYMENT_ID.match(subject.get("id", "")) is not None
    return "3" if is_payment else "1"


_PAYMENT_ID = re.compile(r"[a-z]+_3[0-9A-Za-z]{23}")
