"""A captured request as text to paste: for a shell, for a script, and as a test file. Pure."""

import base64
import shlex

from .captured import Captured
from .webhook_signature import provider_of

__all__ = ["FORMS", "as_curl", "as_httpx", "as_pytest"]

# What the sender of the copy writes itself, or what says where the original came by.
_NOT_COPIED = frozenset(
    {
        *(b"host", b"content-length", b"connection", b"transfer-encoding", b"accept-encoding"),
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded"),
    }
)


def as_curl(captured: Captured, base_url: str) -> str:
    """Return a command for a POSIX shell that sends the same bytes to *base_url*."""
    request = captured.request
    url = base_url.rstrip("/") + request.target.decode("latin-1")
    words = ["curl", "--request", request.method.decode("latin-1")]
    for name, value in _headers(captured):
        words += ["--header", f"{name}: {value}" if value else f"{name};"]
    body = captured.request_body.data
    text = _text(body)
    # A shell's words hold no NUL, and curl reads a file where the data begins with @.
    is_plain = text is not None and "\0" not in text and not text.startswith("@")
    if body:
        words += ["--data-binary", text if is_plain and text is not None else "@-"]
    command = _shell([*words, url])
    if not body or is_plain:
        return command
    return f"printf %s {base64.b64encode(body).decode()} | base64 --decode | {command}"


def as_httpx(captured: Captured, base_url: str) -> str:
    """Return a script for httpx that sends the same bytes to *base_url*."""
    request = captured.request
    url = base_url.rstrip("/") + request.target.decode("latin-1")
    lines = [
        "import httpx",
        "",
        "answer = httpx.request(",
        f"    {request.method.decode('latin-1')!r},",
        f"    {url!r},",
        "    headers=[",
        *(f"        ({name!r}, {value!r})," for name, value in _headers(captured)),
        "    ],",
        *_assigned("    content=", captured.request_body.data, ","),
        ")",
        "print(answer.status_code, answer.text)",
    ]
    return "\n".join(lines) + "\n"


def as_pytest(captured: Captured) -> str:
    """
    Return a test file that signs the captured webhook afresh and sends it to your application.

    It runs as it is once ``app`` and the secret are yours; a webhook of a sender we cannot sign
    for, or none at all, is sent with the headers it had.
    """
    request = captured.request
    path = request.target.decode("latin-1")
    provider = provider_of(request)
    facts = captured.webhook
    kind = (facts.event_type if facts is not None else "") or "request"
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in kind.lower()).strip("_")
    is_signed = provider in {"stripe", "standard"}
    imports = {"stripe": "send, sign", "standard": "send, sign_standard"}
    shown = imports.get(provider or "", "SignedRequest, send")
    lines = [
        f'"""The webhook {_quotable(kind)}, as it was captured."""',
        "",
        f"from hookloop.testing import {shown}",
        "",
        "from app import app  # your ASGI or WSGI application, or a URL",
        "",
        *(['SECRET = "whsec_..."  # what your application verifies with', ""] if is_signed else []),
        *_assigned("BODY = ", captured.request_body.data, ""),
        "",
        "",
        f"def test_{name or 'request'}():",
    ]
    method = request.method.decode("latin-1")
    if provider == "stripe":
        lines += ["    request = sign(BODY, SECRET)"]
    elif provider == "standard":
        id_ = (request.get(b"webhook-id") or b"msg_1").decode("latin-1")
        lines += [f"    request = sign_standard(BODY, SECRET, id={id_!r})"]
    else:
        lines += [
            "    headers = [",
            *(f"        ({key!r}, {value!r})," for key, value in _headers(captured)),
            "    ]",
            "    request = SignedRequest(BODY, headers)",
        ]
    lines += [
        f"    answer = send(app, request, path={path!r}, method={method!r})",
        "    assert 200 <= answer.status < 300",
    ]
    return "\n".join(lines) + "\n"


FORMS = ("curl", "httpx", "pytest")


# --- inside ----------------------------------------------------------------------------------


def _headers(captured: Captured) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in captured.request.headers
        if name.lower() not in _NOT_COPIED
    ]


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _shell(words: list[str]) -> str:
    """Quote each word: what was captured is a stranger's, and is pasted into a shell."""
    return " ".join(shlex.quote(word) for word in words)


def _assigned(before: str, body: bytes, after: str) -> list[str]:
    """Return lines of Python that say *body* bit for bit, line by line where it has lines."""
    pieces = body.splitlines(keepends=True) or [b""]
    if len(pieces) == 1:
        return [f"{before}{pieces[0]!r}{after}"]
    indent = " " * (len(before) - len(before.lstrip()))
    return [f"{before}(", *(f"{indent}    {piece!r}" for piece in pieces), f"{indent}){after}"]


def _quotable(text: str) -> str:
    return "".join(c for c in text if c.isascii() and (c.isalnum() or c in "._-"))
