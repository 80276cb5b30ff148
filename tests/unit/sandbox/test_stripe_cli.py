"""The sessions of Stripe's command line, as values: what opens one, what it is sent and tells."""

import json
from random import Random

import pytest

from hookloop.sandbox.authentication import authenticate
from hookloop.sandbox.delivery import DeliveryState
from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.stripe_cli import SESSIONS_MAX, CliSessions
from hookloop.signing import verify_stripe

ACCOUNT = authenticate("Bearer sk_test_one")
OTHER = authenticate("Bearer sk_test_two")
EVENT = {"id": "evt_1", "type": "customer.created", "data": {"object": {"name": "Zoë"}}}
REQUEST = {"method": "POST", "url": "/v1/customers", "status": 402, "request_id": "req_1"}
RESPONSE = {
    "type": "webhook_response",
    "webhook_conversation_id": "wc_unknown",
    "status": 200,
    "body": "",
    "forward_url": "",
}


class Frames(list):
    def send(self, frame: str) -> None:
        self.append(json.loads(frame))


def sessions() -> CliSessions:
    return CliSessions(Random(1), "2026-10-28.endive")


def listening(of: CliSessions, account=ACCOUNT, feature="webhooks", **form) -> tuple[dict, Frames]:
    told = of.open(
        account,
        {"websocket_features[]": [feature], "device_name": ["laptop"], **form},
        "http://127.0.0.1:12111",
    )
    frames = Frames()
    of.session(told["websocket_id"]).listener = frames
    return told, frames


def test_a_session_is_told_where_to_listen():
    told, _ = listening(sessions())

    assert told["websocket_url"] == f"ws://127.0.0.1:12111/subscribe/{ACCOUNT.account_id}"
    assert told["websocket_authorized_feature"] == "webhooks"
    assert told["websocket_id"].startswith("cliws_")
    assert told["reconnect_delay"] > 600


def test_a_device_has_the_same_secret_each_time():
    """It is pasted into a settings file once; other accounts and devices have others."""
    one, again = sessions(), sessions()

    assert listening(one)[0]["secret"] == listening(again)[0]["secret"]
    assert listening(one)[0]["secret"] != listening(one, OTHER)[0]["secret"]
    assert listening(one)[0]["secret"] != listening(one, device_name=["phone"])[0]["secret"]


def test_an_event_is_sent_with_and_without_a_version():
    """The command line drops one of them, by its option --latest."""
    of = sessions()
    told, frames = listening(of)
    _, others = listening(of, OTHER)
    _, logs = listening(of, feature="request_logs")

    of.event_happened(ACCOUNT, EVENT, now=1000.0)

    assert [frame["endpoint"]["api_version"] for frame in frames] == [None, "2026-10-28.endive"]
    assert (others, logs) == ([], [])
    payload = frames[0]["event_payload"].encode()
    assert json.loads(payload)["data"] == EVENT["data"]
    signature = frames[0]["http_headers"]["Stripe-Signature"]
    assert verify_stripe(payload, signature, [told["secret"]], now=1000.0) is not None


def test_what_the_application_answered_is_a_delivery():
    of = sessions()
    _, frames = listening(of)
    of.event_happened(ACCOUNT, EVENT, now=1000.0)
    response = {
        **RESPONSE,
        "webhook_conversation_id": frames[0]["webhook_conversation_id"],
        "status": 500,
        "body": "x" * 5000,
        "forward_url": "http://localhost:3000/hook",
    }

    pending, delivery = of.told(json.dumps(response), now=1002.5)

    assert pending.session.account == ACCOUNT
    assert (delivery.event_id, delivery.state) == ("evt_1", DeliveryState.FAILED)
    assert delivery.url == "http://localhost:3000/hook"
    [attempt] = delivery.attempts
    assert (attempt.status, attempt.duration_seconds, len(attempt.excerpt)) == (500, 2.5, 500)
    assert of.told(json.dumps(response), now=1003.0) is None, "it is told once"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '"webhook_response"',
        '{"type": "event_ack"}',
        '{"type": "webhook_response"}',
        json.dumps({**RESPONSE, "status": "so"}),
        json.dumps({**RESPONSE, "webhook_conversation_id": ["wc_x"]}),
        json.dumps(RESPONSE),
    ],
)
def test_frames_that_say_nothing_are_passed_over(text):
    assert sessions().told(text, now=1.0) is None


@pytest.mark.parametrize(
    ("filters", "is_wanted"),
    [
        ({}, True),
        ({"filter_http_method": ["POST"]}, True),
        ({"filter_http_method": ["GET", "DELETE"]}, False),
        ({"filter_status_code_type": ["400"]}, True),
        ({"filter_status_code": ["402"], "filter_request_path": ["/v1/customers"]}, True),
        ({"filter_request_status": ["SUCCEEDED"]}, False),
        ({"filter_status_code": [], "filter_http_method": "POST"}, True),
    ],
)
def test_a_log_is_filtered_as_asked(filters, is_wanted):
    of = sessions()
    _, frames = listening(of, feature="request_logs", filters=[json.dumps(filters)])

    of.request_answered(ACCOUNT, REQUEST)

    assert bool(frames) == is_wanted
    if is_wanted:
        assert json.loads(frames[0]["event_payload"]) == REQUEST


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"websocket_features[]": ["telepathy"]},
        {"websocket_features[]": ["request_logs"], "filters": ["{"]},
        {"websocket_features[]": ["request_logs"], "filters": ["[]"]},
    ],
)
def test_what_is_no_session_is_refused(form):
    with pytest.raises(ApiError):
        sessions().open(ACCOUNT, form, "http://127.0.0.1")


def test_sessions_are_bounded():
    """The oldest one ends; its command line makes another."""
    of = sessions()
    first, _ = listening(of)
    for _ in range(SESSIONS_MAX):
        listening(of)

    assert of.session(first["websocket_id"]) is None


def test_one_that_does_not_listen_is_sent_nothing():
    of = sessions()
    told, frames = listening(of)
    of.session(told["websocket_id"]).listener = None

    of.event_happened(ACCOUNT, EVENT, now=1.0)

    assert frames == []
