"""
The store in Postgres, for several machines: any number of processes append and work at once.

READ COMMITTED transactions; what is claimed is locked with SKIP LOCKED, so that no worker
waits for another. The statements are in `sql_steps`; here are the connections and what can go
wrong with them. LISTEN is a hint: without it, as behind a pooler, polling finds everything.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncpg

from hookloop.clock import Clock
from hookloop.errors import ConfigError, HookloopError, LocalError, StoreError

from .dialect import Many, Postgres, Step
from .message import DEDUPE_SECONDS
from .numbered_steps import numbered_steps
from .postgres_proof import SETTINGS, proved
from .sql_steps import SqlSteps, Steps
from .sql_store import SqlStore
from .steady_clock import SteadyClock
from .store import Durability, Store

__all__ = ["PostgresSettings", "PostgresStore"]

MIGRATION_LOCK = 0x484B4C4C
"""``HKLL``: the advisory lock under which one process at a time changes the tables."""

CHANNEL = "hookloop"
"""What `dialect.Postgres.notify` says its hints on."""

AGAIN_MAX = 5
"""How often a transaction that lost a deadlock is run again; the other one has ended by then."""

Connection = Any
"""Of asyncpg, which has no types of its own."""

Answer = TypeVar("Answer")
Points = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """How a store uses its server. Raises `ConfigError` for what cannot be."""

    connections_max: int = 8
    """Of one process, and one more to listen: Postgres takes 100 by default, of all."""
    connect_seconds: float = 2.0
    """A sender waits 5 s for an answer in all, some of them."""
    statement_seconds: float = 10.0
    """For one statement; a body of 16 MB on a slow disk is among them."""
    lock_seconds: float = 5.0
    """For a row or a line somebody else is at, such as a handler with a transaction of its own."""
    is_pooled: bool = False
    """Behind a pooler that hands out connections by transaction, as pgbouncer does: nothing is
    kept in a session, neither prepared statements nor LISTEN."""
    accept_loss: bool = False
    """Open a server that may lose what it acknowledged, too; `Store.durability` names it."""

    def __post_init__(self) -> None:
        seconds = (self.connect_seconds, self.statement_seconds, self.lock_seconds)
        if self.connections_max < 2 or min(seconds) <= 0:
            raise ConfigError(f"{self}: two connections and some time are the least")


class PostgresStore(SqlStore):
    """
    A ledger in a Postgres database, in tables that begin with ``hookloop_``.

    Made by `open`, and used in the event loop that opened it. The owner's duty: `close`.
    """

    def __init__(
        self,
        pool: Any,
        *,
        dsn: str,
        name: str,
        durability: Durability,
        steps: SqlSteps,
        settings: PostgresSettings,
        sender: str,
        clock: Clock | None,
        points: Points,
    ) -> None:
        super().__init__(steps, name=name, durability=durability)
        self._dsn = dsn
        self._pool = pool
        self._settings = settings
        self._sender = sender
        self._clock = SteadyClock(clock) if clock is not None else None
        self._points = points
        self._listening: asyncio.Future[None] | None = None
        self._listener: Connection | None = None

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        settings: PostgresSettings | None = None,
        clock: Clock | None = None,
        dedupe_seconds: float = DEDUPE_SECONDS,
        points: Points = lambda _: None,
    ) -> "PostgresStore":
        """
        Return the ledger at *dsn*, a ``postgresql://`` URL, its tables made or brought up to date.

        Raises `ConfigError` for a database that keeps no promises (`postgres_proof`) or has
        tables of a newer version, and `StoreError` where it cannot be reached. *clock* is for
        tests: without one, the database's own is the one clock of all its users.
        """
        settings = settings or PostgresSettings()
        sender = secrets.token_hex(8)
        name = _name(dsn)
        with _translated(name):
            pool = await asyncpg.create_pool(
                dsn,
                min_size=0,
                max_size=settings.connections_max,
                timeout=settings.connect_seconds,
                command_timeout=settings.statement_seconds + 1,
                statement_cache_size=0 if settings.is_pooled else 100,
                server_settings=None if settings.is_pooled else _session(settings),
                reset=_nothing_to_reset,
            )
            try:
                async with pool.acquire() as connection:
                    durability = await _prove(connection, name, accept_loss=settings.accept_loss)
                    await migrate(connection, name)
            except BaseException:
                await pool.close()
                raise
        steps = SqlSteps(Postgres(), dedupe_seconds=dedupe_seconds, sender=sender)
        return cls(
            pool,
            dsn=dsn,
            name=name,
            durability=durability,
            steps=steps,
            settings=settings,
            sender=sender,
            clock=clock,
            points=points,
        )

    # --- housekeeping -----------------------------------------------------------------------

    async def wait_due(self, targets: Collection[str], seconds: float) -> None:
        self._listen()
        await self._bell.wait(targets, seconds)

    async def close(self) -> None:
        if self._is_closed:
            return
        await self._finish()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        if self._listener is not None:
            self._listener.terminate()
        try:
            await asyncio.wait_for(self._pool.close(), self._settings.statement_seconds)
        except TimeoutError:
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """
        Lend an asyncpg connection, in a transaction that ends with the block.

        For rows of your own beside ours (`your_transaction`); the errors are asyncpg's.
        """
        self._require_open()
        async with (
            self._pool.acquire(timeout=self._settings.statement_seconds) as connection,
            connection.transaction(),
        ):
            await self._limit(connection)
            yield connection

    # --- transactions -----------------------------------------------------------------------

    async def _write(self, name: str, steps: Callable[[float | None], Steps[Answer]]) -> Answer:
        """Return what *steps* answer, once it is committed; told the time where we have a clock."""
        for _ in range(AGAIN_MAX):
            with contextlib.suppress(asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                return await self._try_write(name, steps)
        raise StoreError(f"the ledger {self.name} is at odds with other users: come again later")

    async def _try_write(self, name: str, steps: Callable[[float | None], Steps[Answer]]) -> Answer:
        async with self._connection() as connection:
            async with connection.transaction():
                await self._limit(connection)
                answer = await run_steps(
                    connection, steps(self._clock.now() if self._clock else None)
                )
                self._points(f"{name}:written")
                self._points("before commit")
            self._points("after commit")
        self._points("answered")
        return answer

    async def _read(self, steps: Callable[[], Steps[Answer]]) -> Answer:
        """Return what *steps* read, all of it as it was at one moment."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await self._limit(connection)
            return await run_steps(connection, steps())

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        self._require_open()
        with _translated(self.name):
            # The wait for a free one is bounded by what those before us may take.
            async with self._pool.acquire(timeout=self._settings.statement_seconds) as connection:
                yield connection

    async def _limit(self, connection: Connection) -> None:
        """Behind a pooler the limits are the transaction's: a session may be anybody's."""
        if self._settings.is_pooled:
            for name, value in _session(self._settings).items():
                if name != "application_name":
                    await connection.execute("SELECT set_config($1, $2, true)", name, value)

    # --- the hint ---------------------------------------------------------------------------

    def _listen(self) -> None:
        """See that somebody listens: a connection that was lost is made anew."""
        is_listening = self._listener is not None and not self._listener.is_closed()
        is_trying = self._listening is not None and not self._listening.done()
        if not (self._settings.is_pooled or is_listening or is_trying or self._is_closed):
            self._listening = asyncio.ensure_future(self._begin_listening())

    async def _begin_listening(self) -> None:
        """A connection of its own, because the pool takes listeners away with each loan's end."""
        with contextlib.suppress(StoreError), _translated(self.name):
            connection = await asyncpg.connect(self._dsn, timeout=self._settings.connect_seconds)
            try:
                await connection.add_listener(CHANNEL, self._heard)
            except BaseException:
                connection.terminate()
                raise
            self._listener = connection

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        sender, targets = json.loads(payload)
        if sender == self._sender:
            return  # it has rung its own bell
        if targets is None:
            self._bell.ring_all()
        else:
            self._bell.ring(targets)


async def run_steps(connection: Connection, steps: Steps[Answer]) -> Answer:
    """Run *steps* in the transaction *connection* is in."""
    try:
        step = next(steps)
        while True:
            step = steps.send(await _rows(connection, step))
    except StopIteration as end:
        answer: Answer = end.value
        return answer


async def _rows(connection: Connection, step: Step) -> list[tuple[Any, ...]]:
    if isinstance(step, Many):
        await connection.executemany(_numbered(step.sql), step.rows)
        return []
    return [tuple(row) for row in await connection.fetch(_numbered(step.sql), *step.values)]


@lru_cache(maxsize=256)
def _numbered(sql: str) -> str:
    """Return *sql* with ``$1``, ``$2`` for its question marks."""
    first, *rest = sql.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


async def migrate(connection: Connection, name: str) -> None:
    """
    Apply the steps that the database has not seen, all in one transaction, one process at a time.

    Raises `ConfigError` for a database of a newer version. Where there is nothing to do, no
    right to change tables is needed.
    """
    known = numbered_steps("schema_postgres")
    newest = known[-1][0]
    version = await _version(connection)
    if version < newest:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS hookloop_migration"
                " (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            version = await _version(connection)  # or another process was faster
            if version == 0 and await connection.fetchval("SELECT to_regclass('hookloop_message')"):
                # Made by Alembic or Django, whose first step is our first two.
                await connection.execute("INSERT INTO hookloop_migration (version) VALUES (2)")
                version = 2
            for number, script in known:
                if number > version:
                    await connection.execute(script)
                    await connection.execute(
                        "INSERT INTO hookloop_migration (version) VALUES ($1)", number
                    )
    if version > newest:
        raise ConfigError(
            f"{name} is of a newer hookloop (its tables are version {version}, ours {newest}): "
            "upgrade, or name another database"
        )


async def _version(connection: Connection) -> int:
    if await connection.fetchval("SELECT to_regclass('hookloop_migration')") is None:
        return 0
    return int(
        await connection.fetchval("SELECT coalesce(max(version), 0) FROM hookloop_migration")
    )


async def _prove(connection: Connection, name: str, *, accept_loss: bool) -> Durability:
    settings = await connection.fetch(
        "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", SETTINGS
    )
    standbys = await connection.fetchval("SELECT count(*) FROM pg_stat_replication")
    said = {row["name"]: row["setting"] for row in settings} | {"standbys": str(standbys)}
    return proved(said, name=name, accept_loss=accept_loss)


def _session(settings: PostgresSettings) -> dict[str, str]:
    """A worker that hangs in a transaction would keep rows, and the sweep of old ones, from all."""
    return {
        "application_name": "hookloop",
        "statement_timeout": f"{settings.statement_seconds * 1000:.0f}",
        "lock_timeout": f"{settings.lock_seconds * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{settings.statement_seconds * 2000:.0f}",
    }


async def _nothing_to_reset(_connection: Connection) -> None:
    """Our transactions leave nothing in a session: the pool's own reset costs a round trip."""


def _name(dsn: str) -> str:
    """Return *dsn* for a person: no user, no password. Raises `ConfigError` for none of ours."""
    parts = urlsplit(dsn)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError("a Postgres ledger is named by a URL that begins with postgresql://")
    host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [""])[0]
    return f"postgresql://{host}{parts.path}"


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    """Let what went wrong with the server be said in our errors; its text may hold values."""
    try:
        yield
    except (HookloopError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
        raise
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as e:
        raise ConfigError(f"the ledger {name} does not let us in: {e}") from e
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigError(
            f"the ledger {name} lacks a right ({error}): let its role use the tables hookloop_*, "
            "and make them once with a role that may create tables"
        ) from error
    except (
        asyncpg.DataError,
        asyncpg.IntegrityConstraintViolationError,
        asyncpg.SyntaxOrAccessError,
    ) as error:
        raise LocalError(
            f"the ledger {name} was asked for nonsense ({type(error).__name__})"
        ) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StoreError(
            f"the ledger {name} cannot be reached or written ({type(error).__name__}): nothing is "
            "acknowledged until its server is well again"
        ) from error


def _is_a_store(store: PostgresStore) -> Store:
    """For the type checker: what it returns must keep the whole protocol."""
    return store
