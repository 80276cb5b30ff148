"""Signed events for an inbox, and what its handlers have done with them."""

import json
import threading
import time

from hookloop import Hooks
from hookloop.inbox import InboxSettings
from hookloop.schedule import RetrySchedule
from hookloop.signing import stripe_signature_header

SECRET = "whsec_inbox"
WAIT_SECONDS = 30.0
"""For a state to come about, on a machine that is busy with other things."""

AT_ONCE = InboxSettings(schedule=RetrySchedule((0.0,) * 5))


def body_of(number: int = 1, *, type_="customer.updated", object_id="cus_1", created=1, **more):
    """Return an event's body, in bytes that no JSON encoder would make again."""
    event = {
        "id": f"evt_{number}",
        "object": "event",
        "type": type_,
        "created": created,
        "livemode": False,
        "data": {"object": {"id": object_id, "object": "customer"}},
        **more,
    }
    return json.dumps(event, indent=3).encode()


def signed(body: bytes) -> dict[str, str]:
    return {"Stripe-Signature": stripe_signature_header(body, [SECRET], signed_at=int(time.time()))}


def send(hooks: Hooks, body: bytes):
    return hooks.receive(body, signed(body))


class Seen:
    """What handlers have done, and a way to wait until they have."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self._changed = threading.Condition()

    def __call__(self, what: object) -> None:
        with self._changed:
            self.done.append(what)
            self._changed.notify_all()

    def wait(self, count: int) -> list[object]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.done) >= count, WAIT_SECONDS), self.done
            return list(self.done)
