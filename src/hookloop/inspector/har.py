"""
HAR 1.2: captured exchanges for other tools, and those of other tools for us. Pure.

Bodies that are no text are base64, of requests too, under ``_encoding``: HAR has no place for
them. What only we know (``_hookloop``) comes back as it was; others pass over it.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hookloop.errors import ConfigError
from hookloop.exchange import Headers, RequestHead, ResponseHead

from .captured import Captured, CapturedBody
from .webhook_facts import webhook_facts

__all__ = ["from_har", "to_har"]

HAR_BYTES_MAX = 256 * 1024 * 1024  # a browser's whole morning
ENTRIES_MAX = 100_000
_MISSING = -1  # HAR's own word for what is not known


def to_har(captured: Iterable[Captured], version: str) -> dict[str, Any]:
    """Return the document; *version* is ours."""
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "hookloop", "version": version},
            "entries": [_entry(each) for each in captured],
        }
    }


def from_har(text: bytes, new_id: Callable[[float], str]) -> tuple[Captured, ...]:
    """
    Read a HAR file, whoever wrote it.

    *new_id* makes an id for an exchange that began at a time. Raises `ConfigError` for what is
    no HAR.
    """
    if len(text) > HAR_BYTES_MAX:
        raise ConfigError(f"the file is over {HAR_BYTES_MAX} bytes: is it a HAR file?")
    try:
        entries = json.loads(text.decode("utf-8-sig"))["log"]["entries"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError("this is no HAR file: it has no log with entries in JSON") from None
    if not isinstance(entries, list) or len(entries) > ENTRIES_MAX:
        raise ConfigError(f"a HAR file has a list of up to {ENTRIES_MAX} entries")
    read = []
    for number, entry in enumerate(entries, 1):
        try:
            read.append(_captured(entry, new_id))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"entry {number} of the HAR file cannot be read: {error}") from None
    return tuple(read)


# --- out -------------------------------------------------------------------------------------


def _entry(captured: Captured) -> dict[str, Any]:
    request, response = captured.request, captured.response
    host = (request.get(b"host") or b"localhost").decode("latin-1")
    scheme = (request.get(b"x-forwarded-proto") or b"http").decode("latin-1")
    total = captured.duration_seconds
    responded = captured.responded_seconds
    wait = total if responded is None else responded
    connect = captured.connected_seconds
    ours = {
        "id": captured.id,
        "tunnel": captured.tunnel,
        "remote": captured.remote,
        "failure": captured.failure,
        "origin": captured.origin,
        "note": captured.note,
        "request_sha256": captured.request_body.digest.hex(),
    }
    return {
        "startedDateTime": datetime.fromtimestamp(captured.started_at, UTC).isoformat(),
        "time": total * 1000,
        "request": {
            "method": request.method.decode("latin-1"),
            "url": f"{scheme}://{host}{request.target.decode('latin-1')}",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _pairs(request.headers),
            "queryString": [
                {"name": name, "value": value}
                for name, value in parse_qsl(
                    request.target.partition(b"?")[2].decode("latin-1"), keep_blank_values=True
                )
            ],
            **_post_data(request, captured.request_body),
            "headersSize": _MISSING,
            "bodySize": captured.request_body.length,
        },
        "response": _response(response, captured),
        "cache": {},
        "timings": {
            "connect": _MISSING if connect is None else connect * 1000,
            "send": 0,
            "wait": max(wait - (connect or 0), 0) * 1000,
            "receive": max(total - wait, 0) * 1000,
        },
        "_hookloop": {key: value for key, value in ours.items() if value},
    }


def _response(response: ResponseHead | None, captured: Captured) -> dict[str, Any]:
    body = captured.response_body
    headers = () if response is None else response.headers
    text, encoding = _body_text(body.data)
    return {
        "status": 0 if response is None else response.status,
        "statusText": "" if response is None else response.reason.decode("latin-1"),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(headers),
        "content": {
            "size": body.length,
            "mimeType": _value(headers, b"content-type"),
            "text": text,
            **({"encoding": encoding} if encoding else {}),
        },
        "redirectURL": _value(headers, b"location"),
        "headersSize": _MISSING,
        "bodySize": body.length,
    }


def _post_data(request: RequestHead, body: CapturedBody) -> dict[str, Any]:
    if not body.length:
        return {}
    text, encoding = _body_text(body.data)
    data: dict[str, Any] = {"mimeType": _value(request.headers, b"content-type"), "text": text}
    return {"postData": {**data, "_encoding": encoding} if encoding else data}


def _body_text(data: bytes) -> tuple[str, str]:
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), "base64"


def _pairs(headers: Headers) -> list[dict[str, str]]:
    return [
        {"name": name.decode("latin-1"), "value": value.decode("latin-1")}
        for name, value in headers
    ]


def _value(headers: Headers, name: bytes) -> str:
    return next((v.decode("latin-1") for k, v in headers if k.lower() == name), "")


# --- in --------------------------------------------------------------------------------------


def _captured(entry: dict[str, Any], new_id: Callable[[float], str]) -> Captured:
    asked, answered = entry["request"], entry.get("response") or {}
    started = datetime.fromisoformat(entry["startedDateTime"]).timestamp()
    url = urlsplit(asked["url"])
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = _fields(asked.get("headers") or ())
    if url.netloc and not any(name.lower() == b"host" for name, _ in headers):
        headers = ((b"Host", url.netloc.encode("latin-1")), *headers)
    post = asked.get("postData") or {}
    ours = entry.get("_hookloop")
    ours = ours if isinstance(ours, dict) else {}
    status = int(answered.get("status") or 0)
    method = str(asked["method"]).upper().encode("ascii")
    request = RequestHead(method, target.encode("ascii"), headers)
    body = _body(post.get("text"), post.get("_encoding") or post.get("encoding"))
    content = answered.get("content") or {}
    return Captured(
        id=new_id(started),
        tunnel="",
        remote=str(ours.get("remote") or entry.get("serverIPAddress") or ""),
        started_at=started,
        responded_seconds=None,
        duration_seconds=max(float(entry.get("time") or 0), 0.0) / 1000,
        request=request,
        request_body=body,
        response=ResponseHead(
            status,
            str(answered.get("statusText") or "").encode("latin-1", "replace"),
            _fields(answered.get("headers") or ()),
        )
        if 100 <= status <= 599
        else None,
        response_body=_body(content.get("text"), content.get("encoding")),
        failure=str(ours["failure"]) if ours.get("failure") else None,
        note="imported",
        webhook=webhook_facts(request, body.data),
    )


def _fields(pairs: Sequence[dict[str, Any]]) -> Headers:
    """Read headers; those of HTTP/2 that are no fields (``:authority``) are left out."""
    return tuple(
        (str(pair["name"]).encode("latin-1"), str(pair["value"]).encode("latin-1", "replace"))
        for pair in pairs
        if not str(pair["name"]).startswith(":")
    )


def _body(text: object, encoding: object) -> CapturedBody:
    if not isinstance(text, str):
        return CapturedBody()
    if encoding == "base64":
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("its body is no base64") from None
    else:
        data = text.encode()
    return CapturedBody(data, len(data), sha256(data).digest())
