"""
The statements of a ledger in a database that others use as well, without any driver. Pure.

Each function is a generator: it yields the next statement and is sent its rows, and returns
what the call answers. Whoever runs it (`postgres`, or any connection of yours) needs no more
than a loop, be it blocking or not, so that one text of the law's statements serves every
driver. All of them are steps of their caller's transaction. The moves themselves are decided
in `delivery`.
"""

import hashlib
import json
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hookloop.errors import ConfigError

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
from .dialect import Dialect, Many, Query, Step
from .message import Message, NewMessage, Receipt
from .store import CLAIM_MAX, FIND_MAX, Lease, Retention, Selection, Tally

__all__ = ["SqlSteps", "Steps"]

Answer = TypeVar("Answer")
Rows = list[tuple[Any, ...]]
Steps = Generator[Step, Rows, Answer]

STATES = {state.value: state for state in State}
RESULTS = {result.value: result for result in Result}

DELIVERY = """d.id, d.message, d.target, d.order_key, d.state, d.due_at, d.attempts, d.failures,
    d.crashes, d.claimed_at, d.settled_at, d.detail, d.rank"""
MESSAGE = "m.id, m.source, m.type, m.key, m.received_at, m.head, m.body"
HEAD = "state IN ('ready', 'leased')"

OrderKey = tuple[str, str]
"""A target and an order key."""


class SqlSteps:
    """
    The calls of `Store`, in the words of *dialect*.

    *sender* is who notifies, so that its own ring is not heard twice. *now* is None where the
    database is to say what time it is.
    """

    def __init__(self, dialect: Dialect, *, dedupe_seconds: float, sender: str = "") -> None:
        self.dialect = dialect
        self._dedupe_seconds = dedupe_seconds
        self._sender = sender
        prefix = dialect.prefix
        self._message, self._dedupe = f"{prefix}message", f"{prefix}dedupe"
        self._delivery, self._attempt = f"{prefix}delivery", f"{prefix}attempt"

    # --- the way of a delivery --------------------------------------------------------------

    def append(self, messages: Sequence[NewMessage], now: float | None) -> Steps[list[Receipt]]:
        has_order = any(new.order_key is not None for new in messages)
        yield from self._begin_writing(has_order=has_order)
        now = yield from self._now(now)
        digests = [hashlib.sha256(n.body).digest() if n.key is not None else b"" for n in messages]
        known = yield from self._known_keys(messages, now)
        new = self._first_of_each(messages, known)
        ids: Rows = []
        if new:
            ids = yield self.dialect.new_ids("message", len(new))
        numbers = {i: row[0] for i, row in zip(new, ids, strict=True)}
        beaten = yield from self._keep_keys(messages, digests, numbers, now)
        if beaten:
            numbers = {i: n for i, n in numbers.items() if not _is_in(messages[i], beaten)}
            known |= yield from self._known_keys([messages[i] for i in new], now)
        yield from self._insert(messages, numbers, now)
        mine = {
            _key(messages[i]): (number, digests[i])
            for i, number in numbers.items()
            if messages[i].key is not None
        }
        return [
            Receipt(numbers[i])
            if i in numbers
            else _duplicate((known | mine)[_key(message)], digests[i])
            for i, message in enumerate(messages)
        ]

    def _first_of_each(
        self, messages: Sequence[NewMessage], known: Mapping[tuple[str, str], Any]
    ) -> list[int]:
        """Return the places of what is no duplicate: neither of what is known, nor of a sibling."""
        seen = set(known)
        new = []
        for i, message in enumerate(messages):
            if message.key is None:
                new.append(i)
            elif not _is_in(message, seen):
                seen.add(_key(message))
                new.append(i)
        return new

    def _known_keys(
        self, messages: Sequence[NewMessage], now: float
    ) -> Steps[dict[tuple[str, str], tuple[int, bytes]]]:
        keys = sorted({_key(new) for new in messages if new.key is not None})
        if not keys:
            return {}
        found = yield Query(
            f"SELECT source, key, message, body_sha256 FROM {self._dedupe}"  # noqa: S608  # fixed words
            f" WHERE {self.dialect.pairs('source', 'key')} AND until > ?",
            (json.dumps(keys), now),
        )
        return {(source, key): (number, bytes(sha)) for source, key, number, sha in found}

    def _keep_keys(
        self,
        messages: Sequence[NewMessage],
        digests: Sequence[bytes],
        numbers: Mapping[int, int],
        now: float,
    ) -> Steps[set[tuple[str, str]]]:
        """Return the keys that somebody else has written since we looked."""
        until = now + self._dedupe_seconds
        rows = [
            (*_key(messages[i]), number, digests[i], until)
            for i, number in numbers.items()
            if messages[i].key is not None
        ]
        if not rows:
            return set()
        step = self.dialect.keep_keys(rows, now)
        written = yield step
        if isinstance(step, Many):
            return set()
        return {(source, key) for source, key, *_ in rows} - {(s, k) for s, k in written}

    def _insert(
        self, messages: Sequence[NewMessage], numbers: Mapping[int, int], now: float
    ) -> Steps[None]:
        """Write the messages of *numbers*, by their places, and the deliveries they are owed to."""
        if not numbers:
            return
        yield Many(
            f"INSERT INTO {self._message} (id, source, type, key, received_at, head, body)"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (number, new.source, new.type, new.key, now, new.head, new.body)
                for i, number in numbers.items()
                for new in [messages[i]]
            ],
        )
        owed = [(n, target, messages[i].order_key_of(target), messages[i].rank)
                for i, n in numbers.items() for target in messages[i].targets]  # fmt: skip
        first = yield from self._first_of_lines(owed)
        yield Many(
            f"INSERT INTO {self._delivery} (message, target, order_key, state, due_at, attempts,"  # noqa: S608
            " failures, crashes, detail, rank) VALUES (?, ?, ?, ?, ?, 0, 0, 0, '', ?)",
            [
                (number, target, key,
                 "ready" if key is None or first.get((target, key)) == number else "waiting",
                 now, rank)
                for number, target, key, rank in owed
            ],
        )  # fmt: skip
        yield from self._notify({target for _, target, _, _ in owed})

    def _first_of_lines(
        self, owed: Sequence[tuple[int, str, str | None, float]]
    ) -> Steps[dict[OrderKey, int]]:
        """Return the messages of *owed* that are at the head of their lines."""
        lowest: dict[OrderKey, tuple[float, int]] = {}
        for number, target, key, rank in owed:
            if key is not None:
                lowest[target, key] = min(lowest.get((target, key), (rank, number)), (rank, number))
        heads = yield from self._heads(lowest)
        behind = [head.id for line, head in heads.items() if gives_way(head, rank=lowest[line][0])]
        free: set[OrderKey] = set(lowest) - set(heads)
        if behind:
            # One that somebody claims or settles at this moment does not give way.
            found = yield Query(
                f"SELECT {DELIVERY} FROM {self._delivery} d WHERE d.id IN {self.dialect.numbers}"  # noqa: S608
                f" AND d.state = 'ready' ORDER BY d.id{self.dialect.skip_locked}",
                (json.dumps(sorted(behind)),),
            )
            giving = [_as_delivery(row) for row in found]
            yield from self._write([yielded(head) for head in giving])
            free |= {(head.target, head.order_key or "") for head in giving}
        return {line: lowest[line][1] for line in free}

    def claim(
        self, room: Mapping[str, int], now: float | None, *, limit: int, lease_seconds: float
    ) -> Steps[list[Lease]]:
        limit = min(limit, CLAIM_MAX)
        if not room or limit < 1:
            return []
        now = yield from self._now(now)
        targets = list(room)
        if len(targets) > 1:  # one question for the many that have nothing
            found = yield Query(
                f"SELECT t.value FROM {self.dialect.words} t WHERE EXISTS (SELECT 1"  # noqa: S608
                f" FROM {self._delivery} d WHERE d.target = t.value AND d.{HEAD}"
                " AND d.due_at <= ?)",
                (json.dumps(targets), now),
            )
            with_some = {target for (target,) in found}
            targets = [target for target in targets if target in with_some]
        due: dict[str, list[Delivery]] = {}
        for target in targets:
            due[target] = yield from self._due(target, min(room[target], limit), now)
        held, ended = [], []
        for delivery in chosen(due, limit=limit):
            freed = delivery
            if delivery.state is State.LEASED:
                freed, attempt = lost(delivery, now=now)
                ended.append(attempt)
            held.append(claimed(freed, now=now, lease_seconds=lease_seconds))
        yield from self._record(ended)
        yield from self._write(held)
        messages = yield from self._messages({delivery.message for delivery in held})
        return [Lease(delivery, messages[delivery.message]) for delivery in held]

    def extend(
        self, leases: Collection[LeaseId], now: float | None, *, lease_seconds: float
    ) -> Steps[set[LeaseId]]:
        now = yield from self._now(now)
        held = yield from self._held(leases)
        yield from self._write(
            [extended(d, now=now, lease_seconds=lease_seconds) for d in held.values()]
        )
        return set(held)

    def settle(
        self, outcomes: Mapping[LeaseId, Outcome], now: float | None
    ) -> Steps[dict[LeaseId, str]]:
        """Return the leases that were heard, with their targets."""
        isolation = yield from self._begin_writing(has_order=False)
        now = yield from self._now(now)
        held = yield from self._held(outcomes.keys())
        moved = [settled(delivery, outcomes[lease], now=now) for lease, delivery in held.items()]
        yield from self._record([attempt for _, attempt in moved])
        yield from self._write([delivery for delivery, _ in moved])
        ended = [
            (delivery.target, delivery.order_key)
            for delivery, _ in moved
            if delivery.state.is_settled and delivery.order_key is not None
        ]
        if ended:
            _require_read_committed(isolation)
        woken = yield from self._advance(ended)
        woken |= {
            delivery.target
            for delivery, _ in moved
            if delivery.state is State.READY and delivery.due_at <= now
        }
        yield from self._notify(woken)
        return {lease: delivery.target for lease, delivery in held.items()}

    def forfeit(self, targets: Collection[str], now: float | None) -> Steps[int]:
        now = yield from self._now(now)
        found = yield Query(
            f"SELECT {DELIVERY} FROM {self._delivery} d WHERE d.state = 'leased'"  # noqa: S608
            f" AND d.target IN {self.dialect.words} ORDER BY d.id{self.dialect.for_update}",
            (json.dumps(sorted(targets)),),
        )
        freed = [lost(_as_delivery(row), now=now) for row in found]
        yield from self._record([attempt for _, attempt in freed])
        yield from self._write([delivery for delivery, _ in freed])
        yield from self._notify({delivery.target for delivery, _ in freed})
        return len(freed)

    # --- what a person asks for -------------------------------------------------------------

    def replay(
        self, where: Selection, now: float | None, *, per_second: float | None
    ) -> Steps[list[str]]:
        """Return the target of each that is owed anew."""
        now = yield from self._now(now)
        wanted = yield from self._select(
            where, "d.state IN ('done', 'dead')", (), f"{self.dialect.for_update} OF d"
            if self.dialect.for_update else "",
        )  # fmt: skip
        heads = yield from self._heads(
            (d.target, d.order_key) for d in wanted if d.order_key is not None
        )
        lines = set(heads)
        owed = []
        for number, delivery in enumerate(wanted):
            due_at = now + number / per_second if per_second else now
            order_key = (delivery.target, delivery.order_key or "")
            has_head = delivery.order_key is not None and order_key in lines
            if delivery.order_key is not None:
                lines.add(order_key)
            owed.append(replayed(delivery, due_at=due_at, has_head=has_head))
        yield from self._write(owed)
        yield from self._notify({delivery.target for delivery in owed})
        return [delivery.target for delivery in owed]

    def find(self, where: Selection, *, limit: int, after: int) -> Steps[list[Delivery]]:
        return (
            yield from self._select(
                where, "d.id > ?", (after,), f" LIMIT {max(0, min(limit, FIND_MAX))}"
            )
        )

    def message(self, wanted: int) -> Steps[Message | None]:
        found = yield from self._messages([wanted])
        return found.get(wanted)

    def attempts(self, delivery: int) -> Steps[list[Attempt]]:
        found = yield Query(
            "SELECT delivery, number, started_at, ended_at, result, detail"  # noqa: S608  # fixed words
            f" FROM {self._attempt} WHERE delivery = ? ORDER BY number",
            (delivery,),
        )
        return [
            Attempt(number, attempt, started, ended, RESULTS[result], detail)
            for number, attempt, started, ended, result, detail in found
        ]

    def tally(self, target: str) -> Steps[Tally]:
        counted = yield Query(
            f"SELECT state, count(*) FROM {self._delivery} WHERE target = ? GROUP BY state",  # noqa: S608
            (target,),
        )
        [(owed_bytes, oldest)] = yield Query(
            "SELECT coalesce(sum(length(m.head) + length(m.body)), 0), min(m.received_at)"  # noqa: S608
            f" FROM {self._delivery} d JOIN {self._message} m ON m.id = d.message"
            " WHERE d.target = ? AND d.state IN ('waiting', 'ready', 'leased')",
            (target,),
        )
        counts = {state: int(count) for state, count in counted}
        return Tally(**counts, owed_bytes=int(owed_bytes), oldest_received_at=oldest)

    # --- housekeeping -----------------------------------------------------------------------

    def prune(self, retention: Retention, now: float | None, *, limit: int) -> Steps[int]:
        now = yield from self._now(now)
        old = yield Query(
            f"SELECT id, message FROM {self._delivery} WHERE settled_at IS NOT NULL"  # noqa: S608
            " AND ((state = 'done' AND settled_at < ?) OR (state = 'dead' AND settled_at < ?))"
            f" ORDER BY id LIMIT ?{self.dialect.skip_locked}",
            (now - retention.done_seconds, now - retention.dead_seconds, limit),
        )
        ids = json.dumps([number for number, _ in old])
        messages = json.dumps(sorted({number for _, number in old}))
        numbers = self.dialect.numbers
        if old:
            # Who forgets another delivery of the same message waits here, and sees ours gone.
            yield Query(
                f"SELECT id FROM {self._message} WHERE id IN {numbers} ORDER BY id"  # noqa: S608
                f"{self.dialect.for_update}",
                (messages,),
            )
            yield Many(f"DELETE FROM {self._attempt} WHERE delivery IN {numbers}", [(ids,)])  # noqa: S608
            yield Many(f"DELETE FROM {self._delivery} WHERE id IN {numbers}", [(ids,)])  # noqa: S608
            yield Many(
                f"DELETE FROM {self._message} WHERE id IN {numbers} AND NOT EXISTS"  # noqa: S608
                f" (SELECT 1 FROM {self._delivery} d WHERE d.message = {self._message}.id)",
                [(messages,)],
            )
        yield Many(
            f"DELETE FROM {self._dedupe} WHERE (source, key) IN"  # noqa: S608  # fixed words
            f" (SELECT source, key FROM {self._dedupe} WHERE until <= ? LIMIT ?"
            f"{self.dialect.skip_locked})",
            [(now, limit)],
        )
        return len(old)

    # --- parts ------------------------------------------------------------------------------

    def _begin_writing(self, *, has_order: bool) -> Steps[str]:
        """Return the isolation of the transaction; raises `ConfigError` where it cannot do."""
        rows = yield self.dialect.begin_writing()
        isolation = rows[0][1] if rows else "read committed"
        if has_order:
            _require_read_committed(isolation)
        return str(isolation)

    def _now(self, now: float | None) -> Steps[float]:
        if now is None:
            [(now,)] = yield self.dialect.now()
        return float(now)

    def _due(self, target: str, most: int, now: float) -> Steps[list[Delivery]]:
        if most < 1:
            return []
        found = yield Query(
            f"SELECT {DELIVERY} FROM {self._delivery} d WHERE d.target = ?"  # noqa: S608  # fixed words
            f" AND d.{HEAD} AND d.due_at <= ? ORDER BY d.due_at, d.id LIMIT ?"
            f"{self.dialect.skip_locked}",
            (target, now, most),
        )
        return [_as_delivery(row) for row in found]

    def _held(self, leases: Collection[LeaseId]) -> Steps[dict[LeaseId, Delivery]]:
        """Lock and return those that are still held, in the order of *leases*."""
        if not leases:
            return {}
        rows = yield Query(
            f"SELECT {DELIVERY} FROM {self._delivery} d WHERE d.id IN {self.dialect.numbers}"  # noqa: S608
            f" ORDER BY d.id{self.dialect.for_update}",
            (json.dumps(sorted({lease.delivery for lease in leases})),),
        )
        found = {row[0]: _as_delivery(row) for row in rows}
        return {
            lease: found[lease.delivery]
            for lease in leases
            if lease.delivery in found and is_held(found[lease.delivery], lease)
        }

    def _heads(self, order_keys: Iterable[OrderKey]) -> Steps[dict[OrderKey, Delivery]]:
        """Return those of *order_keys* that are due or leased; nobody else makes one now."""
        keys = sorted(set(order_keys))
        if not keys:
            return {}
        yield from _each(self.dialect.lock_order_keys(keys))
        found = yield Query(
            f"SELECT {DELIVERY} FROM {self._delivery} d"  # noqa: S608  # fixed words
            f" WHERE {self.dialect.pairs('target', 'order_key')} AND {HEAD}",
            (json.dumps(keys),),
        )
        heads = [_as_delivery(row) for row in found]
        return {(head.target, head.order_key or ""): head for head in heads}

    def _advance(self, order_keys: Collection[OrderKey]) -> Steps[set[str]]:
        """Let the next one of each of *order_keys* go ahead, and return the targets of those."""
        if not order_keys:
            return set()
        yield from _each(self.dialect.lock_order_keys(order_keys))
        woken = set()
        for target, order_key in order_keys:
            found = yield Query(
                f"SELECT {DELIVERY} FROM {self._delivery} d WHERE d.target = ?"  # noqa: S608
                " AND d.order_key = ? AND d.state = 'waiting' ORDER BY d.rank, d.id LIMIT 1"
                f"{self.dialect.for_update}",
                (target, order_key),
            )
            yield from self._write([advanced(_as_delivery(row)) for row in found])
            woken |= {target for _ in found}
        return woken

    def _write(self, deliveries: Collection[Delivery]) -> Steps[None]:
        if deliveries:
            yield Many(
                f"UPDATE {self._delivery} SET state = ?, due_at = ?, attempts = ?, failures = ?,"  # noqa: S608
                " crashes = ?, claimed_at = ?, settled_at = ?, detail = ? WHERE id = ?",
                [
                    (d.state.value, d.due_at, d.attempts, d.failures, d.crashes, d.claimed_at,
                     d.settled_at, d.detail, d.id)
                    for d in deliveries
                ],
            )  # fmt: skip

    def _record(self, ended: Collection[Attempt]) -> Steps[None]:
        if ended:
            yield Many(
                f"INSERT INTO {self._attempt} (delivery, number, started_at, ended_at, result,"  # noqa: S608
                " detail) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (a.delivery, a.number, a.started_at, a.ended_at, a.result.value, a.detail)
                    for a in ended
                ],
            )

    def _notify(self, targets: Collection[str]) -> Steps[None]:
        if targets:
            yield from _each(self.dialect.notify(targets, self._sender))

    def _messages(self, wanted: Collection[int]) -> Steps[dict[int, Message]]:
        if not wanted:
            return {}
        found = yield Query(
            f"SELECT {MESSAGE} FROM {self._message} m WHERE m.id IN {self.dialect.numbers}",  # noqa: S608
            (json.dumps(sorted(wanted)),),
        )
        return {
            number: Message(number, source, kind, key, received_at, bytes(head), bytes(body))
            for number, source, kind, key, received_at, head, body in found
        }

    def _select(
        self, where: Selection, also: str, values: tuple[Any, ...], tail: str
    ) -> Steps[list[Delivery]]:
        conditions = {
            "d.target = ?": where.target,
            "d.state = ?": where.state.value if where.state is not None else None,
            "m.source = ?": where.source,
            "m.type = ?": where.type,
            "m.id = ?": where.message,
            "m.received_at >= ?": where.received_from,
            "m.received_at < ?": where.received_before,
        }
        given = {text: value for text, value in conditions.items() if value is not None}
        found = yield Query(
            f"SELECT {DELIVERY} FROM {self._delivery} d JOIN {self._message} m"  # noqa: S608
            f" ON m.id = d.message WHERE {' AND '.join([*given, also])} ORDER BY d.id{tail}",
            (*given.values(), *values),
        )
        return [_as_delivery(row) for row in found]


def _each(steps: Iterable[Step]) -> Steps[None]:
    for step in steps:  # noqa: UP028  # a list cannot be sent rows
        yield step


def _require_read_committed(isolation: str) -> None:
    """What somebody else has committed since our first statement must be seen."""
    if isolation != "read committed":
        raise ConfigError(
            f"a message with an order key needs a READ COMMITTED transaction, and this one is "
            f"{isolation}: whether another one of its line is being worked on could not be seen"
        )


def _key(message: NewMessage) -> tuple[str, str]:
    return (message.source, message.key or "")


def _is_in(message: NewMessage, keys: Collection[tuple[str, str]]) -> bool:
    return message.key is not None and _key(message) in keys


def _duplicate(known: tuple[int, bytes], digest: bytes) -> Receipt:
    number, first = known
    return Receipt(number, is_duplicate=True, is_altered=first != digest)


def _as_delivery(row: tuple[Any, ...]) -> Delivery:
    number, owed, target, order_key, state, *rest = row
    return Delivery(number, owed, target, order_key, STATES[state], *rest)
