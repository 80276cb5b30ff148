"""The status-code table: every row, on every face."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from faces import FACES, PATH, Face

from hookloop import Drop, Event, Hooks, Reject, Reply, Retry
from hookloop.signing import sign_stripe, stripe_signature_header
from hookloop.testing import ManualClock, SignedRequest, make, make_thin

SECRET = "whsec_the_one"
NOW = 1_750_000_000


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="hookloop")
    caplog.set_level(logging.CRITICAL, logger="django")


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request: pytest.FixtureRequest) -> Face:
    return request.param


def hooks_at_now(**how: Any) -> Hooks:
    return Hooks(**{"secrets": SECRET, "clock": ManualClock(NOW), **how})


def signed(event: Any, *, at: int = NOW, header: str | None = None, **extra: str) -> SignedRequest:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    value = stripe_signature_header(body, [SECRET], signed_at=at) if header is None else header
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if value:
        headers.append(("Stripe-Signature", value))
    headers = [(name, value) for name, value in headers if name.lower() not in extra]
    return SignedRequest(body, [*headers, *extra.items()])


def answer_to(face: Face, hooks: Hooks, request: SignedRequest, **how: Any) -> tuple[int, Any]:
    answer = face.send(hooks, request, secret=SECRET, **how)
    return answer.status, answer.outcome


EVENT = make("customer.updated", id="evt_1", name="Jenny")
BODY = json.dumps(EVENT).encode()
GOOD = sign_stripe(BODY, SECRET, signed_at=NOW)


# --- what never reaches a handler -----------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405_and_says_what_is_allowed(face: Face, method: str):
    """A browser that opens the URL, or a health check."""
    answer = face.send(hooks_at_now(), signed(EVENT), method=method)

    assert (answer.status, answer.outcome) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_a_body_over_the_limit_is_413(face: Face):
    """Refused by its announced length where a face sees one, and by its size."""
    hooks = hooks_at_now(body_bytes_max=len(BODY) - 1)

    assert answer_to(face, hooks, signed(EVENT)) == (413, "body_too_large")


def test_a_body_at_the_limit_is_handled(face: Face):
    """The limit is what still goes."""
    hooks = hooks_at_now(body_bytes_max=len(BODY))
    hooks.on_any(lambda event: None)

    assert answer_to(face, hooks, signed(EVENT)) == (200, "handled")


HEADERS = {
    "missing": "",
    "over 4 KB": f"t={NOW},v1={GOOD}," + "v0=x," * 1000,
    "no t": f"v1={GOOD}",
    "no v1": f"t={NOW},v0={GOOD}",
    "two t": f"t={NOW},t={NOW},v1={GOOD}",
    "a v1 that is not ASCII": f"t={NOW},v1={GOOD[:-1]}é",
    "a t that is no number": f"t=now,v1={GOOD}",
    "a t of 13 digits": f"t=1234567890123,v1={GOOD}",
    "a v1 of 63 digits": f"t={NOW},v1={GOOD[:-1]}",
    "a v1 in upper case": f"t={NOW},v1={GOOD.upper()}",
    "somebody else's secret": stripe_signature_header(BODY, ["whsec_other"], signed_at=NOW),
    "too old": stripe_signature_header(BODY, [SECRET], signed_at=NOW - 301),
    "from the future": stripe_signature_header(BODY, [SECRET], signed_at=NOW + 301),
    "nonsense": "=,=,,t,v1",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_what_is_not_signed_by_us_and_now_is_400(face: Face, header: str):
    """And the answer never says why."""
    hooks = hooks_at_now()
    hooks.on_any(lambda event: pytest.fail("it must not run"))

    assert answer_to(face, hooks, signed(EVENT, header=header)) == (400, "invalid_signature")


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW},v1={'0' * 64},v1={GOOD}",
        f"t={NOW}, v1={GOOD}",
        f"t={NOW},v1={GOOD},v0=anything",
        stripe_signature_header(BODY, [SECRET], signed_at=NOW - 300),
        stripe_signature_header(BODY, [SECRET], signed_at=NOW + 300),
    ],
    ids=["two v1", "a space", "another scheme", "300 s old", "300 s ahead"],
)
def test_what_is_signed_in_any_good_way_is_200(face: Face, header: str):
    """Two v1 are what a roll of the secret looks like."""
    hooks = hooks_at_now()
    hooks.on_any(lambda event: None)

    assert answer_to(face, hooks, signed(EVENT, header=header)) == (200, "handled")


def test_no_secret_for_the_request_is_500(face: Face):
    """A tenant nobody knows: our trouble, so that the event comes again."""
    hooks = hooks_at_now(secrets=lambda request: None)

    assert answer_to(face, hooks, signed(EVENT)) == (500, "no_secret")


def test_an_announced_body_that_is_gone_is_500(face: Face):
    """A middleware has read it: our trouble, and not a forger."""
    request = signed(EVENT)
    request.body = b""

    assert answer_to(face, hooks_at_now(), request) == (500, "raw_body_unavailable")


BODIES = {
    "no JSON": b"{",
    "an array": b"[]",
    "null": b"null",
    "no id": b'{"type": "customer.updated"}',
    "an id that is a number": b'{"id": 1, "type": "customer.updated"}',
    "no type": b'{"id": "evt_1"}',
    "no UTF-8": b'{"id": "\xff", "type": "x"}',
    "NaN": b'{"id": "evt_1", "type": "x", "n": NaN}',
    "deep nesting": b'{"id": "evt_1", "type": "x", "n": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_signed_body_that_is_no_event_is_400(face: Face, body: bytes):
    """It will never become one by coming again."""
    assert answer_to(face, hooks_at_now(), signed(body)) == (400, "invalid_payload")


# --- verified, and nothing to do ------------------------------------------------------------


def test_an_event_nobody_handles_is_200(face: Face):
    """Known or unknown type."""
    hooks = hooks_at_now()
    hooks.on("invoice.paid")(lambda event: pytest.fail("it must not run"))

    assert answer_to(face, hooks, signed(EVENT)) == (200, "ignored")
    unknown = signed({"id": "evt_2", "object": "event", "type": "brand.new"})
    assert answer_to(face, hooks, unknown) == (200, "ignored")


def test_an_event_of_the_other_mode_is_200_and_ignored(face: Face):
    """Connect sends test events to live URLs."""
    hooks = hooks_at_now(livemode=True)
    hooks.on_any(lambda event: pytest.fail("it must not run"))

    assert answer_to(face, hooks, signed(EVENT)) == (200, "ignored")


def test_a_filtered_event_is_200_and_ignored(face: Face):
    """None from a filter ends it."""
    hooks = hooks_at_now()
    hooks.filter(lambda event: None)
    hooks.on_any(lambda event: pytest.fail("it must not run"))

    assert answer_to(face, hooks, signed(EVENT)) == (200, "ignored")


# --- handled --------------------------------------------------------------------------------


def test_handled_by_sync_and_async_handlers_is_200(face: Face):
    """Both kinds in one Hooks, on every face."""
    hooks, ran = hooks_at_now(), []

    @hooks.on("customer.updated")
    def sync(event: Event) -> None:
        ran.append("sync")

    @hooks.on_prefix("customer.")
    async def asynchronous(event: Event) -> None:
        await asyncio.sleep(0)
        ran.append("async")

    assert answer_to(face, hooks, signed(EVENT)) == (200, "handled")
    assert ran == ["sync", "async"]


def test_a_duplicate_of_what_is_done_is_200_and_runs_nothing(face: Face):
    """Stripe promises at least once."""
    hooks, ran = hooks_at_now(), []
    hooks.on_any(ran.append)

    assert answer_to(face, hooks, signed(EVENT)) == (200, "handled")
    assert answer_to(face, hooks, signed(EVENT, at=NOW + 5)) == (200, "duplicate")
    assert len(ran) == 1


def test_a_duplicate_while_the_first_runs_is_409(face: Face):
    """Not 200: should the first die, another attempt is still owed."""
    hooks, second = hooks_at_now(), []
    # Django under ASGI has one thread for all sync views: there the second would wait.
    inner = FACES[0] if face.name == "django asgi" else face

    @hooks.on_any
    def handler(event: Event) -> None:
        second.append(answer_to(inner, hooks, signed(EVENT)))

    assert answer_to(face, hooks, signed(EVENT)) == (200, "handled")
    assert second == [(409, "busy")]


def test_a_failed_event_runs_again_for_the_failed_handler_alone(face: Face):
    """What is done is done."""
    hooks, ran = hooks_at_now(), []

    @hooks.on_any
    def good(event: Event) -> None:
        ran.append("good")

    @hooks.on_any
    def bad(event: Event) -> None:
        ran.append("bad")
        if ran.count("bad") == 1:
            raise RuntimeError("not this time")

    assert answer_to(face, hooks, signed(EVENT)) == (500, "handler_failed")
    assert answer_to(face, hooks, signed(EVENT)) == (200, "handled")
    assert ran == ["good", "bad", "bad"]


def test_a_handler_that_raises_is_500_and_stops_no_other(face: Face):
    """One failing handler never stops the others."""
    hooks, ran = hooks_at_now(), []

    @hooks.on_any
    def bad(event: Event) -> None:
        raise KeyError("oh")

    hooks.on_any(lambda event: ran.append(event.id))

    assert answer_to(face, hooks, signed(EVENT)) == (500, "handler_failed")
    assert ran == ["evt_1"]


def test_a_handler_past_its_deadline_is_500(face: Face):
    """It is cancelled, and the event comes again."""
    hooks = hooks_at_now()

    @hooks.on("customer.updated", deadline_seconds=0.01)
    async def slow(event: Event) -> None:
        await asyncio.Event().wait()

    assert answer_to(face, hooks, signed(EVENT)) == (500, "handler_failed")


Say = Callable[[Any], Any]


def returning(what: Any) -> Say:
    return lambda event: what


def raising(what: Any) -> Say:
    def handler(event: Event) -> None:
        raise what

    return handler


@pytest.mark.parametrize("say", [returning, raising], ids=["returned", "raised"])
@pytest.mark.parametrize(
    ("what", "status", "outcome"),
    [
        (Retry(after=120), 503, "retry"),
        (Reject("no such order"), 422, "rejected"),
        (Drop("too old to matter"), 200, "dropped"),
    ],
    ids=["Retry", "Reject", "Drop"],
)
def test_an_outcome_has_its_status(face: Face, say: Any, what: Any, status: int, outcome: str):
    """Returned or raised."""
    hooks = hooks_at_now()
    hooks.on_any(say(what))

    answer = face.send(hooks, signed(EVENT), secret=SECRET)

    assert (answer.status, answer.outcome) == (status, outcome)
    assert answer.headers.get("retry-after") == ("120" if outcome == "retry" else None)


def test_a_dropped_event_does_not_run_again_and_a_rejected_one_does(face: Face):
    """Given up is done; failed is not."""
    hooks, ran = hooks_at_now(), []
    hooks.on("customer.updated")(lambda event: ran.append("drop") or Drop())
    hooks.on("customer.created")(lambda event: ran.append("reject") or Reject())
    other = make("customer.created", id="evt_2")

    answers = [answer_to(face, hooks, signed(e))[1] for e in (EVENT, EVENT, other, other)]

    assert answers == ["dropped", "duplicate", "rejected", "rejected"]
    assert ran == ["drop", "reject", "reject"]


def test_a_reply_is_sent_as_it_is(face: Face):
    """Stripe waits for it, with the API version named."""
    hooks = hooks_at_now()
    event = make("issuing_authorization.request", api_version="2026-10-28.endive")
    hooks.on("issuing_authorization.request")(lambda event: Reply({"approved": True}))

    answer = face.send(hooks, signed(event), secret=SECRET)

    assert (answer.status, answer.json) == (200, {"approved": True})
    assert answer.headers["stripe-version"] == "2026-10-28.endive"


@pytest.mark.parametrize("kind", ["late", "failing"])
def test_the_default_answers_for_a_handler_that_cannot(face: Face, kind: str):
    """In time, whatever the handler does."""
    hooks = hooks_at_now()

    @hooks.on(
        "issuing_authorization.request",
        deadline_seconds=0.01,
        default=Reply({"approved": False}),
    )
    async def decide(event: Event) -> Reply:
        if kind == "failing":
            raise RuntimeError
        await asyncio.Event().wait()
        return Reply({"approved": True})

    answer = face.send(hooks, signed(make("issuing_authorization.request")), secret=SECRET)

    assert (answer.status, answer.json) == (200, {"approved": False})


# --- retrieve mode ----------------------------------------------------------------------------


def test_in_retrieve_mode_an_event_the_api_does_not_know_is_401(face: Face):
    """The dashboard's test button sends evt_00000000000000."""
    hooks = hooks_at_now(secrets=(), verify="retrieve", retrieve=lambda id_: None)
    request = signed({"id": "evt_00000000000000", "type": "customer.updated"}, header="")

    assert answer_to(face, hooks, request) == (401, "unknown_event")


def test_in_retrieve_mode_an_api_that_is_down_is_503(face: Face):
    """So that the event comes again."""

    def retrieve(id_: str) -> None:
        raise ConnectionError

    hooks = hooks_at_now(secrets=(), verify="retrieve", retrieve=retrieve)

    assert answer_to(face, hooks, signed(EVENT, header="")) == (503, "unavailable")


def test_in_retrieve_mode_only_the_id_is_believed(face: Face):
    """Everything else is what the API says."""
    hooks, seen = hooks_at_now(secrets=(), verify="retrieve", retrieve=lambda _: EVENT), []
    hooks.on_any(lambda event: seen.append(event.data["object"]["name"]))
    forged = signed({"id": "evt_1", "type": "customer.deleted"}, header="")

    assert answer_to(face, hooks, forged) == (200, "handled")
    assert seen == ["Jenny"]


# --- all faces alike --------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
def test_both_slash_forms_answer(face: Face, path: str):
    """Stripe takes a redirect for a failure."""
    hooks = hooks_at_now()
    hooks.on_any(lambda event: None)

    assert answer_to(face, hooks, signed(EVENT), path=path) == (200, "handled")


def test_a_header_that_comes_twice_is_read_whole(face: Face):
    """A proxy may split what was one."""
    hooks = hooks_at_now()
    hooks.on_any(lambda event: None)
    request = signed(EVENT, header=f"t={NOW}")
    request.headers.append(("Stripe-Signature", f"v1={GOOD}"))

    assert answer_to(face, hooks, request) == (200, "handled")


def test_an_async_secrets_lookup_knows_the_path(face: Face):
    """A tenant in the URL."""

    async def lookup(request: Any) -> str | None:
        await asyncio.sleep(0)
        return SECRET if request.path.endswith("stripe") else None

    hooks = hooks_at_now(secrets=lookup)
    hooks.on_any(lambda event: None)

    assert answer_to(face, hooks, signed(EVENT)) == (200, "handled")


def test_a_thin_event_is_handled_beside_snapshot_events(face: Face):
    """One Hooks for both."""
    hooks, seen = hooks_at_now(), []
    hooks.on("invoice.paid", "v1.invoice.paid")(lambda event: seen.append(event.is_thin))
    snapshot = make("invoice.paid")

    assert answer_to(face, hooks, signed(make_thin("v1.invoice.paid", twin=snapshot))) == (
        200,
        "handled",
    )
    assert answer_to(face, hooks, signed(snapshot)) == (200, "duplicate")
    assert seen == [True]
