"""A captured exchange as rows of the store, and back. Pure."""

import json
from typing import Any

from hookloop.exchange import Headers, Objection, RequestHead, ResponseHead

from .captured import Captured, CapturedBody, Summary, WebhookFacts

__all__ = ["COLUMNS", "captured_of", "content_row", "exchange_row", "stored_bytes", "words_of"]

COLUMNS = ", ".join(Summary._fields)
ROW_BYTES = 600  # of columns and indexes, about
WORDS_BYTES_MAX = 64 * 1024
"""Of a body that are searched: the middle of a larger one is no one's memory of it."""


def exchange_row(captured: Captured) -> tuple[Any, ...]:
    """Return the columns after ``seq``, in the order of the table."""
    return (*captured.summary()[1:], stored_bytes(captured))


def content_row(captured: Captured) -> tuple[str, bytes, bytes]:
    return _heads(captured), captured.request_body.data, captured.response_body.data


def stored_bytes(captured: Captured) -> int:
    """Return about how much room it takes."""
    response = captured.response.headers if captured.response is not None else ()
    fields = sum(len(name) + len(value) + 8 for name, value in captured.request.headers + response)
    bodies = len(captured.request_body.data) + len(captured.response_body.data)
    return ROW_BYTES + fields + bodies


def captured_of(summary: Summary, heads: str, request: bytes, response: bytes) -> Captured:
    """Return what `exchange_row` and `content_row` were made of."""
    kept = json.loads(heads)
    status = kept["response"]
    objection = kept["objection"]
    head = None
    if status is not None:
        head = ResponseHead(status[0], status[1].encode("latin-1"), _headers(status[2]))
    facts = (summary.provider, summary.event_type, summary.event_id, summary.object_id)
    return Captured(
        id=summary.id,
        tunnel=summary.tunnel,
        kind=summary.kind,
        remote=summary.remote,
        started_at=summary.started_at,
        connected_seconds=kept["connected"],
        responded_seconds=kept["responded"],
        duration_seconds=summary.duration_seconds,
        request=RequestHead(
            summary.method.encode("latin-1"),
            summary.target.encode("latin-1"),
            _headers(kept["request"]),
        ),
        request_body=CapturedBody(request, summary.request_bytes, bytes.fromhex(kept["sha"][0])),
        response=head,
        response_body=CapturedBody(response, summary.response_bytes, bytes.fromhex(kept["sha"][1])),
        failure=summary.failure,
        objection=None if objection is None else _objection(objection),
        is_exact=kept["exact"],
        webhook=WebhookFacts(*facts) if summary.provider else None,
        origin=summary.origin,
        note=summary.note,
        redacted=tuple(kept["redacted"]),
    )


def words_of(summary: Summary, heads: str, request: bytes, response: bytes) -> str:
    """Return what a search for text looks into: more than `Query` does is no harm, less is."""
    from .body_text import text_of

    kept = json.loads(heads)
    parts = [summary.target, summary.id, summary.failure or "", summary.event_type]
    parts += [summary.event_id, summary.object_id, summary.provider]
    answer = kept["response"][2] if kept["response"] is not None else []
    for headers, body in ((kept["request"], request), (answer, response)):
        parts += [value for pair in headers for value in pair]
        if body:
            parts.append((text_of(_headers(headers), body) or "")[:WORDS_BYTES_MAX])
    return "\n".join(parts).lower()


def _heads(captured: Captured) -> str:
    response, objection = captured.response, captured.objection
    return json.dumps(
        {
            "request": _texts(captured.request.headers),
            "response": None
            if response is None
            else [response.status, response.reason.decode("latin-1"), _texts(response.headers)],
            "connected": captured.connected_seconds,
            "responded": captured.responded_seconds,
            "sha": [captured.request_body.digest.hex(), captured.response_body.digest.hex()],
            "exact": captured.is_exact,
            "objection": objection,
            "redacted": captured.redacted,
        },
        separators=(",", ":"),
    )


def _texts(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _headers(texts: list[list[str]]) -> Headers:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in texts)


def _objection(kept: list[Any]) -> Objection:
    return Objection(kept[0], kept[1], kept[2], tuple(kept[3]))
