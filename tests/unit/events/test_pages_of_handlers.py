"""The programs on the pages about handlers run, one block after the other."""

import re
from pathlib import Path

import pytest

from hookloop.testing import make, make_thin, send

HOWTO = Path(__file__).parents[3] / "docs" / "howto"


def run_page(name: str) -> dict:
    world: dict = {}
    for block in re.findall(r"```python\n(.*?)```", (HOWTO / name).read_text(), re.DOTALL):
        exec(block, world)
    return world


@pytest.mark.parametrize(
    ("event", "status", "outcome"),
    [
        (make("invoice.paid"), 200, "handled"),
        (make_thin("v1.invoice.paid"), 200, "handled"),
        (make("customer.updated", name="new"), 200, "handled"),
        (make("charge.failed", amount=200_000), 503, "retry"),
        (make("charge.failed", amount=1, currency="eur"), 422, "rejected"),
        (make("charge.failed", amount=1, currency="usd", description="test"), 200, "dropped"),
        (make("charge.failed", amount=1, currency="usd", description="real"), 200, "handled"),
    ],
)
def test_the_page_s_handlers_answer_as_it_says(event, status, outcome, capsys):
    """Each outcome has its status."""
    hooks = run_page("handlers.md")["hooks"]

    answer = send(hooks, event, secret="whsec_...")

    assert (answer.status, answer.outcome) == (status, outcome)


def test_the_page_s_filter_ends_what_is_not_ours(capsys):
    """Of another account."""
    hooks = run_page("handlers.md")["hooks"]

    answer = send(hooks, make("invoice.paid", account="acct_2"), secret="whsec_...")

    assert (answer.status, answer.outcome) == (200, "ignored")


@pytest.mark.parametrize(("amount", "approved"), [(4999, True), (5000, False)])
def test_the_page_s_authorization_is_answered(amount: int, approved: bool, capsys):
    """With the JSON Stripe waits for."""
    hooks = run_page("handlers.md")["hooks"]

    answer = send(hooks, make("issuing_authorization.request", amount=amount), secret="whsec_...")

    assert answer.json == {"approved": approved}


def test_the_page_s_observers_hear(capsys):
    """Ours and one's own."""
    world = run_page("metrics-and-traces.md")
    counting = world["Counting"]()
    world["hooks"].observe(counting)

    send(world["hooks"], make("invoice.paid"), secret="whsec_...")

    assert counting.outcomes == {"ignored": 1}
