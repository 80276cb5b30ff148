"""Signing a captured webhook afresh: accepted by those who verify, and by nobody's old secret."""

import json
import time

import pytest
import stripe

from hookloop.errors import ConfigError, SignatureError
from hookloop.events.incoming import Incoming
from hookloop.exchange import RequestHead
from hookloop.inspector.webhook_signature import (
    PROVIDERS,
    KnownSecret,
    corrupted,
    provider_of,
    signed_again,
)
from hookloop.testing import sign

NOW = 2_000_000_000
LAST_WEEK = NOW - 7 * 86400
BODY = json.dumps({"id": "evt_1", "object": "event", "type": "invoice.paid"}, indent=2).encode()
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS = {
    name: STANDARD if name in {"standard", "svix"} else f"secret_of_{name}" for name in PROVIDERS
}
OLD = {
    "stripe": [(b"stripe-signature", b"t=1,v1=" + b"a" * 64)],
    "github": [(b"X-Hub-Signature", b"sha1=00"), (b"X-Hub-Signature-256", b"sha256=" + b"a" * 64)],
    "shopify": [(b"X-Shopify-Hmac-Sha256", b"AAAA")],
    "slack": [(b"X-Slack-Signature", b"v0=aa"), (b"X-Slack-Request-Timestamp", b"1")],
    "standard": [
        (b"webhook-id", b"msg_1"),
        (b"webhook-timestamp", b"1"),
        (b"webhook-signature", b"v1,AA"),
    ],
    "svix": [(b"svix-id", b"msg_1"), (b"svix-timestamp", b"1"), (b"svix-signature", b"v1,AA")],
}


def head(fields, before=((b"Host", b"app"),), after=((b"X-Last", b"1"),)):
    return RequestHead(b"POST", b"/hooks", (*before, *fields, *after))


def is_accepted(name, request, body, now=NOW):
    incoming = Incoming(body, request.headers)
    try:
        verdict = (
            PROVIDERS[name].provider().verify(incoming, (SECRETS[name],), now=now, tolerance=300.0)
        )
    except SignatureError:
        return False
    return not isinstance(verdict, SignatureError)


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_accepts_it_today(name):
    """Verified by the handler library's own check, at the time it was signed for."""
    request = head(OLD[name])
    assert provider_of(request) == name
    assert not is_accepted(name, request, BODY)

    signed = signed_again(request, BODY, [KnownSecret(name, SECRETS[name])], now=NOW)

    assert signed.provider == name
    assert is_accepted(name, signed.head, BODY)
    assert not is_accepted(name, signed.head, BODY + b" ")


@pytest.mark.parametrize("name", PROVIDERS)
def test_fields_keep_their_places_and_their_case(name):
    """A replay looks like what came, but for the values that had to change."""
    request = head(OLD[name])

    signed = signed_again(request, BODY, [KnownSecret(name, SECRETS[name])], now=NOW)

    assert [key for key, _ in signed.head.headers] == [key for key, _ in request.headers]
    assert signed.head.headers[0] == (b"Host", b"app")


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_corrupted_signature_holds_no_more(name):
    """And only the signature has changed."""
    signed = signed_again(head(OLD[name]), BODY, [KnownSecret(name, SECRETS[name])], now=NOW)

    broken = corrupted(signed.head)

    assert not is_accepted(name, broken, BODY)
    changed = [a[0] for a, b in zip(signed.head.headers, broken.headers, strict=True) if a != b]
    assert [key.lower() for key in changed] == [PROVIDERS[name].field.lower()]


def test_stripe_accepts_a_webhook_of_last_week():
    """The official package is the judge."""
    old = sign(BODY, "whsec_a", signed_at=time.time() - 7 * 86400)
    fields = [(key.encode(), value.encode()) for key, value in old.headers]
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        stripe.Webhook.construct_event(BODY, old.header("stripe-signature"), "whsec_a")

    signed = signed_again(
        head(fields), BODY, [KnownSecret("stripe", "whsec_a")], now=int(time.time())
    )

    header = signed.head.get(b"stripe-signature").decode()
    assert stripe.Webhook.construct_event(BODY, header, "whsec_a").id == "evt_1"


def test_the_secret_that_signed_the_original_signs_again():
    """Of several, even where the body is another now."""
    secrets = [KnownSecret("stripe", "whsec_a"), KnownSecret("stripe", "whsec_b")]
    old = sign(BODY, "whsec_b", signed_at=LAST_WEEK)
    request = head([(key.encode(), value.encode()) for key, value in old.headers])

    signed = signed_again(request, b"{}", secrets, now=NOW, original=(request, BODY))

    only_b = signed_again(request, b"{}", secrets[1:], now=NOW)
    assert signed.is_known_signer
    assert signed.head == only_b.head


def test_where_none_signed_it_all_of_them_do():
    """Stripe's header has room for several, and the app has one of them."""
    secrets = [KnownSecret("stripe", "whsec_a"), KnownSecret("stripe", "whsec_b")]

    signed = signed_again(head(OLD["stripe"]), BODY, secrets, now=NOW)

    assert not signed.is_known_signer
    for secret in ("whsec_a", "whsec_b"):
        header = signed.head.get(b"stripe-signature").decode()
        assert stripe.Webhook.construct_event(BODY, header, secret, tolerance=None)


def test_what_cannot_be_signed_says_why():
    """No signature, no secret, no such provider, a secret that was cut off; never the secret."""
    known = [KnownSecret("stripe", "whsec_a")]

    with pytest.raises(ConfigError, match="say whose"):
        signed_again(head([]), BODY, known, now=NOW)
    with pytest.raises(ConfigError, match="SLACK_SIGNING_SECRET"):
        signed_again(head(OLD["slack"]), BODY, known, now=NOW)
    with pytest.raises(ConfigError, match="'paypal' is no provider"):
        signed_again(head([]), BODY, known, now=NOW, provider="paypal")
    with pytest.raises(ConfigError, match="copy it again") as cut:
        signed_again(head(OLD["svix"]), BODY, [KnownSecret("svix", "whsec_MfK")], now=NOW)
    assert "MfK" not in str(cut.value)
    assert "whsec_a" not in repr(known)


def test_a_request_without_a_signature_can_be_given_one():
    """As one that was made by hand."""
    signed = signed_again(
        head([]), BODY, [KnownSecret("stripe", "whsec_a")], now=NOW, provider="stripe"
    )

    assert signed.head.headers[-1][0] == b"Stripe-Signature"
