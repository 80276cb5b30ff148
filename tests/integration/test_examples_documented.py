"""The pages show the examples as they are, and their other programs run too."""

import hashlib
import hmac
import json
import logging
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import stripe

import hookloop
from hookloop.testing import make, send

ROOT = Path(__file__).parents[2]
PAGES = {
    "asgi-wsgi": ["starlette_app.py", "wsgi_app.py"],
    "aws-lambda": ["lambda_function.py"],
    "django": ["django_project/shop/stripe_events.py", "django_project/project/webhooks.py"],
    "fastapi": ["fastapi_app.py"],
    "flask": ["flask_app.py"],
}


def blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text()
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [re.sub(r"\A# \S+\n", "", block) for block in found]  # the file's name


@pytest.mark.parametrize(
    ("page", "example"), [(page, example) for page, names in PAGES.items() for example in names]
)
def test_a_page_shows_its_example_as_it_is(page: str, example: str):
    """A block of the page stands in the example, line for line."""
    program = (ROOT / "examples" / example).read_text()

    assert any(block in program for block in blocks(page))


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_names_its_example(page: str):
    """Whoever reads the page finds the whole of it."""
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text()

    assert re.search(r"\]\(\.\./\.\./examples/", text)


# --- other programs of the pages ------------------------------------------------------------


def hex_digest(body: bytes, secret: str) -> str:
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def test_the_page_on_other_providers_handles_a_pull_request(monkeypatch, capsys):
    """Its first program, with a request signed as GitHub does."""
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "a secret")
    page: dict = {}
    exec(blocks("other-providers")[0], page)
    body = json.dumps({"action": "opened", "pull_request": {"title": "Mend it"}}).encode()

    result = page["github"].receive(
        body,
        {
            "X-GitHub-Event": "pull_request",
            "X-GitHub-Delivery": "72d3162e",
            "X-Hub-Signature-256": f"sha256={hex_digest(body, 'a secret')}",
        },
    )

    assert result.outcome == "handled"
    assert capsys.readouterr().out == "72d3162e Mend it\n"


@pytest.mark.parametrize(
    ("event", "secret", "status", "said"),
    [
        ({"id": "1", "event": "order.paid"}, "a secret", 200, {"outcome": "handled"}),
        ({"id": "1", "event": "order.paid"}, "another", 400, {"outcome": "invalid_signature"}),
        ({"id": "1"}, "a secret", 400, {"outcome": "invalid_payload"}),
        ({"id": "1", "event": "ping", "challenge": "c"}, "a secret", 200, {"challenge": "c"}),
    ],
    ids=["handled", "forged", "no event", "greeting"],
)
def test_the_provider_that_the_page_writes_works(event, secret, status, said):
    """Whoever starts from it starts from something that verifies, reads and greets."""
    page: dict = {}
    exec(blocks("other-providers")[1], page)
    hooks = hookloop.ProviderHooks(page["Acme"](), secrets="a secret")
    hooks.on("order.paid")(lambda event: None)
    body = json.dumps(event).encode()

    result = hooks.receive(body, {"X-Acme-Signature": hex_digest(body, secret)})

    assert (result.status, json.loads(result.body)) == (status, said)


def test_the_page_on_stripe_event_handles_what_its_initializer_did(monkeypatch):
    """The program beside the Ruby one: an exact type, a namespace with an object, and all."""
    monkeypatch.setenv("STRIPE_SECRET", "whsec_new")
    seen = []
    book = SimpleNamespace(failed=lambda id_: seen.append(("failed", id_)))
    page = {
        **vars(hookloop),
        "CustomerUpdates": lambda: lambda event: seen.append(("customer", event.type)),
        "book": book,
        "logger": logging.getLogger("shop"),
        "os": os,
        "stripe": stripe,
    }
    exec(blocks("from-stripe-event")[0].partition("\n\nurlpatterns")[0], page)

    charge = make("charge.failed", livemode=True)
    answers = [
        send(page["hooks"], event, secret="whsec_new").outcome
        for event in (charge, make("customer.updated", livemode=True), make("customer.updated"))
    ]

    assert answers == ["handled", "handled", "ignored"]
    assert seen == [("failed", charge["data"]["object"]["id"]), ("customer", "customer.updated")]
