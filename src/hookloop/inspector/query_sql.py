"""The terms of a query as conditions on the columns of the store. Pure."""

from .query import SLOW_SECONDS, Query, Term

__all__ = ["conditions"]

_NUMBERS = {
    "status": "status",
    "duration": "duration_seconds",
    "size": "request_bytes + response_bytes",
    "since": "started_at",
    "until": "started_at",
}
_IS = {
    "webhook": "provider <> ''",
    "replay": "origin IS NOT NULL",
    "failed": "(failure IS NOT NULL OR coalesce(status, 0) >= 400)",
    "refused": "objection IS NOT NULL",
    "pending": "status IS NULL",
    "slow": f"duration_seconds >= {SLOW_SECONDS}",
}
_EQUAL = {"method": "method", "provider": "provider", "tunnel": "tunnel", "origin": "origin"}
_PREFIX = {"type": "event_type", "object": "object_id", "remote": "remote"}
_PART = {"path": "target", "host": "tunnel"}


def conditions(query: Query) -> tuple[str, list[str | float]]:
    """
    Return an SQL expression over the columns, and its bindings.

    It is exact for all terms but the textual ones, of which it says nothing.
    """
    wheres: list[str] = []
    bindings: list[str | float] = []
    for term in query.terms:
        if term in query.textual:
            continue
        where, values = _condition(term)
        wheres.append(where)
        bindings += values
    return " AND ".join(wheres) or "1", bindings


def _condition(term: Term) -> tuple[str, list[str | float]]:
    wheres: list[str] = []
    bindings: list[str | float] = []
    for value in term.values:
        where, bound = _one(term.field, value)
        wheres.append(where)
        bindings += bound
    either = f"({' OR '.join(wheres) or '0'})"
    if term.is_negated:
        # A column without a value is neither like it nor unlike it, in SQL; here it is unlike.
        return f"NOT coalesce({either}, 0)", bindings
    return either, bindings


def _one(field: str, value: str | tuple[str, float]) -> tuple[str, list[str | float]]:
    if isinstance(value, tuple):
        comparison, number = value
        return f"{_NUMBERS[field]} {comparison} ?", [number]
    if field == "status":
        if value == "none":
            return "status IS NULL", []
        return "status BETWEEN ? AND ?", [int(value[0]) * 100, int(value[0]) * 100 + 99]
    if field == "is":
        return _IS[value], []
    if field == "id":
        if value.startswith("cap_"):
            return _prefix("id", value)
        where, bound = _prefix("event_id", value)
        return f"(event_id <> '' AND {where})", bound
    if field in _EQUAL:
        return f"{_EQUAL[field]} = ? COLLATE NOCASE", [value]
    if field in _PREFIX:
        column = _PREFIX[field]
        where, bound = _prefix(column, value)
        return f"({column} <> '' AND {where})", bound
    return f"instr(lower({_PART[field]}), ?) > 0", [value]


def _prefix(column: str, value: str) -> tuple[str, list[str | float]]:
    # A range, which an index answers; the columns compare without regard to case.
    return f"({column} >= ? AND {column} < ?)", [value, value + "\U0010ffff"]
