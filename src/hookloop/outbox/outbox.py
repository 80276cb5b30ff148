"""The face: append in your transaction, register endpoints, send, and see what came of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from typing import Any, Self

from hookloop.clock import Clock, SystemClock
from hookloop.errors import ConfigError
from hookloop.ids import new_id
from hookloop.ledger.delivery import Attempt, Delivery
from hookloop.ledger.store import FIND_MAX, Selection, Store

from .book import DELETED, POST, Book
from .connection import execute, execute_sync
from .database import database_of
from .endpoint import (
    TARGET_PREFIX,
    Endpoint,
    Secret,
    check_secret,
    check_url,
    rotated,
    secret_from,
)
from .guard import AddressGuard
from .message import OutboxMessage, body_of
from .sender import SOURCE, Sender
from .settings import OutboxSettings

__all__ = ["Outbox", "Sent"]

OVERLAP_SECONDS = 24 * 3600.0
"""For a customer to put a new secret into their receiver; Svix and Stripe give a day as well."""

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one message at one endpoint."""

    message: str
    """Its ``webhook-id``."""
    type: str
    endpoint: str
    delivery: Delivery
    attempts: Sequence[Attempt]
    """Those that have ended, oldest first; each with its beginning of the answer."""


class Outbox:
    """
    Webhooks of your own, in the database *url*: ``sqlite:///app.db`` or ``postgresql://...``.

    `append` writes one row in your transaction and does nothing else; it needs neither `run` nor a
    connection of its own. *ledger*: where deliveries are recorded, for SQLite a file beside
    yours. The owner's duty: `close`, or ``async with``. Raises `ConfigError` for a URL it does not
    know.
    """

    def __init__(
        self,
        url: str,
        *,
        ledger: str | None = None,
        settings: OutboxSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings or OutboxSettings()
        self._database = database_of(url)
        self._book = Book(self._database)
        self._ledger_url = ledger or self._database.ledger_url
        self._clock = clock or SystemClock()
        self._random = SystemRandom()
        self._guard = AddressGuard(self.settings.allow_networks)
        self._store: Store | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.create_tables()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()
        await self._database.close()

    async def create_tables(self) -> None:
        """Make the two tables in your database where there are none."""
        await self._database.create()

    # --- in your transaction ----------------------------------------------------------------

    async def append(self, message: OutboxMessage, *, conn: Any) -> str:
        """
        Keep *message* in the transaction that is open on *conn*, and return its ``webhook-id``.

        It is sent if that commits, and never was if it does not. *conn*: a connection of sqlite3,
        apsw, aiosqlite, psycopg, psycopg2, asyncpg, Django, or SQLAlchemy (or a session).
        Raises `ConfigError` where no transaction is open.
        """
        id_, values = self._row(message)
        await execute(conn, POST, values)
        return id_

    def append_sync(self, message: OutboxMessage, *, conn: Any) -> str:
        """As `append`, for connections that are not awaited."""
        id_, values = self._row(message)
        execute_sync(conn, POST, values)
        return id_

    def _row(self, message: OutboxMessage) -> tuple[str, tuple[Any, ...]]:
        id_ = message.id or new_id("msg_", self._random)
        body = body_of(message, now=self._clock.wall())
        return id_, (id_, message.type, message.account, message.order_key, body)

    # --- endpoints --------------------------------------------------------------------------

    async def add_endpoint(
        self,
        url: str,
        *,
        account: str = "",
        enabled_events: Sequence[str] = ("*",),
        secret: str | None = None,
    ) -> Endpoint:
        """
        Register *url*, and return it with its secret, which is made where none is given.

        Raises `ConfigError` for a URL that is not https, or leads into a private network.
        """
        check_url(url, guard=self._guard, allow_http=self.settings.allow_http)
        if secret is None:
            secret = secret_from(self._random.randbytes(SECRET_BYTES))
        check_secret(secret)
        if not enabled_events:
            raise ConfigError("an endpoint without enabled_events receives nothing: give ('*',)")
        endpoint = Endpoint(
            id=new_id("ep_", self._random),
            url=url,
            secrets=(Secret(secret),),
            account=account,
            enabled_events=tuple(enabled_events),
        )
        await self._book.keep(endpoint)
        return endpoint

    async def endpoints(self, *, account: str | None = None) -> list[Endpoint]:
        """Return all endpoints, or those of *account*; without the deleted ones."""
        return [
            endpoint
            for endpoint in await self._book.endpoints()
            if endpoint.disabled_reason != DELETED and account in (None, endpoint.account)
        ]

    async def endpoint(self, wanted: str) -> Endpoint:
        """Return one. Raises `ConfigError` where there is none."""
        for endpoint in await self.endpoints():
            if endpoint.id == wanted:
                return endpoint
        raise ConfigError(f"there is no endpoint {wanted}: `hookloop outbox endpoints` lists them")

    async def rotate_secret(
        self, wanted: str, *, secret: str | None = None, overlap_seconds: float = OVERLAP_SECONDS
    ) -> Endpoint:
        """
        Give the endpoint a new secret; the old one signs along for *overlap_seconds*.

        Until then each attempt bears two signatures, and a receiver may have either secret. One
        that is made is of the old one's kind; a private key's receiver gets its `for_receiver`.
        """
        endpoint = await self.endpoint(wanted)
        like = endpoint.secrets[0].value
        new = secret or secret_from(self._random.randbytes(SECRET_BYTES), like=like)
        now = self._clock.wall()
        endpoint = rotated(endpoint, new, now=now, overlap_seconds=overlap_seconds)
        await self._book.keep(endpoint)
        return endpoint

    async def change_endpoint(
        self,
        wanted: str,
        *,
        url: str | None = None,
        enabled_events: Sequence[str] | None = None,
    ) -> Endpoint:
        """Change what is not None; the next attempt goes by it."""
        endpoint = await self.endpoint(wanted)
        if url is not None:
            check_url(url, guard=self._guard, allow_http=self.settings.allow_http)
            endpoint = replace(endpoint, url=url)
        if enabled_events is not None:
            endpoint = replace(endpoint, enabled_events=tuple(enabled_events))
        await self._book.keep(endpoint)
        return endpoint

    async def disable_endpoint(self, wanted: str, *, reason: str = "disabled by hand") -> None:
        """Owe it nothing more; what it is owed already is dead when its turn comes."""
        await self.endpoint(wanted)
        await self._book.disable(wanted, at=self._clock.wall(), reason=reason)

    async def enable_endpoint(self, wanted: str) -> None:
        """Send to it again, from now on; `resend` brings what it has missed."""
        await self.endpoint(wanted)
        await self._book.enable(wanted)

    async def remove_endpoint(self, wanted: str) -> None:
        await self.endpoint(wanted)
        await self._book.remove(wanted, at=self._clock.wall())

    # --- what came of it --------------------------------------------------------------------

    async def sent(self, message: str) -> list[Sent]:
        """
        Return what became of the message at each endpoint it is owed to; [] if unknown.

        Reads all that is kept: for a person who asks, not for each request.
        """
        store = await self._open_store()
        return [
            one
            async for one in self._each(store, Selection(source=SOURCE))
            if one.message == message
        ]

    async def history(self, endpoint: str, *, limit: int = 100, after: int = 0) -> list[Sent]:
        """Return what *endpoint* is owed, and was, oldest first from the delivery *after* on."""
        store = await self._open_store()
        where = Selection(target=TARGET_PREFIX + endpoint)
        found = await store.find(where, limit=min(limit, FIND_MAX), after=after)
        return [await self._sent(store, delivery) for delivery in found]

    async def resend(
        self,
        *,
        message: str | None = None,
        endpoint: str | None = None,
        received_from: float | None = None,
        per_second: float | None = None,
    ) -> int:
        """
        Send again what is settled and fits all that is given; return how many deliveries that is.

        Under the same ``webhook-id``: a receiver that had it knows it. *received_from*: Unix
        seconds. Raises `ConfigError` where nothing is given: all of it is never meant.
        """
        if message is None and endpoint is None:
            raise ConfigError("resend: name a message, an endpoint, or both")
        store = await self._open_store()
        target = None if endpoint is None else TARGET_PREFIX + endpoint
        where = Selection(target=target, source=SOURCE, received_from=received_from)
        if message is not None:
            numbers = {one.delivery.message for one in await self.sent(message)}
            if not numbers:
                return 0
            where = replace(where, message=numbers.pop())
        return await store.replay(where, per_second=per_second)

    async def _each(self, store: Store, where: Selection) -> AsyncIterator[Sent]:
        after = 0
        while page := await store.find(where, limit=FIND_MAX, after=after):
            for delivery in page:
                yield await self._sent(store, delivery)
            after = page[-1].id

    async def _sent(self, store: Store, delivery: Delivery) -> Sent:
        message = await store.message(delivery.message)
        return Sent(
            message="" if message is None else message.key or "",
            type="" if message is None else message.type,
            endpoint=delivery.target.removeprefix(TARGET_PREFIX),
            delivery=delivery,
            attempts=await store.attempts(delivery.id),
        )

    # --- the worker -------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until cancelled. Any number of processes may, where the database is shared."""
        async with self.sender() as sender:
            await sender.run()

    @asynccontextmanager
    async def sender(self) -> AsyncIterator[Sender]:
        """What `run` runs, for tests that take its steps one by one."""
        from .poster import AiohttpPoster

        await self.create_tables()
        store = await self._open_store()
        settings = self.settings
        async with AiohttpPoster(self._guard, timeout_seconds=settings.timeout_seconds) as poster:
            yield Sender(
                self._book,
                store,
                poster,
                settings=settings,
                clock=self._clock,
                random=self._random,
            )

    async def _open_store(self) -> Store:
        async with self._opening:
            if self._store is None:
                self._store = await _opened(self._ledger_url)
            return self._store


async def _opened(url: str) -> Store:
    kind, _, rest = url.partition("://")
    if kind == "sqlite" and len(rest) > 1:
        from hookloop.ledger.sqlite import SqliteStore

        return await asyncio.to_thread(SqliteStore, Path(rest[1:]))
    if kind in ("postgres", "postgresql"):
        from hookloop.ledger.postgres import PostgresStore

        return await PostgresStore.open(url)
    raise ConfigError(f"a ledger is at sqlite:///... or postgresql://..., not at {kind}:...")
