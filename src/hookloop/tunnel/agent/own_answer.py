"""The agent's own answers: what it says where a policy keeps a request from the upstream."""

import json
from html import escape
from http import HTTPStatus

from hookloop.exchange import Headers, Objection, RequestHead, ResponseHead

__all__ = ["REFUSED_HEADER", "own_answer"]

REFUSED_HEADER = b"Hookloop-Refused"
"""Holds the code of an objection: the answer is the agent's, not the app's."""


def own_answer(
    objection: Objection, request: RequestHead, *, challenge: bytes
) -> tuple[ResponseHead, bytes]:
    """Return head and body: a page for browsers, JSON for everybody else."""
    is_page = b"text/html" in (request.get(b"accept") or b"")
    body = _page(objection) if is_page else _json(objection)
    content_type = b"text/html; charset=utf-8" if is_page else b"application/json"
    headers: Headers = (
        (b"Content-Type", content_type),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
        (REFUSED_HEADER, objection.code.encode()),
    )
    if objection.status == HTTPStatus.UNAUTHORIZED:
        headers += ((b"WWW-Authenticate", challenge),)
    phrase = HTTPStatus(objection.status).phrase.encode()
    return ResponseHead(objection.status, phrase, headers), body


def _json(objection: Objection) -> bytes:
    error = {"code": objection.code, "message": objection.message}
    return json.dumps({"error": error}).encode() + b"\n"


def _page(objection: Objection) -> bytes:
    title = f"{objection.status} {HTTPStatus(objection.status).phrase}"
    return f"""<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ color-scheme: light dark; font: 1.1rem/1.5 system-ui; margin: 4rem }}</style>
<h1>{title}</h1>
<p>{escape(objection.message)}</p>
<p><small>hookloop agent &middot; {escape(objection.code)}</small></p>
""".encode()
