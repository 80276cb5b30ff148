"""
Search: objects that fit a query, such as ``status:"succeeded" AND amount>1000``.

Clauses are joined by AND or by OR and never by both; a minus before one negates it.
``:`` is equality, ``~`` a part of a text, the others compare numbers; letters' case does
not matter. Unlike at Stripe, what was written a moment ago is found.
See https://docs.stripe.com/search.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any, Protocol

from .arguments import Arguments, Integer, Text
from .declared import simulated
from .errors import ApiError, invalid_parameter
from .operation import Operation
from .pagination import LIMIT_DEFAULT, LIMIT_MAX
from .store import Json, PageRequest
from .transaction import Transaction

__all__ = ["parse_query", "searches"]

CLAUSES_MAX = 10  # Stripe's.
PART_CHARS_MIN = 3  # Stripe's, for ``~``.

_CLAUSE = re.compile(
    r"\s*(?P<not>-)?(?P<field>[a-z_][a-z0-9_.]*)(?:\[(?P<quote>['\"])(?P<key>.*?)(?P=quote)\])?"
    r"\s*(?P<operator>:|~|>=|<=|>|<)\s*"
    r"(?:(?P<mark>['\"])(?P<text>(?:\\.|(?!(?P=mark)).)*)(?P=mark)|(?P<plain>[-\w.]+))"
)
_JOINT = re.compile(r"\s+(and|or)\s+|\s+$|$", re.IGNORECASE)

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {">": gt, "<": lt, ">=": ge, "<=": le}

Matcher = Callable[[Json], bool]


class _Searchable(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Clause:
    field: str
    key: str | None
    operator: str
    wanted: str
    is_text: bool
    negated: bool

    def matches(self, found: Json) -> bool:
        return self._fits(self._value(found)) is not self.negated

    def _value(self, found: Json) -> Any:
        value: Any = found
        for name in self.field.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if self.key is not None:
            value = (value or {}).get(self.key)
        return value

    def _fits(self, value: Any) -> bool:
        if not self.is_text and self.wanted == "null":
            return value is None
        if value is None:
            return False
        if self.operator in _COMPARISONS:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and _COMPARISONS[self.operator](value, float(self.wanted))
        text = str(value).lower()
        return self.wanted.lower() in text if self.operator == "~" else text == self.wanted.lower()


def searches(resource: _Searchable, *fields: str) -> Operation:
    """Return the operation that searches *resource* by *fields*, ``created`` and metadata."""
    known = frozenset({*fields, "created", "metadata"})

    def search(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
        matches = parse_query(arguments["query"], known)
        limit = arguments.get("limit", LIMIT_DEFAULT)
        after = _decoded(arguments["page"]) if arguments.get("page") else None
        page = transaction.store.page(resource.kind, PageRequest(limit, after, None, matches))
        if page is None:
            raise _bad_page()
        answer: Json = {
            "object": "search_result",
            "data": page.objects,
            "has_more": page.has_more,
            "next_page": _encoded(page.objects[-1]["id"]) if page.has_more else None,
            "url": f"{resource.url}/search",
        }
        if "total_count" in (arguments.get("expand") or ()):
            everything = transaction.store.everything(resource.kind)
            answer["total_count"] = sum(map(matches, everything))
        return answer

    return simulated(
        "GET",
        f"{resource.url}/search",
        search,
        "page",
        limit=Integer(minimum=1, maximum=LIMIT_MAX),
        query=Text(required=True, unsettable=False),
    )


def parse_query(query: str, fields: Collection[str]) -> Matcher:
    """Return what says whether an object fits *query*. Raises `ApiError`."""
    clauses, joints, at = [], set(), 0
    while at < len(query):
        match = _CLAUSE.match(query, at)
        joint = _JOINT.match(query, match.end()) if match else None
        if match is None or joint is None:
            raise _bad(f"it cannot be read from {query[at : at + 40]!r} on")
        clauses.append(_clause(match, fields))
        at = joint.end()
        if joint[1]:
            joints.add(joint[1].upper())
            if at >= len(query):
                raise _bad(f"nothing follows {joint[1]}")
    if not clauses or len(clauses) > CLAUSES_MAX:
        raise _bad(f"it must have 1 to {CLAUSES_MAX} clauses")
    if len(joints) > 1:
        raise _bad("AND and OR cannot be mixed")
    joined = any if joints == {"OR"} else all
    return lambda found: joined(clause.matches(found) for clause in clauses)


def _clause(match: re.Match[str], fields: Collection[str]) -> _Clause:
    field, key, operator = match["field"], match["key"], match["operator"]
    if field not in fields or (field == "metadata") is (key is None):
        raise _bad(f"{field!r} is no field that can be searched by; there are {_listed(fields)}")
    is_text = match["plain"] is None
    wanted = re.sub(r"\\(.)", r"\1", match["text"]) if is_text else match["plain"]
    if operator == "~" and len(wanted) < PART_CHARS_MIN:
        raise _bad(f"~ needs at least {PART_CHARS_MIN} characters")
    if operator in _COMPARISONS and not re.fullmatch(r"-?\d+(?:\.\d+)?", wanted):
        raise _bad(f"{operator} compares numbers, and {wanted!r} is none")
    return _Clause(field, key, operator, wanted, is_text, match["not"] is not None)


def _listed(fields: Collection[str]) -> str:
    return ", ".join(sorted(fields))


def _bad(why: str) -> ApiError:
    return invalid_parameter(f"We were unable to parse your search query: {why}.", "query")


def _bad_page() -> ApiError:
    return invalid_parameter("The page is not one this search has told.", "page")


def _encoded(id_: str) -> str:
    return base64.urlsafe_b64encode(id_.encode()).decode()


def _decoded(page: str) -> str:
    try:
        return base64.urlsafe_b64decode(page.encode()).decode()
    except (binascii.Error, UnicodeError):
        raise _bad_page() from None
