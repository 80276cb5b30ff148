"""What strangers sent, made fit to be shown: no byte of theirs may steer a terminal. Pure."""

import json
import re
from http import HTTPStatus

from hookloop.exchange import Exchange, RequestHead

__all__ = ["event_type", "outcome", "path_of", "printable", "trouble"]

SHOWN_MAX = 2000  # characters; a target may be 8 KB and no line shows that much

# Where a webhook's sender says in a header what happened, in lower case.
_TYPE_HEADERS = frozenset(
    {
        b"ce-type",
        b"linear-event",
        b"x-adobe-event-code",
        b"x-amz-sns-message-type",
        b"x-discourse-event",
        b"x-event-key",  # Bitbucket
        b"x-forgejo-event",
        b"x-gitea-event",
        b"x-github-event",
        b"x-gitlab-event",
        b"x-intercom-topic",
        b"x-jira-event",
        b"x-pagerduty-event",
        b"x-shopify-topic",
        b"x-webhook-event",
        b"x-wc-webhook-topic",
    }
)

_SIGNATURE_HEADERS = frozenset({b"stripe-signature", b"webhook-signature", b"svix-signature"})
_TYPE = re.compile(r"[A-Za-z0-9_.:/\[\]-]{1,120}")  # a word, not what a field of that name may hold


def printable(text: str) -> str:
    """
    Return *text* with everything escaped that is not a visible character or a space.

    That is the controls (ANSI sequences begin with one), and the marks that turn the
    direction of writing: with them a path could pass for another.
    """
    text = text[:SHOWN_MAX]
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else "\\U?"


def path_of(request: RequestHead) -> str:
    """
    Return the target's path; of a query only that there is one.

    Tokens travel in queries, and what we print ends in logs and on shared screens.
    """
    path, mark, _ = request.target[: SHOWN_MAX * 2].partition(b"?")
    text = path.decode("utf-8", "backslashreplace")
    return printable(text) + ("?…" if mark else "")


def event_type(exchange: Exchange) -> str:
    """
    Return what the sender of a webhook says happened, or an empty text.

    Most say so in a header. Stripe, and who follows Standard Webhooks, say it in the body: of
    a request that is signed in their way the one word is read, and nothing else is.
    """
    signed = False
    for name, value in exchange.request.headers:
        lower = name.lower()
        if lower in _TYPE_HEADERS:
            return printable(value.decode("utf-8", "backslashreplace"))
        signed = signed or lower in _SIGNATURE_HEADERS
    return _type_in(exchange.request_body) if signed and exchange.request_body else ""


def _type_in(body: bytes) -> str:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    told = event.get("type") if isinstance(event, dict) else None
    return told if isinstance(told, str) and _TYPE.fullmatch(told) else ""


def trouble(exchange: Exchange) -> str:
    """Return why the local service did not answer, in whole."""
    objection = exchange.objection
    if objection is None:
        return exchange.failure or "no answer"
    reasons = "; ".join(objection.reasons) or objection.message
    return f"{objection.status} {objection.code}: {reasons}"


def outcome(exchange: Exchange) -> str:
    """Return ``200 OK``, or why there is no such thing."""
    if exchange.response is None:
        return printable(exchange.failure or "no answer")
    status = exchange.response.status
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = printable(exchange.response.reason.decode("latin-1"))
    told = f"{status} {phrase}".strip()
    if exchange.failure:
        return f"{told}, cut short"
    return f"{told}, body altered" if exchange.is_exact is False else told
