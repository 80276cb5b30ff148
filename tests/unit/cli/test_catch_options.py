"""What a person reads of catch mode: a sentence for each thing, and no query in it."""

import pytest

from hookloop.cli.catch_options import CatchTeller
from hookloop.exchange import RequestHead
from hookloop.tunnel.catch.observer import (
    Caught,
    Delivered,
    Delivering,
    Left,
    NotCaught,
    Postponed,
)

HEAD = RequestHead(b"POST", b"/hook?token=secret", ())


class Console:
    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def note(self, kind, text) -> None:
        self.notes.append((kind, text))


def delivered(status, age=1.0) -> Delivered:
    return Delivered("shop", HEAD, status, 0.0, age, 2)


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        (Left(3), "news", "3 caught requests wait since the last time"),
        (Caught("shop", HEAD, 3), "news", "caught POST /hook: 3 waiting"),
        (NotCaught("shop", HEAD, "disk full"), "error", "not caught POST /hook: disk full"),
        (Delivering(3), "news", "the app is back: delivering 3 caught"),
        (delivered(200), "news", "delivered POST /hook: 200, 2 waiting"),
        (delivered(400), "warning", "delivered POST /hook: 400, 2 waiting"),
        (
            delivered(400, age=3600.0),
            "warning",
            (
                "delivered POST /hook: 400, 2 waiting. It came 60 min ago: a signature's age is "
                "checked too, by many for 5 min"
            ),
        ),
        (
            Postponed("shop", HEAD, "refused", None, 2),
            "warning",
            "POST /hook again when it is back: refused; 2 waiting",
        ),
        (
            Postponed("shop", HEAD, "the app answered 500", 0.5, 2),
            "warning",
            "POST /hook again in 0.5 s: the app answered 500; 2 waiting",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_event_is_a_sentence(event, kind, text):
    """The kind says how much it matters."""
    console = Console()

    CatchTeller(console).catch_event(event)

    assert console.notes == [(kind, text)]
