"""Registering handlers: exact, by prefix, for all; taking them back; joining modules."""

import functools

import pytest

from hookloop import ConfigError, Event, Handlers, Hooks, Reply
from hookloop.testing import make, send

SECRET = "whsec_x"


@pytest.fixture
def hooks() -> Hooks:
    return Hooks(SECRET)


def outcome(hooks: Hooks, type_: str = "customer.updated", **fields) -> str | None:
    return send(hooks, make(type_, **fields), secret=SECRET).outcome


def test_handlers_run_in_the_order_they_were_registered(hooks: Hooks):
    """Exact ones, prefixes and on_any alike."""
    ran = []
    hooks.on_any(lambda e: ran.append("any"))
    hooks.on("customer.updated")(lambda e: ran.append("exact"))
    hooks.on_prefix("customer.")(lambda e: ran.append("prefix"))
    hooks.on("customer.created", "customer.updated")(lambda e: ran.append("several"))

    assert outcome(hooks) == "handled"
    assert ran == ["any", "exact", "prefix", "several"]


def test_a_prefix_is_only_what_it_says(hooks: Hooks):
    """With its dot it takes the family, and not what merely starts alike."""
    hooks.on_prefix("customer.")(lambda e: None)

    assert hooks.is_listening("customer.subscription.updated")
    assert not hooks.is_listening("customer_cash_balance_transaction.created")


@pytest.mark.parametrize(
    ("type_", "closest"),
    [("invoice.payed", "invoice.paid"), ("customer.update", "customer.updated")],
)
def test_a_typo_fails_where_it_is_written_with_the_closest_match(hooks, type_, closest):
    """At import, not when the event never comes."""
    with pytest.raises(ConfigError, match=closest):
        hooks.on(type_)


@pytest.mark.parametrize("types", [(), ("",), ("customer.",), ("*",), (print,)])
def test_what_is_no_type_is_refused(hooks, types):
    """`@hooks.on` without types, and families."""
    with pytest.raises(ConfigError):
        hooks.on(*types)(lambda e: None)


@pytest.mark.parametrize("prefix", ["", "customer.*"])
def test_what_is_no_prefix_is_refused(hooks, prefix):
    """on_any is for everything."""
    with pytest.raises(ConfigError, match="not a prefix"):
        hooks.on_prefix(prefix)(lambda e: None)


def test_on_unknown_takes_types_this_version_does_not_know(hooks: Hooks):
    """Previews; and an unknown type that arrives never fails."""
    seen = []
    hooks.on_unknown("preview.thing")(seen.append)

    event = {"id": "evt_1", "object": "event", "type": "preview.thing"}
    assert send(hooks, event, secret=SECRET).outcome == "handled"
    assert send(hooks, {**event, "id": "evt_2", "type": "other"}, secret=SECRET).status == 200
    assert len(seen) == 1


class Recorder:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, event: Event) -> None:
        self.seen.append(event.id)

    def method(self, event: Event) -> None:
        self.seen.append(event.id)


class AsyncCallable(Recorder):
    async def __call__(self, event: Event) -> None:
        self.seen.append(event.id)


@pytest.mark.parametrize("kind", ["object", "async object", "method", "partial", "async partial"])
def test_any_callable_is_a_handler(hooks: Hooks, kind: str):
    """stripe_event takes whatever responds to call."""
    thing = AsyncCallable() if kind == "async object" else Recorder()

    async def asynchronous(seen: list[str], event: Event) -> None:
        seen.append(event.id)

    handler = {
        "object": thing,
        "async object": thing,
        "method": thing.method,
        "partial": functools.partial(lambda seen, event: seen.append(event.id), thing.seen),
        "async partial": functools.partial(asynchronous, thing.seen),
    }[kind]
    hooks.on_any(handler)

    assert outcome(hooks) == "handled"
    assert send(hooks.asgi, make("customer.updated"), secret=SECRET).outcome == "handled"
    assert len(thing.seen) == 2


def test_a_plain_function_that_returns_a_coroutine_is_awaited(hooks: Hooks):
    """A lambda around an async function hides what it is."""
    seen = []

    async def handler(event: Event) -> None:
        seen.append(event.id)

    hooks.on_any(lambda event: handler(event))  # noqa: PLW0108  # the lambda is the point

    outcome(hooks)
    send(hooks.asgi, make("customer.updated"), secret=SECRET)

    assert len(seen) == 2


def test_what_cannot_be_called_is_refused(hooks: Hooks):
    """Said at import."""
    with pytest.raises(ConfigError, match="callable"):
        hooks.on_any("handler")  # type: ignore[arg-type]  # the point


def test_unsubscribe_takes_every_registration_of_a_function(hooks: Hooks):
    """And says how many there were."""

    def handler(event: Event) -> None: ...

    hooks.on("invoice.paid", "charge.failed")(handler)
    hooks.on_prefix("customer.")(handler)

    assert hooks.unsubscribe(handler) == 2
    assert not hooks.is_listening("invoice.paid")
    assert hooks.unsubscribe(handler) == 0


def test_a_decorated_function_is_still_itself(hooks: Hooks):
    """It can be called in a test."""

    @hooks.on("invoice.paid")
    def handler(event: Event) -> str:
        return "ok"

    assert handler.__name__ == "handler"
    assert handler(None) == "ok"


def test_include_takes_handlers_in_at_its_place_and_later_ones_too(hooks: Hooks):
    """Modules register when they are imported, before or after the include."""
    ran, module = [], Handlers()
    hooks.on_any(lambda e: ran.append("first"))
    hooks.include(module)
    hooks.on_any(lambda e: ran.append("last"))
    outcome(hooks)
    module.on("customer.updated")(lambda e: ran.append("module"))

    outcome(hooks)

    assert ran == ["first", "last", "first", "module", "last"]


def test_hooks_can_include_hooks_and_their_filters(hooks: Hooks):
    """An app with endpoints of its own may be part of a larger one."""
    inner, ran = Hooks("whsec_inner"), []
    inner.on_any(ran.append)
    inner.filter(lambda e: None if e.data["object"]["name"] == "skip" else e)
    hooks.include(inner)

    assert outcome(hooks, name="skip") == "ignored"
    assert outcome(hooks, name="keep") == "handled"


def test_hooks_that_include_each_other_are_refused(hooks: Hooks):
    """At whatever distance."""
    middle = Handlers()
    hooks.include(middle)

    for other in (hooks, middle):
        with pytest.raises(ConfigError, match="include each other"):
            middle.include(other)


def test_filters_run_in_order_on_what_the_one_before_returned(hooks: Hooks):
    """Sync or async."""
    seen = []

    @hooks.filter
    async def first(event: Event) -> Event:
        return Event({**event.payload, "livemode": True}, event.raw, id=event.id, type=event.type)

    hooks.filter(lambda event: seen.append(event.livemode) or event)
    hooks.on_any(lambda event: seen.append(event.livemode))

    assert outcome(hooks) == "handled"
    assert seen == [True, True]


def test_a_filter_that_raises_is_500_and_runs_no_handler(hooks: Hooks, caplog):
    """The event comes again."""
    hooks.filter(lambda event: 1 / 0)
    hooks.on_any(lambda event: pytest.fail("it must not run"))

    answer = send(hooks, make("customer.updated"), secret=SECRET)

    assert (answer.status, answer.outcome) == (500, "failed")
    assert "ZeroDivisionError" in caplog.text


def test_a_filter_that_returns_something_else_is_500(hooks: Hooks, caplog):
    """True is a common slip."""
    hooks.filter(lambda event: True)
    hooks.on_any(lambda event: pytest.fail("it must not run"))

    assert outcome(hooks) == "failed"
    assert "expected an Event or None" in caplog.text


@pytest.mark.parametrize("seconds", [0, -1, 20_000])
def test_a_deadline_must_be_in_seconds(hooks: Hooks, seconds: float):
    """20_000 is 20 s to somebody."""
    with pytest.raises(ConfigError, match="seconds"):
        hooks.on("invoice.paid", deadline_seconds=seconds)(lambda e: None)


def test_the_answering_handler_runs_before_the_others(hooks: Hooks):
    """Stripe waits two seconds for it, and not for the log."""
    ran = []
    hooks.on_any(lambda e: ran.append("log"))

    @hooks.on("issuing_authorization.request", default=Reply({"approved": False}))
    def decide(event: Event) -> Reply:
        ran.append("decide")
        return Reply({"approved": True})

    answer = send(hooks, make("issuing_authorization.request"), secret=SECRET)

    assert answer.json == {"approved": True}
    assert ran == ["decide", "log"]


def test_another_handler_s_failure_does_not_take_an_awaited_answer(hooks: Hooks):
    """Its sender acts on the answer and asks once."""
    hooks.on("issuing_authorization.request", default=Reply({"approved": False}))(
        lambda e: Reply({"approved": True})
    )
    hooks.on_any(lambda e: 1 / 0)

    answer = send(hooks, make("issuing_authorization.request"), secret=SECRET)

    assert (answer.status, answer.json) == (200, {"approved": True})


def test_a_sync_handler_past_its_deadline_leaves_the_default_answer(hooks: Hooks):
    """It cannot be stopped; the answer does not wait for it."""
    import threading

    release = threading.Event()

    @hooks.on(
        "issuing_authorization.request", deadline_seconds=0.01, default=Reply({"approved": False})
    )
    def decide(event: Event) -> Reply:
        release.wait(10)
        return Reply({"approved": True})

    answer = send(hooks, make("issuing_authorization.request"), secret=SECRET)
    release.set()

    assert answer.json == {"approved": False}
