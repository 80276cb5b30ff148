"""One endpoint's way out: how much of it may be tried now, and each attempt."""

import contextlib
import json
from collections.abc import Awaitable
from dataclasses import replace
from random import Random
from typing import Any

from hookloop.clock import Clock
from hookloop.errors import StoreError
from hookloop.ledger.delivery import Dead, Done, Outcome, Release, Retry
from hookloop.ledger.store import Lease

from .book import Book
from .endpoint import Endpoint, headers_of
from .judgement import Delivered, Disable, GiveUp, Hold, TryAgain, judged
from .poster import Poster
from .settings import OutboxSettings

__all__ = ["Lane"]


class Lane:
    """
    A `ledger.worker.Target`: posts to *endpoint*, which is replaced when it was changed.

    What a disabled or deleted one is still owed is dead, and can be sent again by hand.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        book: Book,
        poster: Poster,
        settings: OutboxSettings,
        clock: Clock,
        random: Random,
    ) -> None:
        self.endpoint = endpoint
        self._book = book
        self._poster = poster
        self._settings = settings
        self._clock = clock
        self._random = random
        self._held_until = float("-inf")
        self._holds = 0
        self._failures = 0

    @property
    def room(self) -> int:
        """How many attempts may run now: none while it is held, one where it fails."""
        if self._clock.monotonic() < self._held_until:
            return 0
        is_well = not self._failures and not self._holds
        return self._settings.endpoint_attempts_at_once if is_well else 1

    async def deliver(self, lease: Lease) -> Outcome:
        endpoint = self.endpoint
        if not endpoint.is_enabled:
            return Dead(f"its endpoint is disabled: {endpoint.disabled_reason}")
        if self.room == 0:
            return Release("its endpoint is held")
        body, now = lease.message.body, self._clock.wall()
        message_id = str(json.loads(lease.message.head)["id"])
        headers = headers_of(endpoint, body, message_id=message_id, now=now)
        reply = await self._poster.post(endpoint.url, headers, body)
        judgement = judged(
            reply,
            self._settings.schedule,
            failures=lease.delivery.failures,
            holds=self._holds,
            now=self._clock.wall(),
            dice=self._random.random(),
        )
        match judgement:
            case Delivered(detail):
                await self._went_well()
                return Done(detail)
            case Hold(seconds, detail):
                await self._went_wrong()
                self._holds += 1
                self._held_until = self._clock.monotonic() + seconds
                return Release(f"held for {seconds:.0f} s: {detail}")
            case Disable(reason):
                await self._disable(reason)
                return Dead(reason)
            case TryAgain(seconds, detail):
                await self._went_wrong()
                return Retry(seconds, detail)
            case GiveUp(detail):
                await self._went_wrong()
                return Dead(detail)

    async def _went_well(self) -> None:
        was_failing = self._failures or self.endpoint.failing_since is not None
        self._failures = self._holds = 0
        if was_failing:
            await self._note(self._book.well(self.endpoint.id), failing_since=None)

    async def _went_wrong(self) -> None:
        self._failures += 1
        now, since = self._clock.wall(), self.endpoint.failing_since
        if since is None:
            await self._note(self._book.failing(self.endpoint.id, since=now), failing_since=now)
            return
        most = self._settings.disable_after_seconds
        if most and now - since > most:
            await self._disable(f"it has failed for {most / 86400:g} days")

    async def _disable(self, reason: str) -> None:
        now = self._clock.wall()
        writing = self._book.disable(self.endpoint.id, at=now, reason=reason)
        await self._note(writing, disabled_at=now, disabled_reason=reason)

    async def _note(self, writing: Awaitable[None], **noted: Any) -> None:
        """What cannot be noted now is at the next attempt: the delivery's own outcome is known."""
        with contextlib.suppress(StoreError):
            await writing
            # Known here at once: the next look at the book may come after the next attempt.
            self.endpoint = replace(self.endpoint, **noted)
