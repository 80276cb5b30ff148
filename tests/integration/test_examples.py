"""
Each example, run by the command in its docstring and asked over a socket.

`make oldest` runs this with the oldest frameworks that pyproject.toml allows, `make test` with
those of constraints.txt.
"""

import base64
import importlib.util
import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from types import ModuleType

import pytest
from example_process import (
    ROOT,
    SECRET,
    SERVED,
    WEBHOOKS,
    ExampleProcess,
    commands,
    environment,
    running_example,
    served,
)

from hookloop.events.aws_lambda import EventNotHandledError
from hookloop.signing import stripe_signature_header

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=[pytest.param(run, id=name) for name, run in served()])
def example(request: pytest.FixtureRequest) -> Iterator[ExampleProcess]:
    with running_example(request.param) as process:
        process.prints_only = any("customers:app" in word for word in request.param)
        yield process


def customer_created(name: str) -> dict:
    number = next(NUMBERS)
    return {
        "id": f"evt_{number}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": False,
        "type": "customer.created",
        "data": {"object": {"id": f"cus_{number}", "object": "customer", "name": name}},
    }


def has_run(example: ExampleProcess, event: dict) -> bool:
    """Whether the example's handler was given *event*; the demo's app prints, others remember."""
    if example.prints_only:
        return bool(example.wait_for(re.compile(rf"{event['id']} {event['type']}")))
    customer = event["data"]["object"]
    return example.customer_name(customer["id"]) == customer["name"]


def test_every_example_is_tried():
    """An example added without a test of it is found here."""
    programs = {
        str(path.relative_to(ROOT / "examples"))
        for path in (ROOT / "examples").rglob("*.py")
        if "STRIPE_WEBHOOK_SECRET=whsec_..." in path.read_text()
    }

    assert programs == {*SERVED, "lambda_function.py"}


# --- over a socket --------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"], ids=["no slash", "slash"])
def test_a_signed_event_reaches_the_handler_at_both_forms_of_the_url(
    example: ExampleProcess, slash: str
):
    """No redirect: Stripe would take one for a failure."""
    event = customer_created("Jenny Rosen")

    answer = example.send(event, WEBHOOKS + slash)

    assert (answer.status, answer.body) == (200, b'{"outcome": "handled"}')
    assert has_run(example, event)


def test_a_forged_event_is_refused_and_reaches_no_handler(example: ExampleProcess):
    """400, and nothing about why: the reason is for the log."""
    event = customer_created("Mallory")

    answer = example.send(event, secret="whsec_forged")

    assert (answer.status, answer.body) == (400, b'{"outcome": "invalid_signature"}')
    if not example.prints_only:
        assert not has_run(example, event)


@pytest.mark.parametrize("slash", ["", "/"], ids=["no slash", "slash"])
def test_what_is_not_a_post_is_told_so(example: ExampleProcess, slash: str):
    """405 with Allow, from us and not from the framework."""
    answer = example.ask("GET", WEBHOOKS + slash)

    assert (answer.status, answer.getheader("Allow")) == (405, "POST")
    assert answer.body == b'{"outcome": "method_not_allowed"}'


def test_an_event_nobody_handles_is_taken_all_the_same(example: ExampleProcess):
    """200: an error would make Stripe send it again, for three days."""
    event = {**customer_created("Jenny Rosen"), "type": "invoice.paid"}

    answer = example.send(event)

    assert (answer.status, answer.body) == (200, b'{"outcome": "ignored"}')


# --- Lambda ---------------------------------------------------------------------------------


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    path = ROOT / "examples" / "lambda_function.py"
    spec = importlib.util.spec_from_file_location("lambda_function", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def signed(event: dict, secret: str = SECRET) -> tuple[str, dict[str, str]]:
    body = json.dumps(event)
    header = stripe_signature_header(body.encode(), [secret], signed_at=int(time.time()))
    return body, {"content-type": "application/json", "stripe-signature": header}


def gateway_v1(body: str, headers: dict[str, str], method: str = "POST") -> dict:
    """API Gateway's REST API, payload format 1.0: headers as sent, and each as a list too."""
    sent = {name.title(): value for name, value in headers.items()}
    return {
        "version": "1.0",
        "resource": "/webhooks/stripe",
        "path": "/webhooks/stripe",
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "requestContext": {"stage": "prod", "httpMethod": method},
        "body": body,
        "isBase64Encoded": False,
    }


def gateway_v2(body: str, headers: dict[str, str], method: str = "POST") -> dict:
    """API Gateway's HTTP API, payload format 2.0: lower case headers."""
    return {
        "version": "2.0",
        "routeKey": "POST /webhooks/stripe",
        "rawPath": "/webhooks/stripe",
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {"http": {"method": method, "path": "/webhooks/stripe"}},
        "body": body,
        "isBase64Encoded": False,
    }


def function_url(body: str, headers: dict[str, str], method: str = "POST") -> dict:
    """A function URL: format 2.0 too, the body in base64."""
    return {
        **gateway_v2(base64.b64encode(body.encode()).decode(), headers, method),
        "routeKey": "$default",
        "isBase64Encoded": True,
    }


def load_balancer(body: str, headers: dict[str, str], method: str = "POST") -> dict:
    """An application load balancer, multi-value headers off."""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:...:hooks"}},
        "httpMethod": method,
        "path": "/webhooks/stripe",
        "headers": headers,
        "body": body,
        "isBase64Encoded": False,
    }


CALLERS = [gateway_v1, gateway_v2, function_url, load_balancer]


@pytest.mark.parametrize("caller", CALLERS)
def test_lambda_takes_what_each_caller_sends(function: ModuleType, caller, capsys):
    """The same function behind any of them: the handler runs and the answer is 200."""
    event = customer_created("Jenny Rosen")

    answer = function.lambda_handler(caller(*signed(event)), None)

    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"outcome": "handled"}
    assert (
        f"{event['id']} {event['data']['object']['id']} is Jenny Rosen" in capsys.readouterr().err
    )


@pytest.mark.parametrize("caller", CALLERS)
def test_lambda_refuses_a_forged_event(function: ModuleType, caller, capsys):
    """400, whoever called."""
    answer = function.lambda_handler(caller(*signed(customer_created("Mallory"), "whsec_x")), None)

    assert answer["statusCode"] == 400
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("caller", CALLERS)
def test_lambda_answers_get_with_405(function: ModuleType, caller):
    """The method is found in each caller's own place."""
    answer = function.lambda_handler(caller("", {"host": "shop.example"}, method="GET"), None)

    assert answer["statusCode"] == 405
    assert answer["headers"]["Allow"] == "POST"


def test_lambda_takes_an_event_from_eventbridge(function: ModuleType, capsys):
    """EventBridge signs nothing: who may put events on the bus is the bus's to say."""
    event = customer_created("Jenny Rosen")
    envelope = {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "source": "aws.partner/stripe.com/ed_123",
        "detail-type": event["type"],
        "detail": event,
    }

    answer = function.lambda_handler(envelope, None)

    assert answer == {"outcome": "handled"}
    assert event["id"] in capsys.readouterr().err


def test_lambda_raises_to_eventbridge_where_a_handler_fails(function: ModuleType):
    """EventBridge has no status codes: an error is what makes it try again."""
    event = customer_created("Jenny Rosen")
    del event["data"]["object"]["name"]
    envelope = {"source": "aws.partner/stripe.com/ed_123", "detail": event}

    with pytest.raises(EventNotHandledError, match=event["id"]):
        function.lambda_handler(envelope, None)


def test_the_lambda_example_can_be_tried_at_a_terminal():
    """Its docstring's command takes an event on standard input and prints the answer."""
    (command,) = commands("lambda_function.py")
    event = customer_created("Jenny Rosen")

    done = subprocess.run(
        command,
        input=json.dumps(gateway_v2(*signed(event))),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        check=False,
    )

    assert (done.returncode, json.loads(done.stdout)["statusCode"]) == (0, 200), done.stderr
    assert event["id"] in done.stderr
