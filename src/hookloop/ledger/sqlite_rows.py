"""The statements of the SQLite store; each function is a step of its caller's transaction."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import apsw

from .choice import chosen
from .delivery import (
    Attempt,
    Delivery,
    LeaseId,
    Outcome,
    Result,
    State,
    advanced,
    claimed,
    extended,
    gives_way,
    is_held,
    lost,
    replayed,
    settled,
    yielded,
)
from .message import Message, NewMessage, Receipt
from .store import CLAIM_MAX, FIND_MAX, Lease, Retention, Selection, Tally

__all__ = [
    "append",
    "attempts",
    "claim",
    "extend",
    "find",
    "forfeit",
    "message",
    "newest_time",
    "prune",
    "replay",
    "settle",
    "tally",
]

STATES = {state.value: state for state in State}
RESULTS = {result.value: result for result in Result}

_Values = tuple[Any, ...] | dict[str, Any]

DELIVERY = """
    d.id, d.message, d.target, d.order_key, d.state, d.due_at, d.attempts, d.failures, d.crashes,
    d.claimed_at, d.settled_at, d.detail, d.rank
"""
MESSAGE = "m.id, m.source, m.type, m.key, m.received_at, m.head, m.body"


# --- the way of a delivery -------------------------------------------------------------------


def append(db: apsw.Connection, new: NewMessage, *, now: float, until: float) -> Receipt:
    sha256 = hashlib.sha256(new.body).digest() if new.key is not None else b""
    if new.key is not None:
        known = _one(
            db,
            "SELECT message, body_sha256 FROM dedupe WHERE source = ? AND key = ? AND until > ?",
            (new.source, new.key, now),
        )
        if known is not None:
            return Receipt(known[0], is_duplicate=True, is_altered=known[1] != sha256)
    db.execute(
        "INSERT INTO message (source, type, key, received_at, head, body)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (new.source, new.type, new.key, now, new.head, new.body),
    )
    number = db.last_insert_rowid()
    if new.key is not None:
        db.execute(
            "INSERT OR REPLACE INTO dedupe (source, key, message, body_sha256, until)"
            " VALUES (?, ?, ?, ?, ?)",
            (new.source, new.key, number, sha256, until),
        )
    for target in new.targets:
        order_key = new.order_key_of(target)
        head = _head(db, target, order_key) if order_key is not None else None
        state = State.READY
        if head is not None and gives_way(head, rank=new.rank):
            _write(db, [yielded(head)])
        elif head is not None:
            state = State.WAITING
        db.execute(
            "INSERT INTO delivery (message, target, order_key, state, due_at, attempts, failures,"
            " crashes, detail, rank) VALUES (?, ?, ?, ?, ?, 0, 0, 0, '', ?)",
            (number, target, order_key, state.value, now, new.rank),
        )
    return Receipt(number)


def claim(
    db: apsw.Connection,
    room: Mapping[str, int],
    *,
    limit: int,
    now: float,
    lease_seconds: float,
) -> list[Lease]:
    limit = min(limit, CLAIM_MAX)
    due = {target: _due(db, target, min(most, limit), now) for target, most in room.items()}
    held, ended = [], []
    for delivery in chosen(due, limit=limit):
        freed = delivery
        if delivery.state is State.LEASED:
            freed, attempt = lost(delivery, now=now)
            ended.append(attempt)
        held.append(claimed(freed, now=now, lease_seconds=lease_seconds))
    _record(db, ended)
    _write(db, held)
    messages = _messages(db, {delivery.message for delivery in held})
    return [Lease(delivery, messages[delivery.message]) for delivery in held]


def extend(
    db: apsw.Connection, leases: Collection[LeaseId], *, now: float, lease_seconds: float
) -> set[LeaseId]:
    held = _held(db, leases)
    _write(db, [extended(d, now=now, lease_seconds=lease_seconds) for d in held.values()])
    return set(held)


def settle(
    db: apsw.Connection, outcomes: Mapping[LeaseId, Outcome], *, now: float
) -> dict[LeaseId, str]:
    """Return the leases that were heard, with their targets."""
    held = _held(db, outcomes.keys())
    moved = [settled(delivery, outcomes[lease], now=now) for lease, delivery in held.items()]
    _record(db, [attempt for _, attempt in moved])
    _write(db, [delivery for delivery, _ in moved])
    for delivery, _ in moved:
        if delivery.state.is_settled and delivery.order_key is not None:
            _advance(db, delivery.target, delivery.order_key)
    return {lease: delivery.target for lease, delivery in held.items()}


def forfeit(db: apsw.Connection, targets: Collection[str], *, now: float) -> int:
    leased = [
        _delivery(row)
        for row in _all(
            db,
            f"SELECT {DELIVERY} FROM delivery d WHERE d.state = 'leased'"  # noqa: S608  # fixed
            " AND d.target IN (SELECT value FROM json_each(?))",
            (json.dumps(list(targets)),),
        )
    ]
    freed = [lost(delivery, now=now) for delivery in leased]
    _record(db, [attempt for _, attempt in freed])
    _write(db, [delivery for delivery, _ in freed])
    return len(leased)


def _due(db: apsw.Connection, target: str, most: int, now: float) -> list[Delivery]:
    found = _all(
        db,
        f"SELECT {DELIVERY} FROM delivery d WHERE d.target = ?"  # noqa: S608  # fixed words
        " AND d.state IN ('ready', 'leased') AND d.due_at <= ? ORDER BY d.due_at, d.id LIMIT ?",
        (target, now, most),
    )
    return [_delivery(row) for row in found]


def _held(db: apsw.Connection, leases: Collection[LeaseId]) -> dict[LeaseId, Delivery]:
    """Return those that are still held, in the order of *leases*."""
    found = {row[0]: _delivery(row) for row in _by_id(db, [lease.delivery for lease in leases])}
    return {
        lease: found[lease.delivery]
        for lease in leases
        if lease.delivery in found and is_held(found[lease.delivery], lease)
    }


def _by_id(db: apsw.Connection, ids: list[int]) -> list[tuple[Any, ...]]:
    return _all(
        db,
        f"SELECT {DELIVERY} FROM delivery d"  # noqa: S608  # fixed words
        " WHERE d.id IN (SELECT value FROM json_each(?))",
        (json.dumps(ids),),
    )


def _head(db: apsw.Connection, target: str, order_key: str) -> Delivery | None:
    row = _one(
        db,
        f"SELECT {DELIVERY} FROM delivery d WHERE d.target = ? AND d.order_key = ?"  # noqa: S608
        " AND d.state IN ('ready', 'leased')",
        (target, order_key),
    )
    return _delivery(row) if row is not None else None


def _advance(db: apsw.Connection, target: str, order_key: str) -> None:
    row = _one(
        db,
        f"SELECT {DELIVERY} FROM delivery d WHERE d.target = ? AND d.order_key = ?"  # noqa: S608
        " AND d.state = 'waiting' ORDER BY d.rank, d.id LIMIT 1",
        (target, order_key),
    )
    if row is not None:
        _write(db, [advanced(_delivery(row))])


def _write(db: apsw.Connection, deliveries: Collection[Delivery]) -> None:
    db.executemany(
        "UPDATE delivery SET state = ?, due_at = ?, attempts = ?, failures = ?, crashes = ?,"
        " claimed_at = ?, settled_at = ?, detail = ? WHERE id = ?",
        [
            (
                d.state.value,
                d.due_at,
                d.attempts,
                d.failures,
                d.crashes,
                d.claimed_at,
                d.settled_at,
                d.detail,
                d.id,
            )
            for d in deliveries
        ],
    )


def _record(db: apsw.Connection, ended: Collection[Attempt]) -> None:
    db.executemany(
        "INSERT INTO attempt (delivery, number, started_at, ended_at, result, detail)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [(a.delivery, a.number, a.started_at, a.ended_at, a.result.value, a.detail) for a in ended],
    )


# --- what a person asks for ------------------------------------------------------------------


def replay(
    db: apsw.Connection, where: Selection, *, now: float, per_second: float | None
) -> list[str]:
    """Return the target of each that is owed anew."""
    targets: list[str] = []
    settled_ones = "d.state IN ('done', 'dead')"
    for number, delivery in enumerate(_select(db, where, settled_ones, {}, limit=-1)):
        due_at = now + number / per_second if per_second else now
        order_key = delivery.order_key
        has_head = order_key is not None and bool(_head(db, delivery.target, order_key))
        _write(db, [replayed(delivery, due_at=due_at, has_head=has_head)])
        targets.append(delivery.target)
    return targets


def find(db: apsw.Connection, where: Selection, *, limit: int, after: int) -> list[Delivery]:
    return _select(db, where, "d.id > :after", {"after": after}, limit=min(limit, FIND_MAX))


def message(db: apsw.Connection, wanted: int) -> Message | None:
    return _messages(db, {wanted}).get(wanted)


def attempts(db: apsw.Connection, delivery: int) -> list[Attempt]:
    found = _all(
        db,
        "SELECT delivery, number, started_at, ended_at, result, detail FROM attempt"
        " WHERE delivery = ? ORDER BY number",
        (delivery,),
    )
    return [
        Attempt(number, attempt, started, ended, RESULTS[result], detail)
        for number, attempt, started, ended, result, detail in found
    ]


def tally(db: apsw.Connection, target: str) -> Tally:
    counted = _all(
        db, "SELECT state, count(*) FROM delivery WHERE target = ? GROUP BY state", (target,)
    )
    counts = dict(counted)
    owed = _one(
        db,
        "SELECT coalesce(sum(length(m.head) + length(m.body)), 0), min(m.received_at)"
        " FROM delivery d JOIN message m ON m.id = d.message"
        " WHERE d.target = ? AND d.state IN ('waiting', 'ready', 'leased')",
        (target,),
    )
    owed_bytes, oldest = owed or (0, None)
    return Tally(**counts, owed_bytes=owed_bytes, oldest_received_at=oldest)


def _select(
    db: apsw.Connection, where: Selection, also: str, values: dict[str, Any], *, limit: int
) -> list[Delivery]:
    conditions = {
        "d.target = :target": where.target,
        "d.state = :state": where.state.value if where.state is not None else None,
        "m.source = :source": where.source,
        "m.type = :type": where.type,
        "m.id = :message": where.message,
        "m.received_at >= :received_from": where.received_from,
        "m.received_at < :received_before": where.received_before,
    }
    given = {text: value for text, value in conditions.items() if value is not None}
    values = values | {text.rpartition(":")[2]: value for text, value in given.items()}
    found = _all(
        db,
        f"SELECT {DELIVERY} FROM delivery d JOIN message m ON m.id = d.message"  # noqa: S608
        f" WHERE {' AND '.join([*given, also])} ORDER BY d.id LIMIT {int(limit)}",
        values,
    )
    return [_delivery(row) for row in found]


def _messages(db: apsw.Connection, wanted: Collection[int]) -> dict[int, Message]:
    found = _all(
        db,
        f"SELECT {MESSAGE} FROM message m WHERE m.id IN (SELECT value FROM json_each(?))",  # noqa: S608
        (json.dumps(list(wanted)),),
    )
    return {row[0]: Message(*row) for row in found}


def _delivery(row: tuple[Any, ...]) -> Delivery:
    number, owed, target, order_key, state, *rest = row
    return Delivery(number, owed, target, order_key, STATES[state], *rest)


def _one(db: apsw.Connection, statement: str, values: _Values = ()) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = db.execute(statement, values).fetchone()
    return row


def _all(db: apsw.Connection, statement: str, values: _Values = ()) -> list[tuple[Any, ...]]:
    return db.execute(statement, values).fetchall()


# --- housekeeping ----------------------------------------------------------------------------


def prune(db: apsw.Connection, retention: Retention, *, limit: int, now: float) -> int:
    old = _all(
        db,
        "SELECT id, message FROM delivery WHERE settled_at IS NOT NULL"
        " AND ((state = 'done' AND settled_at < ?) OR (state = 'dead' AND settled_at < ?))"
        " ORDER BY id LIMIT ?",
        (now - retention.done_seconds, now - retention.dead_seconds, limit),
    )
    ids = [(delivery,) for delivery, _ in old]
    db.executemany("DELETE FROM attempt WHERE delivery = ?", ids)
    db.executemany("DELETE FROM delivery WHERE id = ?", ids)
    db.executemany(
        "DELETE FROM message WHERE id = ?1"
        " AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = ?1)",
        [(number,) for number in {number for _, number in old}],
    )
    db.execute(
        "DELETE FROM dedupe WHERE (source, key) IN"
        " (SELECT source, key FROM dedupe WHERE until <= ? LIMIT ?)",
        (now, limit),
    )
    return len(old)


def newest_time(db: apsw.Connection) -> float:
    """Return the latest time on record: the clock of a restarted store begins no earlier."""
    row = _one(
        db,
        "SELECT max(coalesce((SELECT max(received_at) FROM message), 0),"
        " coalesce((SELECT max(settled_at) FROM delivery WHERE state = 'done'), 0),"
        " coalesce((SELECT max(settled_at) FROM delivery WHERE state = 'dead'), 0))",
    )
    return float(row[0]) if row else 0.0
