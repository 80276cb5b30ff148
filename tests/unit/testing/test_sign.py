"""What `sign` makes is what the official package and our own library verify."""

import base64

import pytest
import stripe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hookloop import ConfigError, Hooks, ProviderHooks
from hookloop.events.providers import StandardWebhooks
from hookloop.testing import ManualClock, send, sign, sign_standard

EVENT = {"id": "evt_1", "object": "event", "type": "customer.updated", "data": {"object": {}}}


def test_the_official_package_verifies_it():
    """It is the judge: our signing and our verifying could share a mistake."""
    request = sign(EVENT, "whsec_a")

    read = stripe.Webhook.construct_event(
        request.body, request.header("Stripe-Signature"), "whsec_a"
    )

    assert read.id == "evt_1"


def test_the_body_is_printed_as_stripe_prints_it():
    """Two spaces a level, letters as they are: an app that re-serialises JSON shows."""
    assert sign({"name": "Zoë", "a": {"b": 1}}, "whsec_a").body == (
        '{\n  "name": "Zoë",\n  "a": {\n    "b": 1\n  }\n}'.encode()
    )


def test_bytes_are_signed_as_they_are():
    """For the bodies no event has: cut, doubled, no JSON at all."""
    assert sign(b"\xff{", "whsec_a").body == b"\xff{"


def test_several_secrets_sign_each():
    """As Stripe does while a secret is being rolled."""
    request = sign(EVENT, ["whsec_new", "whsec_old"])

    for secret in ("whsec_new", "whsec_old"):
        assert Hooks(secrets=secret).receive(request.body, request.headers).status == 200


def test_the_clock_of_the_test_is_the_clock_of_the_signature():
    """No test waits five minutes to see a signature grow old."""
    clock = ManualClock()
    hooks = Hooks(secrets="whsec_a", clock=clock)
    request = sign(EVENT, "whsec_a", clock=clock)

    clock.advance(299)
    assert hooks.receive(request.body, request.headers).status == 200
    clock.advance(2)
    assert hooks.receive(request.body, request.headers).status == 400


def test_a_time_can_be_chosen():
    """The header carries it in whole seconds."""
    assert sign(EVENT, "whsec_a", signed_at=12.9).header("stripe-signature").startswith("t=12,v1=")


@pytest.mark.parametrize("secret", ["", [], ["whsec_a", ""]])
def test_no_secret_is_a_mistake(secret):
    """An environment variable nobody set must not pass for a signature."""
    with pytest.raises(ConfigError, match="needs a secret"):
        sign(EVENT, secret)


def test_what_is_no_json_is_a_sentence():
    """Not a TypeError from deep inside the standard library."""
    with pytest.raises(ConfigError, match="cannot be printed as JSON"):
        sign({"when": object()}, "whsec_a")


def test_the_repr_shows_neither_body_nor_signature():
    """It may end up in the log of a CI run."""
    assert repr(sign(EVENT, "whsec_a")).startswith("<SignedRequest ")


# The example of the specification's own reference libraries.
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_standard_webhooks_are_signed_as_their_libraries_sign():
    """The digest of their published example."""
    request = sign_standard(
        STANDARD_BODY, STANDARD_SECRET, id="msg_p5jXN8AQM9LWM0D4loKWxJek", signed_at=1614265330
    )

    assert request.header("webhook-signature") == STANDARD_SIGNATURE


def test_standard_webhooks_are_handled():
    """Through an application, like any other request."""
    hooks = ProviderHooks(StandardWebhooks(), secrets=STANDARD_SECRET)
    hooks.on_any(lambda event: None)
    request = sign_standard({"type": "user.created"}, STANDARD_SECRET, id="msg_1")

    assert send(hooks.asgi, request).outcome == "handled"


@pytest.mark.parametrize("after", [b"", bytes(32)])
def test_standard_webhooks_are_signed_by_a_private_key(after: bytes):
    """For hooks that have its public key; some write both keys one after the other."""
    seed = Ed25519PrivateKey.generate()
    private = base64.b64encode(seed.private_bytes_raw() + after).decode()
    public = base64.b64encode(seed.public_key().public_bytes_raw()).decode()
    hooks = ProviderHooks(StandardWebhooks(), secrets=f"whpk_{public}")
    hooks.on_any(lambda event: None)

    request = sign_standard({"type": "user.created"}, f"whsk_{private}", id="msg_1")

    assert send(hooks.asgi, request).outcome == "handled"
    with pytest.raises(ConfigError, match="whsk_ followed by base64"):
        sign_standard({}, "whsk_-", id="msg_1")


def test_a_standard_secret_is_base64():
    """Stripe's own secrets look the same and are none."""
    with pytest.raises(ConfigError, match="base64"):
        sign_standard({}, "whsec_-", id="msg_1")
