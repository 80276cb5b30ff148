"""What `hookloop sandbox` says of requests and attempts."""

import json

import pytest

from hookloop.cli.announcer import Announcer
from hookloop.cli.sandbox import _Log
from hookloop.sandbox import AttemptEnded, RequestAnswered


def attempt(**values) -> AttemptEnded:
    defaults = {
        "event_id": "evt_1",
        "event_type": "customer.updated",
        "endpoint_id": "we_1",
        "url": "http://localhost:3000/hook",
        "number": 1,
        "signature": "t=1,v1=secretish",
        "started": 10.0,
        "ended": 10.0125,
        "status": 200,
        "error": None,
        "delivered": True,
        "retry_seconds": None,
    }
    return AttemptEnded(**{**defaults, **values})


WHAT = "customer.updated -> http://localhost:3000/hook evt_1 attempt"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, f"200 {WHAT} 1 12.5 ms"),
        (
            {"status": 500, "delivered": False, "retry_seconds": 300.0},
            f"500 {WHAT} 1 12.5 ms; next in 5 min",
        ),
        (
            {"status": None, "error": "no answer within 30 s", "delivered": False, "number": 4},
            f"no answer within 30 s {WHAT} 4 12.5 ms; that was the last one",
        ),
    ],
)
def test_an_attempt_is_one_line(capsys, values, line):
    """Its outcome first, and what follows if it failed."""
    _Log(Announcer(as_json=False)).attempt_ended(attempt(**values))

    assert capsys.readouterr().out.partition(" ")[2] == f"{line}\n"


def test_a_request_is_one_line(capsys):
    """Its status first, and the id to look it up by."""
    answered = RequestAnswered("POST", "/v1/customers", 200, "req_1", 0.0021)

    _Log(Announcer(as_json=False)).request_answered(answered)

    assert capsys.readouterr().out.endswith(" 200 POST /v1/customers req_1 2.1 ms\n")


def test_programs_get_values(capsys):
    """A JSON object a line; the signature is in none of them."""
    _Log(Announcer(as_json=True)).attempt_ended(attempt())

    line = capsys.readouterr().out
    told = json.loads(line)
    assert (told["event"], told["event_id"], told["status"]) == ("attempt", "evt_1", 200)
    assert "secretish" not in line
