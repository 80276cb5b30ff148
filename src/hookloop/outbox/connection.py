"""
One statement on a connection that the user hands us, within the transaction that is open on it.

Known by the module of its type, so that no driver is imported that is not in use already.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from hookloop.errors import ConfigError

__all__ = ["execute", "execute_sync"]

Values = Sequence[Any]

_KNOWN = (
    "sqlite3, apsw, aiosqlite, psycopg, psycopg2, asyncpg, SQLAlchemy (connections and sessions, "
    "sync and async) and Django"
)


async def execute(conn: Any, statement: str, values: Values) -> None:
    """
    Run *statement*, whose ``?`` stand for *values*, on *conn*.

    Raises `ConfigError` for a connection of an unknown kind, and for one on which no transaction
    is open: what we write would be committed by itself.
    """
    answer = _started(conn, statement, values)
    if inspect.isawaitable(answer):
        await answer


def execute_sync(conn: Any, statement: str, values: Values) -> None:
    """As `execute`; raises `ConfigError` for a connection that is to be awaited."""
    if _kind(conn) in ("asyncpg", "aiosqlite") or _is_async(conn):
        raise ConfigError(
            f"a connection of {type(conn).__module__} is to be awaited: use `await append(...)`"
        )
    _started(conn, statement, values)


def _started(conn: Any, statement: str, values: Values) -> Any:
    kind = _kind(conn)
    if kind not in _RUNNERS or not (hasattr(conn, "execute") or hasattr(conn, "cursor")):
        raise ConfigError(
            f"a {type(conn).__module__}.{type(conn).__qualname__} was given as the connection: "
            f"known are those of {_KNOWN}"
        )
    is_open, run = _RUNNERS[kind]
    if not is_open(conn):
        raise ConfigError(
            "no transaction is open on the connection, and the message would be kept whatever "
            "becomes of your own rows: begin one, and append inside"
        )
    return run(conn, statement, values)


def _kind(conn: Any) -> str:
    """Return the top-level package of the connection's class, or of a class it derives from."""
    names = [cls.__module__.partition(".")[0] for cls in type(conn).__mro__]
    # Django hands out a proxy, whose class says nothing of what it stands for.
    if names[0] == "django":
        return "django"
    return next((name for name in names if name in _RUNNERS), names[0])


def _is_async(conn: Any) -> bool:
    # An application's own session bears a name of its own.
    return any(cls.__name__.startswith(("Async", "async_")) for cls in type(conn).__mro__)


# --- the drivers -----------------------------------------------------------------------------


def _by_execute(conn: Any, statement: str, values: Values) -> Any:
    return conn.execute(statement, tuple(values))


def _by_percent(conn: Any, statement: str, values: Values) -> Any:
    return conn.execute(statement.replace("?", "%s"), tuple(values))


def _by_cursor(conn: Any, statement: str, values: Values) -> Any:
    with conn.cursor() as cursor:
        cursor.execute(statement.replace("?", "%s"), tuple(values))


def _by_number(conn: Any, statement: str, values: Values) -> Any:
    parts = statement.split("?")
    numbered = "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]
    return conn.execute(numbered, *values)


def _by_sqlalchemy(conn: Any, statement: str, values: Values) -> Any:
    from sqlalchemy import text

    parts = statement.split("?")
    named = "".join(f"{part}:v{number}" for number, part in enumerate(parts[:-1])) + parts[-1]
    return conn.execute(text(named), {f"v{number}": value for number, value in enumerate(values)})


def _sqlite3_is_open(conn: Any) -> bool:
    # By default the module begins one by itself before an INSERT.
    begins_itself = conn.isolation_level is not None and getattr(conn, "autocommit", -1) is not True
    return bool(conn.in_transaction or begins_itself)


def _psycopg_is_open(conn: Any) -> bool:
    return not conn.autocommit or conn.info.transaction_status != 0  # IDLE


def _django_is_open(conn: Any) -> bool:
    return bool(conn.in_atomic_block or not conn.get_autocommit())


def _sqlalchemy_is_open(conn: Any) -> bool:
    # It begins one by itself, unless it was told to commit each statement.
    within = getattr(conn, "sync_connection", None) or conn
    bind = within.get_bind() if hasattr(within, "get_bind") else within
    of_all = getattr(bind.dialect, "_on_connect_isolation_level", None)  # of create_engine
    return bool(bind.get_execution_options().get("isolation_level", of_all) != "AUTOCOMMIT")


_RUNNERS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, str, Values], Any]]] = {
    "sqlite3": (_sqlite3_is_open, _by_execute),
    "apsw": (lambda conn: bool(conn.in_transaction), _by_execute),
    "aiosqlite": (_sqlite3_is_open, _by_execute),
    "psycopg": (_psycopg_is_open, _by_percent),
    "psycopg2": (_psycopg_is_open, _by_cursor),
    "asyncpg": (lambda conn: bool(conn.is_in_transaction()), _by_number),
    "django": (_django_is_open, _by_cursor),
    "sqlalchemy": (_sqlalchemy_is_open, _by_sqlalchemy),
}
