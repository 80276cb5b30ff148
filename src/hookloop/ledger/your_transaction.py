"""
A ledger's words inside a transaction of yours: its commit is ours, and its rollback too.

    with engine.begin() as conn:
        conn.execute(invoices.update()...)
        settle(conn, lease.id, Done())      # raises LeaseLostError where somebody else has it

That is the whole argument for effects that happen once: your rows and our acknowledgement are
one commit, and the fence of the lease is checked in it. The connection is of sqlite3, apsw,
psycopg, asyncpg, SQLAlchemy (its sessions too) or Django, on a database that has a ledger's
tables; drivers that are awaited have the functions that begin with ``a``.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from hookloop.errors import ConfigError, HookloopError

from .delivery import LeaseId, Outcome
from .dialect import Dialect, Many, Postgres, Sqlite, Step
from .message import DEDUPE_SECONDS, NewMessage, Receipt
from .sql_steps import SqlSteps, Steps

__all__ = [
    "LeaseLostError",
    "aappend",
    "append",
    "arun",
    "asettle",
    "begin_writing",
    "run",
    "settle",
]

Answer = TypeVar("Answer")
Rows = list[tuple[Any, ...]]

WAITED = "this connection is awaited: use aappend and asettle"
NOT_WAITED = "this connection is not awaited: use append and settle"
KNOWN = "sqlite3, apsw, psycopg, asyncpg, SQLAlchemy and Django"


class LeaseLostError(HookloopError):
    """Somebody else has the delivery by now: let it roll your transaction back."""


def append(
    conn: Any, messages: Sequence[NewMessage], *, dedupe_seconds: float = DEDUPE_SECONDS
) -> list[Receipt]:
    """
    Keep *messages* with the commit of *conn*'s transaction, as `Store.append` does.

    Raises `ConfigError` for a connection of an unknown kind or without a transaction, and for
    order keys in one that is not READ COMMITTED. What the driver raises goes on as it is.
    """
    return run(conn, lambda steps: steps.append(messages, None), dedupe_seconds=dedupe_seconds)


async def aappend(
    conn: Any, messages: Sequence[NewMessage], *, dedupe_seconds: float = DEDUPE_SECONDS
) -> list[Receipt]:
    """As `append`."""
    return await arun(
        conn, lambda steps: steps.append(messages, None), dedupe_seconds=dedupe_seconds
    )


def begin_writing(conn: Any) -> None:
    """
    Make the transaction of *conn*, which has just begun, one that writes.

    In SQLite one that has read first cannot write any more once somebody else has: it fails at
    once, however long its connection would wait for a lock.
    """
    do = _blocking(conn)
    do(_dialect(conn, do).begin_writing())


def settle(conn: Any, lease: LeaseId, outcome: Outcome) -> None:
    """
    Record *outcome* with the commit of *conn*'s transaction, as `Store.settle` does.

    Raises `LeaseLostError` where the lease is not held any more, and else as `append`. The row
    stays locked until the transaction ends: call it last.
    """
    _require(lease, run(conn, lambda steps: steps.settle({lease: outcome}, None)))


async def asettle(conn: Any, lease: LeaseId, outcome: Outcome) -> None:
    """As `settle`."""
    _require(lease, await arun(conn, lambda steps: steps.settle({lease: outcome}, None)))


def run(
    conn: Any,
    ask: Callable[[SqlSteps], Steps[Answer]],
    *,
    dedupe_seconds: float = DEDUPE_SECONDS,
    dialect: Dialect | None = None,
) -> Answer:
    """
    Run what *ask* returns of the ledger's statements in the transaction *conn* is in.

    *dialect*: where it is known; else the connection is asked.
    """
    do = _blocking(conn)
    spoken = dialect or _dialect(conn, do)
    steps = ask(SqlSteps(spoken, dedupe_seconds=dedupe_seconds))
    try:
        step = next(steps)
        while True:
            step = steps.send(do(step))
    except StopIteration as end:
        answer: Answer = end.value
        return answer


async def arun(
    conn: Any,
    ask: Callable[[SqlSteps], Steps[Answer]],
    *,
    dedupe_seconds: float = DEDUPE_SECONDS,
    dialect: Dialect | None = None,
) -> Answer:
    """As `run`."""
    kind = _kind(conn)
    if kind == "sqlalchemy" and hasattr(conn, "run_sync"):
        # SQLAlchemy itself lets blocking calls wait on its loop.
        answer: Answer = await conn.run_sync(
            run, ask, dedupe_seconds=dedupe_seconds, dialect=dialect
        )
        return answer
    if kind == "asyncpg":
        do = _asyncpg(conn)
    elif kind == "psycopg" and _is_awaited(conn):
        do = _apsycopg(conn)
    else:
        raise ConfigError(NOT_WAITED)
    steps = ask(SqlSteps(Postgres(), dedupe_seconds=dedupe_seconds))
    try:
        step = next(steps)
        while True:
            step = steps.send(await do(step))
    except StopIteration as end:
        result: Answer = end.value
        return result


def _require(lease: LeaseId, heard: Any) -> None:
    if lease not in heard:
        raise LeaseLostError(
            f"delivery {lease.delivery} is not held by attempt {lease.attempt} any more: this "
            "transaction is to be rolled back, and somebody else does the work"
        )


# --- the drivers: known by the module of their classes, so that none is imported here ---------

Blocking = Callable[[Step], Rows]


def _kind(conn: Any) -> str:
    names = [cls.__module__.partition(".")[0] for cls in type(conn).__mro__]
    known = ("sqlite3", "apsw", "psycopg", "asyncpg", "sqlalchemy", "django")
    return next((name for name in names if name in known), "")


def _is_awaited(conn: Any) -> bool:
    return type(conn).__name__.startswith("Async")


def _blocking(conn: Any) -> Blocking:
    kind = _kind(conn)
    if kind == "asyncpg" or (kind in ("psycopg", "sqlalchemy") and _is_awaited(conn)):
        raise ConfigError(WAITED)
    makers = {
        "sqlite3": _sqlite3,
        "apsw": _apsw,
        "psycopg": _psycopg,
        "sqlalchemy": _sqlalchemy,
        "django": _django,
    }
    if kind not in makers:
        raise ConfigError(
            f"a {type(conn).__module__}.{type(conn).__qualname__} is no connection that is known: "
            f"give one of {KNOWN}"
        )
    return makers[kind](conn)


def dialect_of(conn: Any) -> Dialect:
    """Return what the database of *conn*, which is in a transaction, speaks."""
    return _dialect(conn, _blocking(conn))


def _dialect(conn: Any, do: Blocking) -> Dialect:
    """Return what *conn* speaks, and in SQLite what the tables are called."""
    kind = _kind(conn)
    vendor = {"psycopg": "postgresql", "sqlite3": "sqlite", "apsw": "sqlite"}.get(kind)
    if kind == "sqlalchemy":
        vendor = _sqlalchemy_connection(conn).dialect.name
    elif kind == "django":
        vendor = conn.vendor
    if vendor == "postgresql":
        return Postgres()
    if vendor != "sqlite":
        raise ConfigError(f"a ledger lives in Postgres or SQLite, and this database is {vendor}")
    # Not by reading: a transaction that has read first fails at its first write, at once, when
    # somebody else has written since.
    known = Sqlite("hookloop_")
    try:
        do(known.begin_writing())
    except Exception as error:
        if "no such table" not in str(error):
            raise
        return Sqlite("")
    return known


def _require_transaction(is_in_one: bool) -> None:
    if not is_in_one:
        raise ConfigError(
            "no transaction has begun on this connection: your rows and ours would be two "
            "commits; begin one first"
        )


def _sqlite3(conn: Any) -> Blocking:
    # With its default isolation level, sqlite3 begins one by itself at our first write.
    begins_itself = conn.isolation_level is not None and getattr(conn, "autocommit", -1) is not True
    _require_transaction(conn.in_transaction or begins_itself)

    def do(step: Step) -> Rows:
        if isinstance(step, Many):
            conn.executemany(step.sql, step.rows)
            return []
        cursor = conn.cursor()
        cursor.row_factory = None
        rows: Rows = cursor.execute(step.sql, step.values).fetchall()
        return rows

    return do


def _apsw(conn: Any) -> Blocking:
    _require_transaction(conn.in_transaction)

    def do(step: Step) -> Rows:
        if isinstance(step, Many):
            conn.executemany(step.sql, step.rows)
            return []
        rows: Rows = conn.execute(step.sql, step.values).fetchall()
        return rows

    return do


def _psycopg(conn: Any) -> Blocking:
    from psycopg.rows import tuple_row

    _require_transaction(not conn.autocommit or conn.info.transaction_status != 0)

    def do(step: Step) -> Rows:
        with conn.cursor(row_factory=tuple_row) as cursor:
            if isinstance(step, Many):
                cursor.executemany(_percent(step.sql), step.rows)
                return []
            rows: Rows = cursor.execute(_percent(step.sql), step.values).fetchall()
            return rows

    return do


def _apsycopg(conn: Any) -> Callable[[Step], Any]:
    from psycopg.rows import tuple_row

    _require_transaction(not conn.autocommit or conn.info.transaction_status != 0)

    async def do(step: Step) -> Rows:
        async with conn.cursor(row_factory=tuple_row) as cursor:
            if isinstance(step, Many):
                await cursor.executemany(_percent(step.sql), step.rows)
                return []
            await cursor.execute(_percent(step.sql), step.values)
            rows: Rows = await cursor.fetchall()
            return rows

    return do


def _asyncpg(conn: Any) -> Callable[[Step], Any]:
    _require_transaction(conn.is_in_transaction())

    async def do(step: Step) -> Rows:
        if isinstance(step, Many):
            await conn.executemany(_numbered(step.sql), step.rows)
            return []
        return [tuple(row) for row in await conn.fetch(_numbered(step.sql), *step.values)]

    return do


def _sqlalchemy_connection(conn: Any) -> Any:
    """Return the connection of a session, or *conn* itself."""
    return conn.connection() if callable(conn.connection) else conn


def _sqlalchemy(conn: Any) -> Blocking:
    connection = _sqlalchemy_connection(conn)
    _require_transaction(connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT")
    styles: dict[str, Callable[[str], str]] = {"numeric_dollar": _numbered, "qmark": _as_it_is}
    translate = styles.get(connection.dialect.paramstyle, _percent)

    def do(step: Step) -> Rows:
        if isinstance(step, Many):
            connection.exec_driver_sql(translate(step.sql), step.rows)
            return []
        result = connection.exec_driver_sql(translate(step.sql), step.values)
        return [tuple(row) for row in result] if result.returns_rows else []

    return do


def _django(conn: Any) -> Blocking:
    _require_transaction(conn.in_atomic_block)

    def do(step: Step) -> Rows:
        with conn.cursor() as cursor:
            if isinstance(step, Many):
                cursor.executemany(_percent(step.sql), step.rows)
                return []
            cursor.execute(_percent(step.sql), step.values)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    return do


def _as_it_is(sql: str) -> str:
    return sql


def _percent(sql: str) -> str:
    return sql.replace("?", "%s")


@lru_cache(maxsize=256)
def _numbered(sql: str) -> str:
    first, *rest = sql.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
