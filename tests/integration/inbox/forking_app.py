"""Programs that fork with an inbox in hand: run with a scenario and a folder."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from hookloop import Event, Hooks
from hookloop.inbox import Inbox, InboxSettings
from hookloop.ledger.worker import WorkerSettings
from hookloop.signing import stripe_signature_header

SECRET = "whsec_forks"
FOLDER = Path(sys.argv[2])
FILE = FOLDER / "hooks.db"
SHARED = 1000
PATIENCE = 30.0


def hooks_with(*, works: bool) -> Hooks:
    worker = WorkerSettings(poll_seconds=0.05)
    settings = InboxSettings(work_here=works, worker=worker)
    return Hooks(SECRET, inbox=Inbox(f"sqlite:///{FILE}", settings))


def send(hooks: Hooks, number: int) -> None:
    """Receive an event, and say what its sender was told."""
    body = b'{"id":"evt_%d","object":"event","type":"a.b","livemode":false}' % number
    header = stripe_signature_header(body, [SECRET], signed_at=int(time.time()))
    outcome = hooks.receive(body, {"Stripe-Signature": header}).outcome
    os.write(1, f"{number} {outcome}\n".encode())


def told(event: Event) -> None:
    with (FOLDER / "effects").open("a") as effects:
        effects.write(f"{event.id} {os.getpid()}\n")


def forked(work: Callable[[], None]) -> int:
    """Run *work* in a child, which ends as an interpreter does not: without cleaning up."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def ended(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status


def prefork() -> None:
    """Three children receive twenty events each and one in common; the parent had one before."""
    hooks = hooks_with(works=True)
    hooks.on_any(told)
    send(hooks, 0)

    def child(first: int) -> None:
        for number in range(first, first + 20):
            send(hooks, number)
        send(hooks, SHARED)
        hooks.inbox.stop()

    for pid in [forked(lambda first=first: child(first)) for first in (100, 200, 300)]:
        ended(pid)
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE
    while len((FOLDER / "effects").read_text().splitlines()) < 62 and time.monotonic() < deadline:
        pause.wait(0.02)
    hooks.inbox.stop()


def daemon() -> None:
    """The parent has an event, forks, and closes the file; the child has two more."""
    hooks = hooks_with(works=False)
    hooks.on_any(told)
    send(hooks, 0)
    child_ready, parent_ready = os.pipe(), os.pipe()

    def child() -> None:
        send(hooks, 1)
        os.write(child_ready[1], b"!")
        os.read(parent_ready[0], 1)
        send(hooks, 2)

    pid = forked(child)
    os.read(child_ready[0], 1)
    hooks.inbox.stop()
    os.write(parent_ready[1], b"!")
    ended(pid)
    connection = apsw.Connection(str(FILE))
    kept = connection.execute("SELECT count(*) FROM message").fetchone()[0]
    os.write(1, f"kept {kept}\n".encode())


def transaction() -> None:
    """A handler has its transaction while another thread forks."""
    hooks = hooks_with(works=True)
    begun, may_end, done = threading.Event(), threading.Event(), threading.Event()

    @hooks.on_any
    def handler(event: Event, tx: apsw.Connection) -> None:
        begun.set()
        assert may_end.wait(PATIENCE)
        done.set()

    send(hooks, 0)
    assert begun.wait(PATIENCE)
    pid = forked(lambda: send(hooks, 1))
    ended(pid)
    may_end.set()
    assert done.wait(PATIENCE)
    send(hooks, 2)
    hooks.inbox.stop()


if __name__ == "__main__":
    {"prefork": prefork, "daemon": daemon, "transaction": transaction}[sys.argv[1]]()
