"""An application of the inbox for the tests: `hookloop worker inbox_app:hooks`, and a receiver."""

import os
import sys
import threading
import time
from pathlib import Path

from hookloop import Hooks
from hookloop.inbox import Inbox, InboxSettings
from hookloop.ledger.worker import WorkerSettings
from hookloop.schedule import RetrySchedule
from hookloop.signing import stripe_signature_header

SECRET = "whsec_inbox"
FOLDER = Path(os.environ.get("INBOX_FOLDER", "."))
IS_WORKER = os.environ.get("INBOX_WORKS", "") == "1"

hooks = Hooks(
    SECRET,
    inbox=Inbox(
        os.environ.get("INBOX_URL", f"sqlite:///{FOLDER}/hooks.db"),
        InboxSettings(
            work_here=IS_WORKER,
            schedule=RetrySchedule((0.0,) * 5),
            worker=WorkerSettings(poll_seconds=0.1, lease_seconds=1.0, stop_seconds=30.0),
        ),
    ),
)


def told(name: str, event) -> None:
    """Append a line that outlives this process."""
    with (FOLDER / "effects").open("a") as effects:
        effects.write(f"{name} {event.id} {os.getpid()}\n")


@hooks.on("customer.created")
def plain(event):
    told("plain", event)


@hooks.on("customer.created")
async def asynchronous(event):
    told("asynchronous", event)


@hooks.on("customer.deleted")
def poison(event):
    told("poison", event)
    os._exit(9)


@hooks.on("customer.deleted")
def innocent(event):
    told("innocent", event)


@hooks.on("customer.updated")
def slow(event):
    """Runs until a file says that it may end; for longer than its lease."""
    told("slow-begins", event)
    while not (FOLDER / "may-end").exists():
        threading.Event().wait(0.02)
    told("slow-ends", event)


def body_of(number: int, type_: str) -> bytes:
    return b'{"id":"evt_%d","object":"event","type":"%s","livemode":false}' % (
        number,
        type_.encode(),
    )


def accept(type_: str, first: int, count: int) -> None:
    """Receive events as a web server would, and print the number of each that was accepted."""
    for number in range(first, first + count):
        body = body_of(number, type_)
        header = stripe_signature_header(body, [SECRET], signed_at=int(time.time()))
        result = hooks.receive(body, {"Stripe-Signature": header})
        print(number, result.status, result.outcome, flush=True)


if __name__ == "__main__":
    accept(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
