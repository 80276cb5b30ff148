"""
The signature of a webhook, made afresh: a body of last week passes verification today.

Pure: the time is an argument. Secrets come in and never go out, neither on a page nor in a store.
"""

import base64
import hashlib
import hmac
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hookloop.errors import ConfigError, SignatureError
from hookloop.events.incoming import Incoming
from hookloop.events.providers import GitHub, Provider, Shopify, Slack, StandardWebhooks, Stripe
from hookloop.events.providers.standard import sign_standard, sign_standard_by_key
from hookloop.exchange import Headers, RequestHead
from hookloop.signing import stripe_signature_header

__all__ = [
    "PROVIDERS",
    "KnownSecret",
    "Signed",
    "can_sign",
    "corrupted",
    "provider_of",
    "signed_again",
]

_PRIVATE_PREFIX = "whsk_"


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """A signing secret, and whose webhooks it signs."""

    provider: str
    """One of `PROVIDERS`."""
    secret: str = field(repr=False)


class Signed(NamedTuple):
    """A head whose signature holds for the body at the time it was made for."""

    head: RequestHead
    provider: str
    is_known_signer: bool
    """Whether the secret signed the original too; if not, it was the best guess there is."""


def provider_of(head: RequestHead) -> str | None:
    """Return who signed the request, by the field that a signature stands in; None for nobody."""
    for name, scheme in PROVIDERS.items():
        if head.get(scheme.field.lower()) is not None:
            return name
    return None


def can_sign(head: RequestHead, secrets: Sequence[KnownSecret]) -> bool:
    """Say whether the request has a signature whose like one of *secrets* could make."""
    name = provider_of(head)
    if name is None:
        return False
    family = PROVIDERS[name].family
    return any(PROVIDERS[each.provider].family == family for each in secrets)


def signed_again(
    head: RequestHead,
    body: bytes,
    secrets: Sequence[KnownSecret],
    *,
    now: int,
    original: tuple[RequestHead, bytes] | None = None,
    provider: str | None = None,
) -> Signed:
    """
    Return *head* with a signature of *body* at *now* (Unix seconds) in the place of its own.

    By the secret that signed *original*, the request as it was captured, where one of
    *secrets* did; by all of its provider otherwise. *provider* says who signs a request that
    has no signature. Raises `ConfigError` where nobody signs it, or no secret of theirs is known.
    """
    name = provider or provider_of(head) or (provider_of(original[0]) if original else None)
    if name is None:
        raise ConfigError(
            "the request has no signature of a known provider: say whose, one of "
            f"{', '.join(PROVIDERS)}"
        )
    if name not in PROVIDERS:
        raise ConfigError(f"{name!r} is no provider: use one of {', '.join(PROVIDERS)}")
    scheme = PROVIDERS[name]
    known = [each.secret for each in secrets if PROVIDERS[each.provider].family == scheme.family]
    if not known:
        raise ConfigError(
            f"no signing secret of {name} is known: give it with --secret, or as "
            f"{scheme.variable} in the environment"
        )
    signers = _signers(scheme, original or (head, body), known)
    try:
        fields = scheme.sign(head, body, signers or known, now)
    except ValueError:  # base64, of a secret that was cut off
        raise ConfigError(
            f"the signing secret of {name} is none of its kind: copy it again"
        ) from None
    headers = head.headers
    for field_name, value in fields:
        headers = with_field(headers, field_name, value)
    return Signed(head._replace(headers=headers), name, bool(signers))


def corrupted(head: RequestHead) -> RequestHead:
    """Return *head* with a signature that cannot hold: one sign of it is another."""
    name = provider_of(head)
    if name is None:
        return head
    scheme = PROVIDERS[name]
    value = head.get(scheme.field.lower()) or b""
    for index in range(len(value) - 1, -1, -1):
        if value[index : index + 1].isalnum():
            other = b"0" if value[index : index + 1] != b"0" else b"1"
            broken = value[:index] + other + value[index + 1 :]
            # The last sign of base64 may carry bits that nobody reads: change one before it too.
            if index:
                first = b"A" if broken[index - 1 : index] != b"A" else b"B"
                first = first.lower() if name in {"stripe", "github", "slack"} else first
                broken = broken[: index - 1] + first + broken[index:]
            return head._replace(headers=with_field(head.headers, scheme.field, broken))
    return head


def with_field(headers: Headers, name: bytes, value: bytes) -> Headers:
    """Put *value* in the place of the field *name*, once and in its case, or at the end."""
    lower = name.lower()
    out: list[tuple[bytes, bytes]] = []
    is_placed = False
    for key, old in headers:
        if key.lower() != lower:
            out.append((key, old))
        elif not is_placed:
            out.append((key, value))
            is_placed = True
    if not is_placed:
        out.append((name, value))
    return tuple(out)


# --- inside ----------------------------------------------------------------------------------

_Fields = list[tuple[bytes, bytes]]
_Sign = Callable[[RequestHead, bytes, Sequence[str], int], _Fields]


class _Scheme(NamedTuple):
    field: bytes
    """Where the signature stands."""
    family: str
    """Providers of one family share their secrets."""
    variable: str
    """Of the environment, where its secret is looked for."""
    provider: Callable[[], Provider]
    sign: _Sign


def _signers(
    scheme: _Scheme, original: tuple[RequestHead, bytes], known: Sequence[str]
) -> list[str]:
    head, body = original
    incoming = Incoming(body, head.headers)
    provider = scheme.provider()
    found = []
    for secret in known:
        try:
            verdict = provider.verify(incoming, (secret,), now=0.0, tolerance=math.inf)
        except (SignatureError, ValueError):
            continue
        if not isinstance(verdict, SignatureError):
            found.append(secret)
    return found


def _sign_stripe(_head: RequestHead, body: bytes, secrets: Sequence[str], now: int) -> _Fields:
    header = stripe_signature_header(body, secrets, signed_at=now)
    return [(b"Stripe-Signature", header.encode())]


def _sign_github(head: RequestHead, body: bytes, secrets: Sequence[str], _now: int) -> _Fields:
    key = secrets[0].encode()
    fields = [
        (b"X-Hub-Signature-256", b"sha256=" + hmac.digest(key, body, "sha256").hex().encode())
    ]
    if head.get(b"x-hub-signature") is not None:  # the older one goes along with it
        digest = hmac.new(key, body, hashlib.sha1).hexdigest().encode()
        fields.append((b"X-Hub-Signature", b"sha1=" + digest))
    return fields


def _sign_shopify(_head: RequestHead, body: bytes, secrets: Sequence[str], _now: int) -> _Fields:
    digest = hmac.digest(secrets[0].encode(), body, "sha256")
    return [(b"X-Shopify-Hmac-Sha256", base64.b64encode(digest))]


def _sign_slack(_head: RequestHead, body: bytes, secrets: Sequence[str], now: int) -> _Fields:
    digest = hmac.digest(secrets[0].encode(), b"v0:%d:%b" % (now, body), "sha256").hex()
    return [
        (b"X-Slack-Request-Timestamp", b"%d" % now),
        (b"X-Slack-Signature", b"v0=" + digest.encode()),
    ]


def _standard(prefix: str) -> _Sign:
    id_field, time_field, signature_field = (
        f"{prefix}-{word}".encode() for word in ("id", "timestamp", "signature")
    )

    def sign(head: RequestHead, body: bytes, secrets: Sequence[str], now: int) -> _Fields:
        id_ = (head.get(id_field) or b"msg_replayed").decode("latin-1")
        signatures = []
        for secret in secrets:
            if secret.startswith(_PRIVATE_PREFIX):
                signatures.append(
                    f"v1a,{sign_standard_by_key(body, secret, id=id_, signed_at=now)}"
                )
            else:
                signatures.append(f"v1,{sign_standard(body, secret, id=id_, signed_at=now)}")
        return [
            (id_field, id_.encode("latin-1")),
            (time_field, b"%d" % now),
            (signature_field, " ".join(signatures).encode()),
        ]

    return sign


def _svix() -> Provider:
    return StandardWebhooks(header_prefix="svix")


PROVIDERS: dict[str, _Scheme] = {
    "stripe": _Scheme(b"Stripe-Signature", "stripe", "STRIPE_WEBHOOK_SECRET", Stripe, _sign_stripe),
    "github": _Scheme(
        b"X-Hub-Signature-256", "github", "GITHUB_WEBHOOK_SECRET", GitHub, _sign_github
    ),
    "shopify": _Scheme(
        b"X-Shopify-Hmac-Sha256", "shopify", "SHOPIFY_WEBHOOK_SECRET", Shopify, _sign_shopify
    ),
    "slack": _Scheme(b"X-Slack-Signature", "slack", "SLACK_SIGNING_SECRET", Slack, _sign_slack),
    "standard": _Scheme(
        b"webhook-signature",
        "standard",
        "STANDARD_WEBHOOKS_SECRET",
        StandardWebhooks,
        _standard("webhook"),
    ),
    "svix": _Scheme(
        b"svix-signature", "standard", "STANDARD_WEBHOOKS_SECRET", _svix, _standard("svix")
    ),
}
"""Whose signatures can be made afresh, by the names that `--verify-webhook` takes."""
