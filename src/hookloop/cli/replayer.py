"""Sends what a plan of replays says, the way of all requests of a tunnel, and keeps each answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from hookloop.clock import Clock, SystemClock
from hookloop.exchange import Exchange
from hookloop.inspector import Captured, CaptureStore, Recorder, Redaction
from hookloop.inspector.replay_plan import Shot

if TYPE_CHECKING:
    from hookloop.tunnel.agent.config import TunnelConfig

__all__ = ["Replayer"]

KEEP_BYTES = 1024 * 1024  # of each body, as live exchanges have it
AT_ONCE_MAX = 16  # more than a development server takes; the rate says when each begins
REMOTE = "replay:0"
"""In the place of a caller's address: nobody called."""


class Replayer:
    """
    Replays into *store*.

    The request takes the tunnel's header rules and its upstream; who may call is not asked again.
    """

    def __init__(
        self,
        config_of: "Callable[[str], TunnelConfig | None]",
        store: CaptureStore,
        *,
        redaction: Redaction | None = None,
        clock: Clock | None = None,
    ) -> None:
        """
        *config_of* says how a tunnel of a name, or label, reaches its upstream.

        *redaction* is what live exchanges have; without one, only what always goes is taken out.
        """
        self._config_of = config_of
        self._store = store
        self._clock = clock or SystemClock()
        # Not begun: it names and redacts.
        self._recorder = Recorder(store, redaction=redaction, clock=self._clock)

    async def run(self, shots: Sequence[Shot]) -> tuple[Captured, ...]:
        """Send *shots*, each at its time, and return the exchanges in the order of *shots*."""
        places = asyncio.Semaphore(AT_ONCE_MAX)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send(shot, places)) for shot in shots]
        return tuple(task.result() for task in tasks)

    # --- inside -----------------------------------------------------------------------------

    async def _send(self, shot: Shot, places: asyncio.Semaphore) -> Captured:
        await asyncio.sleep(shot.after)
        async with places:
            exchange = await self._exchange(shot)
        captured = self._recorder.of(self._clock.wall(), exchange)
        captured = replace(captured, origin=shot.origin, note=shot.note)
        await asyncio.to_thread(self._store.add, [captured], now=self._clock.wall())
        return captured

    async def _exchange(self, shot: Shot) -> Exchange:
        from hookloop.tunnel.agent.catch_app import UpstreamApp
        from hookloop.tunnel.catch.box import Answered
        from hookloop.tunnel.wire.messages import Request

        config = self._config_of(shot.tunnel)
        if config is None:
            return self._unsent(shot, f"there is no tunnel {shot.tunnel!r} to replay it to")
        told: list[Exchange] = []
        app = UpstreamApp(config, self._clock, _Ear(told), keep_max=KEEP_BYTES)
        try:
            outcome = await app.send(Request(shot.tunnel, REMOTE, shot.head), shot.body)
        finally:
            app.close()
        if told:
            return told[0]
        why = outcome.detail if isinstance(outcome, Answered) else outcome.why
        return self._unsent(shot, why)

    def _unsent(self, shot: Shot, why: str) -> Exchange:
        now = self._clock.monotonic()
        return Exchange(
            hop="agent",
            tunnel=shot.tunnel,
            remote=REMOTE,
            request=shot.head,
            response=None,
            request_body_bytes=len(shot.body),
            response_body_bytes=0,
            started=now,
            responded=None,
            ended=now,
            failure=why,
            request_digest=sha256(shot.body).digest(),
            request_kept=(shot.body,),
        )


class _Ear:
    def __init__(self, told: list[Exchange]) -> None:
        self._told = told

    def captured(self, exchange: Exchange) -> None:
        self._told.append(exchange)
