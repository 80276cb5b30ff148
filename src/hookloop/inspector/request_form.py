"""A captured request as the fields of a form, and what was changed in them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from hookloop.errors import ConfigError
from hookloop.exchange import Headers

from .captured import Captured
from .replay_plan import Edits
from .wording import bytes_text

__all__ = ["FORM_BYTES_MAX", "RequestForm", "edits_of", "form_fields", "request_form"]

TEXT_BYTES_MAX = 512 * 1024  # a text area with more is slow, and no place to edit it
FORM_BYTES_MAX = 4 * TEXT_BYTES_MAX  # a form escapes a byte with three
FIELDS_MAX = 50

_LONE_CR_OR_LF = re.compile(r"(?<!\r)\n|\r(?!\n)")


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What the fields hold."""

    method: str
    target: str
    headers: str
    """One a line, ``Name: value``."""
    body: str | None
    """None where text cannot stand for it."""
    body_hint: str = ""
    """Why it cannot."""


def request_form(kept: Captured) -> RequestForm:
    """Return the request as it was captured."""
    body, hint = _body_text(kept)
    return RequestForm(
        kept.request.method.decode("latin-1"),
        kept.request.target.decode("latin-1"),
        _lines(kept.request.headers),
        body,
        hint,
    )


def form_fields(data: bytes) -> dict[str, str]:
    """Read what a browser sent of a form. Raises `ConfigError` for what is none."""
    try:
        text = data.decode("ascii")
        return dict(
            parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
        )
    except ValueError:
        raise ConfigError("what was sent is no form: send it from the page") from None


def edits_of(kept: Captured, fields: Mapping[str, str]) -> Edits:
    """
    Return what *fields* change in the request; what is as it was is no edit.

    A browser writes each end of a line in a text area as CRLF: bodies get theirs back, so that
    one nobody touched goes out bit for bit. Raises `ConfigError` for what is no HTTP.
    """
    was = request_form(kept)
    method, target = fields.get("method", was.method), fields.get("target", was.target)
    lines, body = fields.get("headers", was.headers), fields.get("body")
    headers = _headers(lines)
    is_same = headers == _headers(was.headers)
    changed = None
    if body is not None and was.body is not None:
        text = body.replace("\r\n", "\n")
        if text != was.body.replace("\r\n", "\n"):
            changed = (text.replace("\n", "\r\n") if "\r\n" in was.body else text).encode()
    return Edits(
        method=None if method == was.method else _bytes("method", method.strip()),
        target=None if target == was.target else _bytes("path", target.strip()),
        all_headers=None if is_same else headers,
        body=changed,
    )


# --- inside ----------------------------------------------------------------------------------


def _body_text(kept: Captured) -> tuple[str | None, str]:
    body = kept.request_body
    if not body.is_whole:
        return None, "Only its beginning was kept, so it cannot be edited, nor sent."
    if not body.is_as_passed:
        return None, "A secret was taken out of it, so it cannot be edited, nor sent."
    size = bytes_text(body.length)
    if len(body.data) > TEXT_BYTES_MAX:
        return None, f"It is {size}, too long to be edited here. It is sent as it was captured."
    coding = kept.request.get(b"content-encoding") or b"identity"
    if coding.strip().lower() == b"identity" and b"\0" not in body.data:
        try:
            text = body.data.decode()
        except UnicodeDecodeError:
            pass
        else:
            # Of text with both ends of lines, a browser would make one kind.
            if "\r" not in text or _LONE_CR_OR_LF.search(text) is None:
                return text, ""
    return None, f"It is {size} that text cannot stand for. It is sent as it was captured."


def _lines(headers: Headers) -> str:
    return "\n".join(
        f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in headers
    )


def _headers(text: str) -> Headers:
    found = []
    # Not splitlines: it ends lines at signs that a value may have.
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ConfigError(f"the line {line[:60]!r} is no header: write it as Name: value")
        found.append((_bytes("header", name.strip()), _bytes("header", value.strip(" \t"))))
    return tuple(found)


def _bytes(what: str, text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise ConfigError(f"the {what} {text[:60]!r} has a sign that HTTP cannot carry") from None
