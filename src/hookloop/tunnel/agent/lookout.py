"""Looks once a tick whether something may have cut the session off; `disturbance` judges."""

import asyncio
from collections.abc import Callable
from typing import Any

from hookloop.clock import Clock

from .disturbance import TICK_SECONDS, Glance, disturbance
from .route import ANYWHERE, local_address

__all__ = ["Lookout", "Route"]

Route = Callable[[tuple[Any, ...]], str | None]


class Lookout:
    """Calls *tell* with what happened, in words. Between `start` and `stop` it owns a timer."""

    def __init__(
        self, clock: Clock, tell: Callable[[str], None], *, route: Route = local_address
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._route = route
        self._peer: tuple[Any, ...] = ANYWHERE
        self._glance = self._look()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._glance = self._look()
        self._wait()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def watch(self, peer: tuple[Any, ...] | None) -> None:
        """The relay is at *peer*: look at the way there from now on."""
        self._peer = peer or ANYWHERE
        self._glance = self._look()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        before, self._glance = self._glance, self._look()
        self._wait()
        if what := disturbance(before, self._glance):
            self._tell(what)

    def _look(self) -> Glance:
        return Glance(self._clock.wall(), self._clock.monotonic(), self._route(self._peer))
