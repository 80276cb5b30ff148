"""The doctor's reading of a captured webhook that was not answered 2xx. Pure."""

from collections.abc import Mapping

from hookloop.doctor import Answer, Case, Finding, diagnose
from hookloop.exchange import Headers

from .body_text import text_of
from .captured import Captured

__all__ = ["is_read", "reading"]

EXCERPT_CHARS = 4000
READ_BYTES_MAX = 256 * 1024  # the search for what was signed hashes a body many times


def is_read(captured: Captured) -> bool:
    """Say whether there is something to explain: a webhook that was answered 3xx or 4xx."""
    return (
        captured.webhook is not None
        and captured.status is not None
        and 300 <= captured.status < 500
        and captured.request_body.is_as_passed
        and captured.request_body.length <= READ_BYTES_MAX
    )


def reading(captured: Captured, secrets: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return why it failed, tried against *secrets* by label; no finding holds one of them."""
    if not is_read(captured) or captured.response is None:
        return ()
    response = captured.response
    excerpt = (text_of(response.headers, captured.response_body.data) or "")[:EXCERPT_CHARS]
    is_stripe = captured.webhook is not None and captured.webhook.provider == "stripe"
    findings = diagnose(
        Case(
            body=captured.request_body.data,
            headers=_texts(captured.request.headers),
            secrets=dict(secrets),
            now=captured.started_at,
            method=captured.request.method.decode("latin-1"),
            url=captured.request.target.decode("latin-1"),
            answer=Answer(response.status, _texts(response.headers), excerpt),
        )
    )
    if is_stripe:
        return findings
    # Of other providers' signatures the doctor knows too little to speak of them.
    return tuple(one for one in findings if "signature" not in one.code)


def _texts(headers: Headers) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
