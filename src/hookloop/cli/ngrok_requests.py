"""What passed this agent's tunnels, as ngrok's local API asks for it."""

import asyncio
from random import SystemRandom
from typing import TYPE_CHECKING

from hookloop.clock import SystemClock
from hookloop.errors import RemoteError
from hookloop.inspector import Captured, CaptureStore, Recorder
from hookloop.inspector.ngrok_resources import KeptRequest
from hookloop.inspector.replay_plan import ReplayOrder, plan

from .replayer import Replayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookloop.tunnel.agent import Agent, Tunnel, TunnelConfig

__all__ = ["StoredRequests"]

FLUSH_SECONDS = 5.0  # what has just passed is in the store in a fraction of one
PAGE = 200


class StoredRequests:
    """A `RequestKeeper` over the store that *recorder* writes to."""

    def __init__(self, agent: "Agent", recorder: Recorder) -> None:
        self._agent = agent
        self._recorder = recorder
        self._store: CaptureStore = recorder.store
        self._replayer = Replayer(self._config_of, self._store)

    async def requests(self, *, limit: int, tunnel: str | None) -> "Sequence[KeptRequest]":
        found = await asyncio.to_thread(self._find, limit, tunnel)
        return [self._kept(captured) for captured in found]

    async def request(self, id_: str) -> KeptRequest | None:
        captured = await asyncio.to_thread(self._get, id_)
        return None if captured is None else self._kept(captured)

    async def clear(self) -> None:
        await asyncio.to_thread(self._recorder.flush, FLUSH_SECONDS)
        await asyncio.to_thread(self._store.delete_all)

    async def replay(self, id_: str, tunnel: str | None) -> bool:
        captured = await asyncio.to_thread(self._get, id_)
        if captured is None:
            return False
        order = ReplayOrder(tunnel=tunnel)
        now, random = SystemClock().wall(), SystemRandom().random
        shots = plan([captured], order, (), now=now, random=random)
        if self._config_of(shots[0].tunnel) is None:
            raise RemoteError(f"there is no tunnel {shots[0].tunnel!r} to replay it through")
        await self._replayer.run(shots)
        return True

    # --- inside -----------------------------------------------------------------------------

    def _find(self, limit: int, label: str | None) -> list[Captured]:
        self._recorder.flush(FLUSH_SECONDS)
        found: list[Captured] = []
        before: int | None = None
        while len(found) < limit:
            page = self._store.find(limit=PAGE, before=before)
            wanted = [s.id for s in page.items if label is None or self._label(s.tunnel) == label]
            for id_ in wanted[: limit - len(found)]:
                captured = self._store.get(id_)
                found += [captured] if captured is not None else []
            before = page.before
            if before is None:
                break
        return found

    def _get(self, id_: str) -> Captured | None:
        self._recorder.flush(FLUSH_SECONDS)
        return self._store.get(id_)

    def _tunnel(self, name: str) -> "Tunnel | None":
        """Return the tunnel that the agent, or the relay, calls *name*."""
        return next((t for t in self._agent.tunnels if name in {t.label, t.name}), None)

    def _label(self, name: str) -> str:
        tunnel = self._tunnel(name)
        return name if tunnel is None else tunnel.label

    def _config_of(self, name: str) -> "TunnelConfig | None":
        tunnel = self._tunnel(name)
        return None if tunnel is None else tunnel.config

    def _kept(self, captured: Captured) -> KeptRequest:
        return KeptRequest(
            captured.id,
            self._label(captured.tunnel),
            captured.remote,
            captured.started_at,
            captured.duration_seconds,
            captured.request,
            captured.request_body.data,
            captured.response,
            captured.response_body.data,
        )
