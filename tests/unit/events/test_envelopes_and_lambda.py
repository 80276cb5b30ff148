"""Events inside envelopes, and what is particular to AWS Lambda."""

import base64
import json

import pytest

from hookloop import ConfigError, Hooks
from hookloop.events.aws_lambda import EventNotHandledError
from hookloop.testing import make, sign

SECRET = "whsec_x"
EVENT = make("invoice.paid", id="evt_1")
EVENTBRIDGE = {
    "version": "0",
    "id": "uuid",
    "detail-type": "invoice.paid",
    "source": "aws.partner/stripe.com/ed_test_1",
    "account": "123456789012",
    "time": "2026-11-23T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail": EVENT,
}
EVENT_GRID = {
    "specversion": "1.0",
    "type": "invoice.paid",
    "source": "stripe",
    "id": "uuid",
    "data": EVENT,
}


@pytest.fixture
def hooks() -> Hooks:
    return Hooks(SECRET)


@pytest.mark.parametrize("envelope", [EVENTBRIDGE, EVENT_GRID], ids=["EventBridge", "Event Grid"])
def test_an_event_comes_out_of_its_envelope(hooks: Hooks, envelope: dict):
    """And runs the same handlers; no signature was checked, and the event says so."""
    seen = []
    hooks.on("invoice.paid")(lambda event: seen.append((event.id, event.secret_label)))

    result = hooks.receive_envelope(envelope)

    assert (result.status, result.outcome) == (200, "handled")
    assert seen == [("evt_1", None)]


def test_an_event_by_two_ways_runs_once(hooks: Hooks):
    """An endpoint and EventBridge may both be on, as in a migration."""
    seen = []
    hooks.on_any(seen.append)

    hooks.receive_envelope(EVENTBRIDGE)
    request = sign(EVENT, SECRET)

    assert hooks.receive(request.body, request.headers).outcome == "duplicate"
    assert len(seen) == 1


@pytest.mark.parametrize(
    "envelope",
    [{}, {"source": "aws.s3", "detail": {}}, {"specversion": "1.0"}, EVENT, {"detail": EVENT}],
)
def test_anything_else_is_no_envelope(hooks: Hooks, envelope: dict):
    """Least of all a bare event, which anyone could have made."""
    with pytest.raises(ConfigError, match="EventBridge"):
        hooks.receive_envelope(envelope)


def test_an_envelope_without_an_event_says_so(hooks: Hooks):
    """Not a KeyError."""
    with pytest.raises(ConfigError, match="no event"):
        hooks.receive_envelope({**EVENTBRIDGE, "detail": {"id": "evt_1"}})


def test_eventbridge_hears_of_a_failure_by_an_error(hooks: Hooks):
    """It knows no status codes: an error is what makes it try again."""
    hooks.on_any(lambda event: 1 / 0)

    with pytest.raises(EventNotHandledError, match="evt_1 ended as handler_failed"):
        hooks.lambda_handler(EVENTBRIDGE, None)


def test_a_filter_that_raises_on_an_envelope_is_a_failure_like_any(hooks: Hooks):
    """An answer, as for a request."""
    hooks.filter(lambda event: 1 / 0)

    assert hooks.receive_envelope(EVENTBRIDGE).status == 500


def test_eventbridge_hears_of_success(hooks: Hooks):
    """What is returned is only for the log."""
    hooks.on_any(lambda event: None)

    assert hooks.lambda_handler(EVENTBRIDGE, None) == {"outcome": "handled"}


def test_the_body_of_a_web_request_cannot_pass_for_eventbridge(hooks: Hooks):
    """The envelope counts only where AWS itself puts it."""
    hooks.on_any(lambda event: pytest.fail("it must not run"))
    told = hooks.lambda_handler(
        {
            "version": "2.0",
            "requestContext": {"http": {"method": "POST"}},
            "headers": {},
            "body": json.dumps(EVENTBRIDGE),
            "isBase64Encoded": False,
        }
    )

    assert told["statusCode"] == 400


def test_a_body_in_plain_text_is_signed_as_its_utf_8(hooks: Hooks):
    """API Gateway sends text as it is, unless told that JSON is binary."""
    hooks.on_any(lambda event: None)
    request = sign(make("customer.updated", name="Zoë 🎈"), SECRET)
    event = {
        "version": "2.0",
        "requestContext": {"http": {"method": "POST"}},
        "headers": dict(request.headers),
        "body": request.body.decode(),
        "isBase64Encoded": False,
    }

    assert hooks.lambda_handler(event)["statusCode"] == 200


@pytest.mark.parametrize("body", ["not base64!", "é", "A"])
def test_base64_that_is_none_is_400(hooks: Hooks, body: str):
    """And no exception."""
    event = {"httpMethod": "POST", "headers": {}, "body": body, "isBase64Encoded": True}

    assert hooks.lambda_handler(event)["statusCode"] == 400


@pytest.mark.parametrize(
    "event",
    [{}, {"body": None}, {"headers": None, "body": "\ud800"}, {"multiValueHeaders": {}}],
)
def test_an_odd_lambda_event_is_answered(hooks: Hooks, event: dict):
    """Test events typed into the console, for one."""
    assert hooks.lambda_handler(event)["statusCode"] == 400


def test_a_load_balancer_is_told_the_phrase_and_multi_value_headers(hooks: Hooks):
    """It answers 502 without them."""
    event = {
        "httpMethod": "GET",
        "requestContext": {"elb": {}},
        "multiValueHeaders": {"host": ["x"]},
        "body": "",
    }

    told = hooks.lambda_handler(event)

    assert told["statusDescription"] == "405 Method Not Allowed"
    assert told["multiValueHeaders"]["Allow"] == ["POST"]


def test_binary_bodies_arrive_bit_for_bit(hooks: Hooks):
    """What was signed is what is checked."""
    request = sign(b"\xff\xfe", SECRET)
    event = {
        "httpMethod": "POST",
        "headers": dict(request.headers),
        "body": base64.b64encode(request.body).decode(),
        "isBase64Encoded": True,
    }

    assert json.loads(hooks.lambda_handler(event)["body"]) == {"outcome": "invalid_payload"}
