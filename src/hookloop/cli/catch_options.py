"""How a person asks for catch mode, and what they see of it."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hookloop.exchange import RequestHead
    from hookloop.tunnel.catch.observer import CatchEvent, Delivered

    from .console import AgentConsole

__all__ = [
    "CatchDirOption",
    "CatchOption",
    "CatchPathOption",
    "CatchStatusOption",
    "CatchTeller",
]

CatchOption = Annotated[
    bool,
    typer.Option(
        "--catch",
        help="While the local service is down, keep the POSTs that come, answer 202, and deliver "
        "them in order when it is back.",
    ),
]
CatchPathOption = Annotated[
    list[str] | None,
    typer.Option(
        "--catch-path",
        metavar="PATH",
        help="Catch only these, such as '/webhooks/*'; may be repeated.",
    ),
]
CatchStatusOption = Annotated[
    int, typer.Option("--catch-status", help="What senders of caught requests are answered.")
]
CatchDirOption = Annotated[
    str | None,
    typer.Option(
        "--catch-dir",
        metavar="DIR",
        help="Where caught requests are kept; without it, below ~/.local/state.",
    ),
]

STALE_SECONDS = 300
"""After so long a Stripe signature is too old for the library's own check."""


class CatchTeller:
    """A `CatchObserver` that says each thing in a sentence, as a note of the console."""

    def __init__(self, console: "AgentConsole") -> None:
        self._console = console

    def catch_event(self, event: "CatchEvent") -> None:
        from hookloop.tunnel.catch import observer as events

        match event:
            case events.Left(waiting):
                self._console.note("news", f"{waiting} caught requests wait since the last time")
            case events.Caught(_, head, waiting):
                self._console.note("news", f"caught {_request(head)}: {waiting} waiting")
            case events.NotCaught(_, head, reason):
                self._console.note("error", f"not caught {_request(head)}: {reason}")
            case events.Delivering(waiting):
                self._console.note("news", f"the app is back: delivering {waiting} caught")
            case events.Delivered():
                self._delivered(event)
            case events.Postponed(_, head, reason, retry, waiting):
                when = "when it is back" if retry is None else f"in {retry:g} s"
                self._console.note(
                    "warning", f"{_request(head)} again {when}: {reason}; {waiting} waiting"
                )

    def _delivered(self, event: "Delivered") -> None:
        said = f"delivered {_request(event.head)}: {event.status}, {event.waiting} waiting"
        if event.is_taken:
            self._console.note("news", said)
            return
        hint = ""
        if event.age_seconds > STALE_SECONDS:
            hint = (
                f". It came {event.age_seconds / 60:.0f} min ago: a signature's age is checked "
                "too, by many for 5 min"
            )
        self._console.note("warning", said + hint)


def _request(head: "RequestHead") -> str:
    """Name a request without its query, which may hold what a screen should not."""
    path = head.target.partition(b"?")[0].decode("ascii", "replace")
    return f"{head.method.decode('ascii', 'replace')} {path}"
