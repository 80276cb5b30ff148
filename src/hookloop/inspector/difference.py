"""What differs between two exchanges: JSON by its structure, all else by its lines. Pure."""

import difflib
import json
from typing import Any, NamedTuple

from hookloop.exchange import Headers

from .body_text import text_of
from .captured import Captured, CapturedBody

__all__ = ["Difference", "differences"]

LINES_MAX = 4000  # of each side that are compared: it takes their product in steps
ROWS_MAX = 1000


class Difference(NamedTuple):
    """One thing that is not the same on both sides."""

    where: str
    """``status``, ``request header host``, ``request body data.object.id``, ..."""
    left: str | None
    """None where only the other side has it."""
    right: str | None


def differences(left: Captured, right: Captured) -> tuple[Difference, ...]:
    """Return what differs, head before body and request before answer."""
    found = [
        *_word("method", left.request.method, right.request.method),
        *_word("path", left.request.target, right.request.target),
        *_headers("request", left.request.headers, right.request.headers),
        *_bodies(
            "request",
            (left.request.headers, left.request_body),
            (right.request.headers, right.request_body),
        ),
    ]
    ours = left.response.headers if left.response is not None else ()
    theirs = right.response.headers if right.response is not None else ()
    if left.status != right.status:
        found.append(Difference("status", _shown(left.status), _shown(right.status)))
    found += _headers("answer", ours, theirs)
    found += _bodies("answer", (ours, left.response_body), (theirs, right.response_body))
    return tuple(found[:ROWS_MAX])


def _shown(status: int | None) -> str:
    return "no answer" if status is None else str(status)


def _word(where: str, left: bytes, right: bytes) -> list[Difference]:
    if left == right:
        return []
    return [Difference(where, left.decode("latin-1"), right.decode("latin-1"))]


def _headers(side: str, left: Headers, right: Headers) -> list[Difference]:
    ours, theirs = _by_name(left), _by_name(right)
    return [
        Difference(f"{side} header {name}", ours.get(name), theirs.get(name))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]


def _by_name(headers: Headers) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return {name: "\n".join(values) for name, values in found.items()}


def _bodies(
    side: str, left: tuple[Headers, CapturedBody], right: tuple[Headers, CapturedBody]
) -> list[Difference]:
    if left[1].digest == right[1].digest and left[1].data == right[1].data:
        return []
    ours, theirs = (text_of(headers, body.data) for headers, body in (left, right))
    where = f"{side} body"
    if ours is None or theirs is None:
        shown = [f"{body.length} bytes, SHA-256 {body.digest.hex()}" for _, body in (left, right)]
        return [Difference(where, *shown)]
    try:
        pair = json.loads(ours), json.loads(theirs)
    except (ValueError, RecursionError):
        return _lines(where, ours, theirs)
    # Two texts of one content: a body that was written anew, and whose signature is lost.
    return list(_json(where, *pair, depth=0)) or [
        Difference(f"{where}, which means the same", ours, theirs)
    ]


def _json(where: str, left: Any, right: Any, *, depth: int) -> list[Difference]:
    if type(left) is type(right) and left == right:
        return []
    if isinstance(left, dict) and isinstance(right, dict) and depth < 50:
        found = []
        for key in dict.fromkeys([*left, *right]):
            place = f"{where} {key}" if depth == 0 else f"{where}.{key}"
            found += _item(place, left.get(key, _NONE), right.get(key, _NONE), depth)
        return found
    if isinstance(left, list) and isinstance(right, list) and depth < 50:
        found = []
        for at in range(max(len(left), len(right))):
            ours = left[at] if at < len(left) else _NONE
            theirs = right[at] if at < len(right) else _NONE
            found += _item(f"{where}[{at}]", ours, theirs, depth)
        return found
    return [Difference(where, _text(left), _text(right))]


_NONE = object()


def _item(where: str, left: Any, right: Any, depth: int) -> list[Difference]:
    if left is _NONE or right is _NONE:
        return [Difference(where, _text(left), _text(right))]
    return _json(where, left, right, depth=depth + 1)


def _text(value: Any) -> str | None:
    return None if value is _NONE else json.dumps(value, ensure_ascii=False)


def _lines(where: str, left: str, right: str) -> list[Difference]:
    ours, theirs = left.splitlines()[:LINES_MAX], right.splitlines()[:LINES_MAX]
    found = []
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=True)
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag != "equal":
            found.append(
                Difference(
                    f"{where} line {start + 1}",
                    "\n".join(ours[start:end]) if end > start else None,
                    "\n".join(theirs[other_start:other_end]) if other_end > other_start else None,
                )
            )
    return found
