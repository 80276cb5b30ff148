"""What is told of requests and handlers: ids and reasons, never a payload or a secret."""

import logging
from contextlib import contextmanager

import pytest

from hookloop import Drop, Hooks, Reject
from hookloop.testing import ManualClock, make, send, sign

NOW = 1_750_000_000
SECRET = "whsec_hidden"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def hooks(clock: ManualClock) -> Hooks:
    return Hooks(SECRET, clock=clock)


def signed(type_: str = "customer.updated", **fields):
    return sign(make(type_, email="jenny@example.com", **fields), SECRET, signed_at=NOW)


def forged():
    return sign(make("customer.updated", email="jenny@example.com"), "whsec_other", signed_at=NOW)


def test_a_failed_handler_is_logged_by_ids(hooks: Hooks, caplog):
    """Structured, with the traceback, and without the payload."""

    @hooks.on_any
    def broken(event):
        raise KeyError("oh")

    send(hooks, signed(id="evt_1"))

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("hookloop", logging.ERROR)
    assert (record.event_id, record.event_type) == ("evt_1", "customer.updated")
    assert "broken" in record.handler
    assert "KeyError" in caplog.text
    assert "jenny" not in caplog.text


@pytest.mark.parametrize(
    ("said", "word"), [(Drop("stale"), "dropped"), (Reject("odd"), "rejected")]
)
def test_what_is_given_up_is_logged_with_its_reason(hooks: Hooks, caplog, said, word):
    """Nobody else will hear of it."""
    hooks.on_any(lambda event: said)

    send(hooks, signed())

    assert f"event {word}" in caplog.text
    assert said.reason in caplog.text


def test_a_refusal_is_logged_with_its_reason_and_no_secret(hooks: Hooks, caplog):
    """The sender is told nothing of it."""
    send(hooks, forged())

    assert "reason=mismatch" in caplog.text
    assert "hidden" not in caplog.text
    assert "jenny" not in caplog.text


def test_a_flood_of_refusals_is_a_line_a_second(hooks: Hooks, clock: ManualClock, caplog):
    """Whoever floods us must not fill the disk as well."""
    for _ in range(100):
        send(hooks, forged())
    clock.advance(1)
    send(hooks, forged())

    first, second = caplog.records
    assert "more like it" not in first.getMessage()
    assert "99 more like it" in second.getMessage()


def test_our_own_faults_are_errors_and_forgeries_warnings(hooks: Hooks, caplog):
    """An alert on errors stays quiet for what the internet does all day."""
    send(hooks, forged())
    empty = signed()
    empty.body = b""
    send(hooks, empty)
    send(hooks, sign(b"[]", SECRET, signed_at=NOW))

    assert [record.levelno for record in caplog.records] == [
        logging.WARNING,
        logging.ERROR,
        logging.ERROR,
    ]


class Recorder:
    def __init__(self) -> None:
        self.attempts: list[tuple[str, str]] = []
        self.answers: list[tuple] = []

    @contextmanager
    def attempt(self, event, handler):
        try:
            yield
        except Exception as error:
            self.attempts.append((handler.rpartition(".")[2], type(error).__name__))
            raise
        self.attempts.append((handler.rpartition(".")[2], "ok"))

    def answered(self, answered):
        event_id = answered.event.id if answered.event else None
        self.answers.append((answered.result.outcome, answered.reason, event_id))


def test_an_observer_hears_of_attempts_and_answers(hooks: Hooks):
    """Also of what was refused, with its reason."""
    observer = Recorder()
    hooks.observe(observer)

    @hooks.on_any
    def good(event): ...

    @hooks.on_any
    def dropping(event):
        return Drop()

    send(hooks, signed(id="evt_1"))
    send(hooks, forged())
    send(hooks.asgi, signed(id="evt_1"), method="GET")

    assert observer.attempts == [("good", "ok"), ("dropping", "Drop")]
    assert observer.answers == [
        ("dropped", None, "evt_1"),
        ("invalid_signature", "mismatch", None),
        ("method_not_allowed", "method", None),
    ]


def test_an_observer_that_raises_costs_no_event(hooks: Hooks, caplog):
    """A metric is worth less than what it counts."""
    observer = Recorder()
    observer.answered = lambda answered: 1 / 0
    hooks.observe(observer)
    hooks.on_any(lambda event: None)

    assert send(hooks, signed()).outcome == "handled"
    assert "an observer raised" in caplog.text


def test_the_seconds_of_an_answer_are_those_of_the_clock(hooks: Hooks, clock: ManualClock):
    """From the complete request to its answer."""
    observer, seconds = Recorder(), []
    observer.answered = lambda answered: seconds.append(answered.seconds)
    hooks.observe(observer)
    hooks.on_any(lambda event: clock.advance(2.5))

    send(hooks, signed())

    assert seconds == [2.5]
