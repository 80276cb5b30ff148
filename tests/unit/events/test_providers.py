"""Other senders: their own published vectors, and what forgers try."""

import base64
import hashlib
import hmac
import json
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hookloop import ProviderHooks
from hookloop.errors import ConfigError, SignatureError
from hookloop.events.providers import GitHub, Shopify, Slack, StandardWebhooks
from hookloop.events.providers.standard import SIGNATURES_MAX, sign_standard
from hookloop.testing import ManualClock

STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121"
    b".803a0bc887a14d10d2c447fce8b6703c"
)


def verified(provider, secret, body, headers, *, now=0.0) -> bool:
    """Whether the signature holds; what the body says is another matter."""
    hooks = ProviderHooks(provider, secret, clock=ManualClock(now))
    return hooks.receive(body, headers).outcome != "invalid_signature"


# --- the vectors the senders publish ----------------------------------------------------------


def test_github_s_own_example_verifies():
    """From "Validating webhook deliveries" in GitHub's documentation."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"X-Hub-Signature-256": signature}

    assert verified(GitHub(), "It's a Secret to Everybody", b"Hello, World!", headers)
    assert not verified(GitHub(), "It's a Secret to Everybody", b"Hello, World.", headers)


def test_slack_s_own_example_verifies():
    """From "Verifying requests from Slack" in Slack's documentation."""
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": (
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
        ),
    }

    assert verified(Slack(), SLACK_SECRET, SLACK_BODY, headers, now=1531420618)
    assert not verified(Slack(), SLACK_SECRET, SLACK_BODY, headers, now=1531420618 + 301)
    assert not verified(Slack(), SLACK_SECRET, SLACK_BODY + b" ", headers, now=1531420618)


def test_the_standard_webhooks_example_verifies():
    """The vector that the specification's reference libraries test themselves with."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'

    assert verified(StandardWebhooks(), STANDARD_SECRET, body, headers, now=1614265330)
    assert not verified(StandardWebhooks(), STANDARD_SECRET, body, headers, now=1614265330 - 301)
    svix = {name.replace("webhook", "svix"): value for name, value in headers.items()}
    provider = StandardWebhooks(header_prefix="svix")
    assert verified(provider, STANDARD_SECRET, body, svix, now=1614265330)


# The first key of RFC 8032, section 7.1, as Standard Webhooks writes keys.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
PUBLIC_KEY = "whpk_" + base64.b64encode(PUBLIC).decode()


def by_key(body: bytes, *, seed: bytes = SEED, copies: int = 1) -> dict[str, str]:
    """Sign as the specification says, without our code."""
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(b"msg_1.100." + body)
    item = "v1a," + base64.b64encode(signature).decode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": "100",
        "webhook-signature": " ".join([item] * copies),
    }


def test_a_signature_by_key_verifies():
    """Standard Webhooks' v1a: the sender keeps the private key, and we have the public one."""
    provider, body = StandardWebhooks(), b'{"type": "user.created"}'
    other = bytes(32)

    assert verified(provider, PUBLIC_KEY, body, by_key(body), now=100)
    assert not verified(provider, PUBLIC_KEY, body + b" ", by_key(body), now=100)
    assert not verified(provider, PUBLIC_KEY, body, by_key(body, seed=other), now=100)
    assert not verified(provider, PUBLIC_KEY, body, by_key(body), now=100 + 301)
    rolling = {**by_key(body)}
    rolling["webhook-signature"] = (
        by_key(body, seed=other)["webhook-signature"] + " v1,x v2,y " + rolling["webhook-signature"]
    )
    assert verified(provider, PUBLIC_KEY, body, rolling, now=100)
    assert verified(provider, [STANDARD_SECRET, PUBLIC_KEY], body, rolling, now=100)


def test_a_public_key_is_never_taken_for_a_secret():
    """Everybody knows it: an HMAC by it proves nothing."""
    body = b'{"type": "user.created"}'
    for key in (PUBLIC, PUBLIC_KEY.encode()):
        digest = hmac.digest(key, b"msg_1.100." + body, hashlib.sha256)
        headers = {**by_key(body), "webhook-signature": "v1," + base64.b64encode(digest).decode()}

        assert not verified(StandardWebhooks(), PUBLIC_KEY, body, headers, now=100)


@pytest.mark.parametrize(
    "signature",
    [
        "v1a,",
        "v1a,é",
        "v1a,AAAA",
        "v1a," + "A" * 86 + "==",
        "v1a,A v1a,A",
        "v1a",
        "v1a," + "A" * 4000,
    ],
)
def test_a_hostile_signature_by_key_is_400(signature: str):
    """Whatever it holds, nothing is raised."""
    headers = {**by_key(b"{}"), "webhook-signature": signature}

    assert not verified(StandardWebhooks(), PUBLIC_KEY, b"{}", headers, now=100)


def test_a_few_signatures_by_key_are_tried_and_no_more():
    """Each costs as much as many HMACs, and anybody may send them."""
    body = b'{"type": "user.created"}'
    forged, good = by_key(body, seed=bytes(32), copies=SIGNATURES_MAX), by_key(body)
    forged["webhook-signature"] += " " + good["webhook-signature"]

    assert not verified(StandardWebhooks(), PUBLIC_KEY, body, forged, now=100)


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("whpk_AAAA", "32 bytes"),
        ("whpk_not base64!", "32 bytes"),
        ("whsk_AAAA", "the sender's own"),
    ],
)
def test_a_key_that_is_none_is_told_at_the_start(secret: str, says: str):
    """And never shown."""
    with pytest.raises(ConfigError, match=says) as raised:
        ProviderHooks(StandardWebhooks(), secret)

    assert secret not in str(raised.value)


def test_a_public_key_needs_its_package(monkeypatch: pytest.MonkeyPatch):
    """The core has no dependency; who uses this one is told its name."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    key = "whpk_" + base64.b64encode(bytes(31) + b"\1").decode()  # not seen before

    with pytest.raises(ConfigError, match="pip install cryptography"):
        ProviderHooks(StandardWebhooks(), key)


def test_shopify_s_recipe_verifies():
    """Shopify publishes a recipe and no vector: the base64 of an HMAC-SHA256 of the body."""
    body = b'{"id": 820982911946154508}'
    digest = hmac.new(b"hush", body, hashlib.sha256).digest()
    headers = {"X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode()}

    assert verified(Shopify(), "hush", body, headers)
    assert not verified(Shopify(), "hush", body + b"\n", headers)


# --- events -----------------------------------------------------------------------------------


def signed_github(body: bytes, **headers: str) -> dict[str, str]:
    digest = hmac.new(b"s", body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}", **headers}


def test_a_github_event_has_its_action_in_its_type():
    """So that handlers can be exact, and prefixes take the family."""
    hooks, seen = ProviderHooks(GitHub(), "s"), []
    hooks.on("pull_request.opened")(lambda event: seen.append((event.id, event.type)))
    hooks.on_prefix("pull_request")(lambda event: seen.append(event.payload["number"]))
    body = json.dumps({"action": "opened", "number": 7}).encode()
    headers = {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": "guid"}

    result = hooks.receive(body, signed_github(body, **headers))

    assert (result.status, seen) == (200, [("guid", "pull_request.opened"), 7])


def test_a_github_event_without_an_action_is_its_name():
    """Such as push."""
    hooks, seen = ProviderHooks(GitHub(), "s"), []
    hooks.on("push")(lambda event: seen.append(event.type))
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "guid"}

    hooks.receive(b"{}", signed_github(b"{}", **headers))

    assert seen == ["push"]


def test_a_shopify_topic_becomes_a_dotted_type():
    """Prefixes work as for everyone else."""
    hooks, seen = ProviderHooks(Shopify(), "s"), []
    hooks.on_prefix("orders.")(lambda event: seen.append((event.type, event.id)))
    digest = hmac.new(b"s", b"{}", hashlib.sha256).digest()
    headers = {
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Webhook-Id": "w1",
        "X-Shopify-Event-Id": "e1",
    }

    hooks.receive(b"{}", headers)

    assert seen == [("orders.create", "e1")]


def signed_slack(body: bytes) -> dict[str, str]:
    digest = hmac.new(b"s", b"v0:100:" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": "100", "X-Slack-Signature": f"v0={digest}"}


def test_slack_s_url_verification_is_answered_without_a_handler():
    """Slack saves no URL that does not answer its challenge."""
    hooks = ProviderHooks(Slack(), "s", clock=ManualClock(100))
    body = json.dumps({"type": "url_verification", "challenge": "c1"}).encode()

    result = hooks.receive(body, signed_slack(body))

    assert (result.status, json.loads(result.body)) == (200, {"challenge": "c1"})


def test_a_slack_event_is_its_inner_event():
    """The envelope's type is always event_callback."""
    hooks, seen = ProviderHooks(Slack(), "s", clock=ManualClock(100)), []
    hooks.on("app_mention")(lambda event: seen.append(event.id))
    body = json.dumps({"event_id": "Ev1", "event": {"type": "app_mention"}}).encode()

    hooks.receive(body, signed_slack(body))

    assert seen == ["Ev1"]


def test_a_standard_webhook_is_named_by_its_header_and_body():
    """Id from the header, type from the body; any of several signatures may fit."""
    hooks, seen = ProviderHooks(StandardWebhooks(), STANDARD_SECRET, clock=ManualClock(100)), []
    hooks.on("user.created")(lambda event: seen.append(event.id))
    body = b'{"type": "user.created"}'
    signature = sign_standard(body, STANDARD_SECRET, id="msg_1", signed_at=100)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "100",
        "webhook-signature": f"v1a,other v1,{'A' * 43}= v1,{signature}",
    }

    assert hooks.receive(body, headers).status == 200
    assert seen == ["msg_1"]


def test_a_standard_secret_that_is_no_base64_is_told_at_the_start():
    """A Stripe secret looks alike."""
    with pytest.raises(ConfigError, match="base64"):
        ProviderHooks(StandardWebhooks(), "whsec_not base64!")


@pytest.mark.parametrize("provider", [GitHub(), Shopify(), Slack(), StandardWebhooks()])
@pytest.mark.parametrize("value", ["", "é", "v1,é", "v1,x v1,", "sha256=", "sha256=é", "=" * 5000])
def test_hostile_headers_are_400(provider, value: str):
    """Whatever they hold, nothing is raised."""
    secret = STANDARD_SECRET if isinstance(provider, StandardWebhooks) else "s"
    hooks = ProviderHooks(provider, secret, clock=ManualClock(100))
    names = (
        "X-Hub-Signature-256", "X-Shopify-Hmac-Sha256", "X-Slack-Signature", "webhook-signature",
    )  # fmt: skip
    times = {"X-Slack-Request-Timestamp": "100", "webhook-timestamp": "100", "webhook-id": "é"}

    result = hooks.receive(b"{}", {**dict.fromkeys(names, value), **times})

    assert (result.status, result.outcome) == (400, "invalid_signature")


@pytest.mark.parametrize("time", ["", "now", "-1", "1e3", "9" * 13, "١٢٣"])
def test_a_hostile_timestamp_is_400(time: str):
    """Digits of other scripts are digits to int()."""
    hooks = ProviderHooks(Slack(), "s", clock=ManualClock(100))

    result = hooks.receive(b"{}", {**signed_slack(b"{}"), "X-Slack-Request-Timestamp": time})

    assert (result.status, result.outcome) == (400, "invalid_signature")


@pytest.mark.parametrize(
    ("provider", "headers"),
    [(GitHub(), signed_github(b"{}")), (Slack(), signed_slack(b"{}"))],
    ids=["github", "slack"],
)
def test_a_signed_request_without_an_event_is_400(provider, headers):
    """No id or no type: nothing to dispatch."""
    hooks = ProviderHooks(provider, "s", clock=ManualClock(100))

    assert hooks.receive(b"{}", headers).outcome == "invalid_payload"


@pytest.mark.parametrize("returns", [True, False])
def test_a_refusal_may_be_returned_or_raised(returns: bool):
    """Whichever is easier to write; the answer is the same."""

    class Refusing(GitHub):
        def verify(self, request, secrets, *, now, tolerance):
            error = SignatureError("mismatch", "never")
            if returns:
                return error
            raise error

    result = ProviderHooks(Refusing(), "x").receive(b"{}", {})

    assert (result.status, result.outcome) == (400, "invalid_signature")
