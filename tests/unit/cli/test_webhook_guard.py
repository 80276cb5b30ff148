"""Which requests a guard lets pass, and what it tells the tunnel's owner of the others."""

import asyncio

import pytest

from hookloop.cli.webhook_guard import EXPLAINED_BYTES_MAX, PROVIDERS, WebhookGuard, webhook_guard
from hookloop.errors import ConfigError
from hookloop.events import providers
from hookloop.events.providers import Stripe
from hookloop.exchange import RequestHead
from hookloop.signing import stripe_signature_header

SECRET = "whsec_only-for-these-tests"
BODY = b'{"id":"evt_1","object":"event","type":"charge.failed"}'
NOW = 1_800_000_000.0


class At:
    def wall(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def judged(body: bytes, *, secret: str = SECRET, signed: bytes = BODY, age: int = 0):
    guard = WebhookGuard(Stripe(), (SECRET,), At())
    signature = stripe_signature_header(signed, [secret], signed_at=int(NOW) - age)
    head = RequestHead(b"POST", b"/hooks", ((b"Stripe-Signature", signature.encode()),))
    return asyncio.run(guard.judge(head, body))


def test_a_rightly_signed_webhook_passes():
    """And nothing else is asked of it."""
    assert judged(BODY) is None


@pytest.mark.parametrize(
    ("case", "reasons"),
    [
        ({"secret": "whsec_another"}, ["mismatch: ", "unknown_secret: "]),
        ({"age": 3600}, ["too_old: ", "too_old: "]),
        ({"body": BODY.replace(b",", b", ")}, ["mismatch: ", "body_reserialised: "]),
    ],
)
def test_a_badly_signed_webhook_is_stopped_with_the_doctors_reason(case, reasons):
    """The caller is told nothing of it."""
    objection = judged(**{"body": BODY, **case})

    assert (objection.status, objection.code) == (403, "webhook_not_verified")
    assert objection.message == "the webhook is not rightly signed"
    found = [reason for reason in reasons if any(r.startswith(reason) for r in objection.reasons)]
    assert found == reasons


def test_large_forgeries_cost_no_diagnosis():
    """The search hashes a body many times, and anybody can send one."""
    objection = judged(b"x" * (EXPLAINED_BYTES_MAX + 1))

    assert [reason.split(":")[0] for reason in objection.reasons] == ["mismatch"]


def test_one_diagnosis_runs_at_a_time():
    """The others say the short reason."""
    guard = WebhookGuard(Stripe(), (SECRET,), At())
    head = RequestHead(b"POST", b"/", ((b"Stripe-Signature", b"t=1,v1=" + b"0" * 64),))

    async def both():
        return await asyncio.gather(guard.judge(head, BODY), guard.judge(head, BODY))

    first, second = asyncio.run(both())

    assert len(first.reasons) > 1
    assert len(second.reasons) == 1


def test_every_provider_can_guard():
    """Those of hookloop.events, all of them, and Svix's older headers."""
    made = {type(make()).__name__ for make in PROVIDERS.values()}
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    assert made == set(providers.__all__) - {"Provider"}
    assert all(webhook_guard(name, [secret]) is not None for name in PROVIDERS)


@pytest.mark.parametrize(
    ("provider", "secrets", "words"),
    [
        ("paypal", ["x"], "github, shopify, slack, standard, stripe, svix"),
        ("stripe", [], "secret is needed"),
        ("stripe", [" "], "secret is needed"),
        ("stripe", ["sk_test_x"], "API key"),
        ("standard", ["whsec_!"], "base64"),
        (None, ["x"], "verify_webhook"),
    ],
)
def test_a_guard_that_could_not_work_is_refused(provider, secrets, words):
    """At the start, not at the first webhook."""
    with pytest.raises(ConfigError, match=words):
        webhook_guard(provider, secrets)
