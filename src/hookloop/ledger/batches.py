"""What asks for the same while a transaction is under way goes into the next one, together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hookloop.errors import StoreError

__all__ = ["BATCH_MAX", "QUEUE_MAX", "Batches"]

BATCH_MAX = 256
"""Calls of one transaction: enough that a commit is shared well, few enough that none waits."""

QUEUE_MAX = 10_000
"""Calls that wait for the database, some seconds' worth; the next is better told to come again."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Call(Generic[Asked, Answer]):
    asked: Asked
    future: asyncio.Future[Answer]


class Batches(Generic[Asked, Answer]):
    """
    Group commit for one kind of call, in one event loop.

    Nothing waits for a timer: the first to ask is begun at once. *run* makes one transaction of
    what is asked and returns an answer to each, in order. Where it raises anything but a
    `StoreError`, the fault is one call's own: each is run again by itself.
    """

    def __init__(
        self, run: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]], *, at_once: int = 1
    ) -> None:
        self._run = run
        self._at_once = at_once
        self._waiting: list[_Call[Asked, Answer]] = []
        self._flushing = 0
        self._flushes: set[asyncio.Future[None]] = set()

    async def ask(self, asked: Asked) -> Answer:
        """Return the answer to *asked*, once it is committed; a cancelled caller may still be."""
        if len(self._waiting) >= QUEUE_MAX:
            raise StoreError(f"{QUEUE_MAX} calls wait for the database already: come again later")
        call = _Call(asked, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._flushing < self._at_once:
            self._flushing += 1
            flush = asyncio.ensure_future(self._flush())
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)
        answer: Answer = await call.future
        return answer

    async def finish(self) -> None:
        """Return once all that was asked is answered."""
        while self._flushes:
            await asyncio.wait(self._flushes)

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            await self._answer(batch)
        # At once: who asks before this task has ended would otherwise wait for nobody.
        self._flushing -= 1

    async def _answer(self, batch: Sequence[_Call[Asked, Answer]]) -> None:
        try:
            answers = await self._run([call.asked for call in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, StoreError):
                for call in batch:
                    await self._answer([call])
                return
            for call in batch:
                if not call.future.done():
                    call.future.set_exception(error)
        else:
            for call, answer in zip(batch, answers, strict=True):
                if not call.future.done():
                    call.future.set_result(answer)
