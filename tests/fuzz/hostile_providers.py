"""Hostile headers of the other senders: GitHub, Shopify, Slack and Standard Webhooks."""

import base64
import hashlib
import hmac
import json
from random import Random

from hostile import JUNK, NOW, SECRETS, VALUES, Pairs

__all__ = ["PROVIDER_SECRET", "expected_proof", "hostile_provider_headers"]

PROVIDER_SECRET = "whsec_" + base64.b64encode(SECRETS[0].encode()).decode()
ID = "msg_1"


def expected_proof(provider: str, body: bytes) -> bytes:
    """Return what must stand in the headers of *body*, for *provider* and now."""
    key = (
        base64.b64decode(PROVIDER_SECRET[6:])
        if provider == "standard"
        else PROVIDER_SECRET.encode()
    )
    before = {"slack": f"v0:{NOW}:", "standard": f"{ID}.{NOW}."}.get(provider, "")
    digest = hmac.new(key, before.encode() + body, hashlib.sha256)
    if provider in ("shopify", "standard"):
        return base64.b64encode(digest.digest())
    return digest.hexdigest().encode()


def hostile_provider_headers(random: Random, provider: str, body: bytes) -> Pairs:
    """Return headers that prove *body*, most of them, and here and there one that is spoilt."""
    proof = expected_proof(provider, body)
    return [
        (name.encode(), value if random.random() < 0.85 else random.choice(SPOILT))
        for name, value in HEADERS[provider](proof)
        if random.random() < 0.97
    ]


NOW_BYTES = b"%d" % NOW
HEADERS = {
    "github": lambda proof: [
        ("x-hub-signature-256", b"sha256=" + proof),
        ("x-github-event", b"push"),
        ("x-github-delivery", ID.encode()),
    ],
    "shopify": lambda proof: [
        ("x-shopify-hmac-sha256", proof),
        ("x-shopify-topic", b"orders/create"),
        ("x-shopify-event-id", ID.encode()),
        ("x-shopify-webhook-id", ID.encode()),
    ],
    "slack": lambda proof: [
        ("x-slack-signature", b"v0=" + proof),
        ("x-slack-request-timestamp", NOW_BYTES),
    ],
    "standard": lambda proof: [
        ("webhook-id", ID.encode()),
        ("webhook-timestamp", NOW_BYTES),
        ("webhook-signature", b"v1," + proof),
    ],
}
SPOILT = (
    *(
        *JUNK,
        b"v1,",
        b"v1a,AAAA",
        b"v1,\xff",
        b"v1,=",
        b"sha256=",
        b"sha256=\xff",
        b"v0=",
        b"sha1=0",
    ),
    *(b"-1", NOW_BYTES + b"0", b"\xb2" * 10, b"1_8", b"url_verification", b"../..", b"a" * 200),
    *(json.dumps(value).encode()[:4000] for value in VALUES),
)
