"""
Makes the deliveries: moves what was committed into the ledger, and works the ledger off.

A message is moved in two steps, into the ledger and out of the user's table. Killed between
them, it is moved again, and the ledger knows its id: it is owed once.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random

from hookloop.clock import Clock
from hookloop.errors import StoreError
from hookloop.ledger.message import NewMessage
from hookloop.ledger.store import Store
from hookloop.ledger.worker import Worker, WorkerSettings

from .book import TAKE_MAX, Book
from .endpoint import Endpoint, wants
from .lane import Lane
from .message import Posted
from .poster import Poster
from .settings import OutboxSettings

__all__ = ["SOURCE", "Sender", "new_message"]

logger = logging.getLogger("hookloop.outbox")

SOURCE = "outbox"
AGAIN_SECONDS = 1.0
"""How long to leave a database alone that could not."""

PRUNE_SECONDS, PRUNE_MAX = 3600.0, 1000


class Sender:
    """Moves and posts until `run` is cancelled. Any number may share a database and a ledger."""

    def __init__(
        self,
        book: Book,
        store: Store,
        poster: Poster,
        *,
        settings: OutboxSettings,
        clock: Clock,
        random: Random,
    ) -> None:
        self._book = book
        self._store = store
        self._settings = settings
        self._lanes = _Lanes(book, poster, settings, clock, random)
        self._endpoints: list[Endpoint] = []

    async def run(self) -> None:
        worker = Worker(
            self._store,
            self._lanes,
            schedule=self._settings.schedule,
            settings=WorkerSettings(
                attempts_at_once=self._settings.attempts_at_once,
                target_attempts_at_once=self._settings.endpoint_attempts_at_once,
                lease_seconds=self._settings.lease_seconds,
            ),
            room_of=lambda target: self._lanes[target].room,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._move_on())
            tasks.create_task(self._prune_on())
            tasks.create_task(worker.run())

    async def _move_on(self) -> None:
        while True:
            try:
                moved = await self.move()
                wait = 0.0 if moved == TAKE_MAX else self._settings.look_seconds
            except StoreError as error:
                logger.warning("the outbox cannot be moved from: %s", error)
                wait = AGAIN_SECONDS
            await asyncio.sleep(wait)

    async def move(self) -> int:
        """Bring the endpoints up to date, and what was committed into the ledger."""
        self._endpoints = await self._book.endpoints()
        self._lanes.update(self._endpoints)
        posted = await self._book.posted()
        if posted:
            owed = [new_message(post, self._endpoints) for post in posted]
            await self._store.append([new for new in owed if new is not None])
            await self._book.forget(posted)
        return len(posted)

    async def _prune_on(self) -> None:
        while True:
            try:
                while await self._store.prune(self._settings.retention, limit=PRUNE_MAX):
                    pass
            except StoreError as error:
                logger.warning("the outbox's ledger cannot be pruned: %s", error)
            await asyncio.sleep(PRUNE_SECONDS)


def new_message(post: Posted, endpoints: list[Endpoint]) -> NewMessage | None:
    """Return *post* for the ledger, or None where no endpoint wants it."""
    targets = tuple(
        endpoint.target
        for endpoint in endpoints
        if wants(endpoint, account=post.account, type_=post.type)
    )
    if not targets:
        return None
    return NewMessage(
        SOURCE,
        post.body,
        targets,
        head=json.dumps({"id": post.id, "account": post.account}).encode(),
        type=post.type,
        key=post.id,
        order_key=None if post.order_key is None else f"{post.account}\n{post.order_key}",
    )


class _Lanes(Mapping[str, Lane]):
    """A lane for each endpoint, by its name in the ledger."""

    def __init__(
        self,
        book: Book,
        poster: Poster,
        settings: OutboxSettings,
        clock: Clock,
        random: Random,
    ) -> None:
        self._make = partial(
            Lane, book=book, poster=poster, settings=settings, clock=clock, random=random
        )
        self._lanes: dict[str, Lane] = {}

    def update(self, endpoints: list[Endpoint]) -> None:
        by_target = {endpoint.target: endpoint for endpoint in endpoints}
        for target in by_target.keys() - self._lanes.keys():
            self._lanes[target] = self._make(by_target[target])
        for target, endpoint in by_target.items():
            self._lanes[target].endpoint = endpoint

    def __getitem__(self, target: str) -> Lane:
        return self._lanes[target]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._lanes))

    def __len__(self) -> int:
        return len(self._lanes)
