"""
The language by which captured exchanges are found. Pure.

``status:5xx path:/webhooks type:invoice.paid -is:replay "some words"``: terms apart by spaces,
all of which must hold; a comma between the values of one term means either of them.
"""

import difflib
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from hookloop.errors import ConfigError

from .body_text import text_of
from .captured import Captured, Summary

__all__ = ["EVERYTHING", "FIELDS", "Query", "Term", "parse_query"]

QUERY_CHARS_MAX = 2000  # of a search box, and of a URL
TERMS_MAX = 40

FIELDS: dict[str, str] = {
    "status": "status:500, status:5xx, status:>=400, status:none for no answer",
    "method": "method:POST",
    "path": "path:/webhooks, any part of the path and query",
    "host": "host:shop.example.com",
    "header": "header:user-agent, or header:user-agent=curl; of request or answer",
    "body": 'body:"some text", in request or answer',
    "type": "type:invoice.paid, or type:invoice. for all that begin so",
    "id": "id:evt_, the beginning of an event's id or of an exchange's",
    "object": "object:in_, the beginning of the id of what the event is about",
    "provider": "provider:stripe",
    "tunnel": "tunnel:web",
    "remote": "remote:203.0.113.",
    "origin": "origin:cap_..., the replays of an exchange",
    "is": "is:webhook, is:replay, is:failed, is:slow, is:pending, is:refused",
    "duration": "duration:>500ms, duration:<2s",
    "size": "size:>10kb, of request and answer together",
    "since": "since:1h, since:2026-11-25, since:2026-11-25T12:00",
    "until": "until:30m, as since",
}
IS_WORDS = ("failed", "pending", "refused", "replay", "slow", "webhook")
SLOW_SECONDS = 1.0  # a webhook's sender begins to worry

_TERM = re.compile(r"(-?)([A-Za-z]+):(.*)", re.DOTALL)
_COMPARISON = re.compile(r"(>=|<=|>|<|)(.+)", re.DOTALL)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(b|kb|mb)?")
_SPAN_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE_BYTES = {"b": 1, "kb": 1024, "mb": 1024 * 1024}


class Term(NamedTuple):
    """One condition: any of *values*, or none of them where *is_negated*."""

    field: str
    """One of `FIELDS`, or ``text`` for words without a field."""
    values: tuple[str | tuple[str, float], ...]
    """Words as written, lower case; for numbers and times ``(comparison, number)``."""
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Terms that must all hold. Made by `parse_query`."""

    terms: tuple[Term, ...] = ()
    text: str = ""
    """As it was written."""

    @property
    def textual(self) -> tuple[Term, ...]:
        """The terms that only heads and bodies can answer."""
        return tuple(term for term in self.terms if term.field in TEXTUAL)

    def of(self, field: str) -> str | None:
        """Return the only value of the only term *field*, where it is a plain word."""
        found = [term for term in self.terms if term.field == field and not term.is_negated]
        value = found[0].values[0] if len(found) == 1 and len(found[0].values) == 1 else None
        return value if isinstance(value, str) else None

    def matches(self, captured: Captured) -> bool:
        """Return whether all terms hold for *captured*."""
        summary = captured.summary()
        return all(
            any(
                _textual(term.field, value, captured)
                if term.field in TEXTUAL
                else _holds(term.field, value, summary)
                for value in term.values
            )
            is not term.is_negated
            for term in self.terms
        )

    def holds_text(self, captured: Captured) -> bool:
        """Return whether the `textual` terms hold: a store has looked at the others."""
        return replace(self, terms=self.textual).matches(captured)


TEXTUAL = frozenset({"header", "body", "text"})
EVERYTHING = Query()


def parse_query(text: str, *, now: float) -> Query:
    """
    Return the query that *text* writes; *now* (Unix seconds) is what ``since:1h`` counts from.

    Raises `ConfigError` with what can be written instead.
    """
    if len(text) > QUERY_CHARS_MAX:
        raise ConfigError(f"a search has at most {QUERY_CHARS_MAX} characters: use fewer words")
    words = _words(text)
    if len(words) > TERMS_MAX:
        raise ConfigError(
            f"a search has at most {TERMS_MAX} terms: quote text that belongs together"
        )
    return Query(tuple(_term(word, now) for word in words), text.strip())


# --- reading -----------------------------------------------------------------------------------


def _words(text: str) -> list[str]:
    reader = shlex.shlex(text, posix=True, punctuation_chars="")
    reader.whitespace_split = True
    reader.commenters = ""
    reader.escape = ""
    reader.quotes = '"'
    try:
        return list(reader)
    except ValueError:
        raise ConfigError('a quote is open: end it with another ", or leave it out') from None


def _term(word: str, now: float) -> Term:
    match = _TERM.fullmatch(word)
    if match is None:
        is_negated = word.startswith("-") and len(word) > 1
        return Term("text", (word[is_negated:].lower(),), is_negated)
    sign, name, value = match.groups()
    field = name.lower()
    if field not in FIELDS:
        if value.startswith("//"):  # a URL that was pasted
            return Term("text", (word.lower(),))
        near = difflib.get_close_matches(field, FIELDS, n=1)
        hint = f"did you mean {near[0]}:?" if near else f"there are {', '.join(FIELDS)}"
        raise ConfigError(
            f'nothing is called {field}: {hint} Quote it to look for the text: "{word}"'
        )
    if not value:
        raise ConfigError(f"{field}: needs a value, as {FIELDS[field]}")
    read = _READERS.get(field, _word)
    # What may hold a comma is never a list.
    parts = [value] if field in {"body", "header", "path"} else value.split(",")
    return Term(field, tuple(read(part, now) for part in parts if part), bool(sign))


def _word(text: str, _: float) -> str:
    return text.lower()


def _status(text: str, _: float) -> str | tuple[str, float]:
    word = text.lower()
    if word == "none" or re.fullmatch(r"[1-5]xx", word):
        return word
    comparison, number = _compared(text)
    if not number.isdecimal():
        raise ConfigError(f"{text!r} is no status: write {FIELDS['status']}")
    return comparison or "=", float(number)


def _duration(text: str, _: float) -> tuple[str, float]:
    comparison, number = _compared(text)
    return comparison or ">=", _span(number, "duration")


def _size(text: str, _: float) -> tuple[str, float]:
    comparison, number = _compared(text)
    match = _SIZE.fullmatch(number.lower())
    if match is None:
        raise ConfigError(f"{text!r} is no size: write {FIELDS['size']}")
    return comparison or ">=", float(match[1]) * _SIZE_BYTES[match[2] or "b"]


def _time(field: str, comparison: str) -> "Callable[[str, float], tuple[str, float]]":
    def read(text: str, now: float) -> tuple[str, float]:
        if _SPAN.fullmatch(text.lower()):
            return comparison, now - _span(text, field)
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            raise ConfigError(f"{text!r} is no time: write {FIELDS[field]}") from None
        return comparison, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    return read


def _is(text: str, _: float) -> str:
    if text.lower() not in IS_WORDS:
        raise ConfigError(f"is:{text} means nothing: there are {FIELDS['is']}")
    return text.lower()


def _span(text: str, field: str) -> float:
    match = _SPAN.fullmatch(text.lower())
    if match is None:
        raise ConfigError(f"{text!r} is no length of time: write {FIELDS[field]}")
    return float(match[1]) * _SPAN_SECONDS[match[2] or "s"]


def _compared(text: str) -> tuple[str, str]:
    match = _COMPARISON.fullmatch(text)
    return (match[1], match[2]) if match is not None else ("", text)


_READERS: "dict[str, Callable[[str, float], str | tuple[str, float]]]" = {
    "status": _status,
    "duration": _duration,
    "size": _size,
    "since": _time("since", ">="),
    "until": _time("until", "<="),
    "is": _is,
}

# --- holding -----------------------------------------------------------------------------------

_COMPARE: "dict[str, Callable[[float, float], bool]]" = {
    "=": lambda a, b: a == b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


def _holds(field: str, value: str | tuple[str, float], one: Summary) -> bool:
    """Return what SQL says too (`query_sql`); a test compares the two."""
    if isinstance(value, tuple):
        number = _NUMBERS[field](one)
        return number is not None and _COMPARE[value[0]](number, value[1])
    return _WORDS[field](one, value)


_NUMBERS: "dict[str, Callable[[Summary], float | None]]" = {
    "status": lambda one: one.status,
    "duration": lambda one: one.duration_seconds,
    "size": lambda one: one.request_bytes + one.response_bytes,
    "since": lambda one: one.started_at,
    "until": lambda one: one.started_at,
}
_IS: "dict[str, Callable[[Summary], bool]]" = {
    "webhook": lambda one: bool(one.provider),
    "replay": lambda one: one.origin is not None,
    "failed": lambda one: one.failure is not None or (one.status or 0) >= 400,
    "refused": lambda one: one.objection is not None,
    "pending": lambda one: one.status is None,
    "slow": lambda one: one.duration_seconds >= SLOW_SECONDS,
}


def _is_status(one: Summary, value: str) -> bool:
    if value == "none":
        return one.status is None
    return one.status is not None and one.status // 100 == int(value[0])


_WORDS: "dict[str, Callable[[Summary, str], bool]]" = {
    "status": _is_status,
    "method": lambda one, value: one.method.lower() == value,
    "path": lambda one, value: value in one.target.lower(),
    "host": lambda one, value: value in one.tunnel.lower(),
    "type": lambda one, value: one.event_type.lower().startswith(value),
    "id": lambda one, value: (
        (one.id if value.startswith("cap_") else one.event_id).lower().startswith(value)
    ),
    "object": lambda one, value: bool(one.object_id) and one.object_id.lower().startswith(value),
    "provider": lambda one, value: one.provider.lower() == value,
    "tunnel": lambda one, value: one.tunnel.lower() == value,
    "remote": lambda one, value: one.remote.lower().startswith(value),
    "origin": lambda one, value: (one.origin or "").lower() == value,
    "is": lambda one, value: _IS[value](one),
}


def _textual(field: str, value: str | tuple[str, float], captured: Captured) -> bool:
    assert isinstance(value, str)  # noqa: S101  # numbers belong to other fields
    if field == "header":
        return _has_header(captured, value)
    if any(value in text for text in _body_texts(captured)):
        return True
    return field == "text" and any(value in text for text in _other_texts(captured))


def _has_header(captured: Captured, value: str) -> bool:
    name, equals, part = value.partition("=")
    heads = [captured.request.headers, captured.response.headers if captured.response else ()]
    return any(
        key.decode("latin-1").lower() == name
        and (not equals or part in content.decode("latin-1").lower())
        for headers in heads
        for key, content in headers
    )


def _body_texts(captured: Captured) -> list[str]:
    bodies = [(captured.request.headers, captured.request_body.data)]
    if captured.response is not None:
        bodies.append((captured.response.headers, captured.response_body.data))
    return [(text_of(headers, body) or "").lower() for headers, body in bodies if body]


def _other_texts(captured: Captured) -> list[str]:
    heads = [captured.request.headers, captured.response.headers if captured.response else ()]
    facts = captured.webhook or ()
    texts = [captured.request.target.decode("latin-1"), captured.id, captured.failure or "", *facts]
    texts += [value.decode("latin-1") for headers in heads for _, value in headers]
    return [text.lower() for text in texts]
