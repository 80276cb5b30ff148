"""The relay's own answers: what it says when there is no upstream to answer."""

import json
from dataclasses import dataclass
from html import escape
from http import HTTPStatus

from hookloop.exchange import Headers, ResponseHead
from hookloop.tunnel.wire.messages import ResetCode

__all__ = ["ERROR_HEADER", "Refusal", "refusal_for_reset", "render_refusal"]

ERROR_HEADER = b"Hookloop-Error"
"""Set on the relay's own answers only; the relay takes it off those of an upstream."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of ours. The status never blames the caller for a fault on our side."""

    status: int
    code: str
    message: str
    retry_after: int | None = None
    """Seconds, where trying again makes sense."""
    upgrade: str | None = None
    """The protocol to ask for instead, of a 426."""


_FOR_RESET = {
    ResetCode.UPSTREAM_REFUSED: (502, "upstream_refused"),
    ResetCode.UPSTREAM_TIMEOUT: (504, "upstream_timeout"),
    ResetCode.UPSTREAM_BROKEN: (502, "upstream_broken"),
    ResetCode.OVERLOADED: (503, "overloaded"),
}


def refusal_for_reset(code: ResetCode, message: str) -> Refusal:
    """Return what a caller is told when a stream is reset before its response head."""
    status, name = _FOR_RESET.get(code, (502, "internal"))
    return Refusal(status, name, message or "the exchange was ended early", _retry(status))


def _retry(status: int) -> int | None:
    return 5 if status == HTTPStatus.SERVICE_UNAVAILABLE else None


def render_refusal(refusal: Refusal, *, accept: bytes | None) -> tuple[ResponseHead, bytes]:
    """Return head and body: a page for browsers, JSON for everybody else."""
    is_page = b"text/html" in (accept or b"")
    body = _page(refusal) if is_page else _json(refusal)
    content_type = b"text/html; charset=utf-8" if is_page else b"application/json"
    headers: Headers = (
        (b"Content-Type", content_type),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
        (ERROR_HEADER, refusal.code.encode()),
    )
    if refusal.retry_after is not None:
        headers += ((b"Retry-After", b"%d" % refusal.retry_after),)
    if refusal.upgrade is not None:
        headers += ((b"Connection", b"Upgrade"), (b"Upgrade", refusal.upgrade.encode()))
    return ResponseHead(refusal.status, _phrase(refusal.status).encode(), headers), body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _json(refusal: Refusal) -> bytes:
    error = {"code": refusal.code, "message": refusal.message}
    return json.dumps({"error": error}).encode() + b"\n"


def _page(refusal: Refusal) -> bytes:
    return f"""<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{refusal.status} {_phrase(refusal.status)}</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 1.1rem/1.5 system-ui, sans-serif }}
  body {{ max-width: 34rem; margin: 18vh auto; padding: 0 1rem }}
  small {{ opacity: .6 }}
</style>
<h1>{refusal.status} {_phrase(refusal.status)}</h1>
<p>{escape(refusal.message)}</p>
<p><small>hookloop relay &middot; {escape(refusal.code)}</small></p>
""".encode()
