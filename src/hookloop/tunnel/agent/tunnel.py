"""One tunnel of an agent: its settings, its address, its upstream and its counts."""

import asyncio

from hookloop.clock import Clock
from hookloop.errors import RefusedError
from hookloop.tunnel.wire.messages import Bind, Bound, CatchWish, Refused

from .config import TunnelConfig
from .pipeline import Pipeline
from .statistics import TunnelStatistics
from .upstream import UpstreamPool

__all__ = ["Tunnel"]


class Tunnel:
    """
    A tunnel as its agent holds it; get one from `Agent.tunnels` or `Agent.add_tunnel`.

    It outlives sessions: each new one binds it again, under the name it had.
    """

    def __init__(self, config: TunnelConfig, ref: int, clock: Clock) -> None:
        self.config = config
        self.ref = ref
        """Leads the relay's answers to a BIND back to us."""
        self.name = config.name
        """The name asked for; once bound, the one we have."""
        self.url: str | None = None
        """The public URL, once it was up; the same after every reconnect."""
        self.is_up = False
        """Whether callers reach it now."""
        self.refusal: RefusedError | None = None
        """Why the relay did not give it, the last time it was asked."""
        self.pipeline = Pipeline(config.policy, config.upstream, config.label)
        self.pool = UpstreamPool(config.upstream, clock)
        self.exchanges = 0
        self.exchanges_open = 0
        self.retry: asyncio.TimerHandle | None = None
        """When it is asked for again within this session."""
        self._settled = asyncio.Event()

    @property
    def label(self) -> str:
        """What the agent calls it."""
        return self.config.label

    async def wait_up(self) -> str:
        """Return the URL once callers reach it. Raises `RefusedError` if they never will."""
        await self._settled.wait()
        if self.url is None:
            assert self.refusal is not None  # noqa: S101  # the other way to settle
            raise self.refusal
        return self.url

    async def wait_settled(self) -> None:
        """Return once the relay has given or refused it."""
        await self._settled.wait()

    def statistics(self) -> TunnelStatistics:
        return TunnelStatistics(self.exchanges, self.exchanges_open)

    # --- for the agent ----------------------------------------------------------------------

    def bind(self) -> Bind:
        """
        Return what to ask of the relay.

        After a restart of the relay that is the name we had, though the relay had made it
        up: URLs are pasted places.
        """
        config = self.config
        return Bind(
            self.ref, self.name, config.protocol, config.remote_port, catch=self._catch_wish()
        )

    def _catch_wish(self) -> CatchWish | None:
        """Let the relay catch too, if its owner lets it: under a name that will be ours again."""
        catch = self.config.catch
        if catch is None or self.config.name is None:
            return None
        return CatchWish(catch.rules.status, catch.rules.paths)

    def bound(self, bound: Bound) -> None:
        self.name, self.url = bound.name, bound.url
        self.is_up = True
        self.refusal = None
        self._settled.set()

    def refused(self, refused: Refused) -> bool:
        """Say whether it is final: one that was up before may become free again."""
        self.is_up = False
        self.refusal = RefusedError(refused.code, refused.message)
        self._settled.set()
        return self.is_given_up()

    def is_given_up(self) -> bool:
        """Say whether it is not asked for again."""
        return self.refusal is not None and self.url is None

    def session_lost(self) -> None:
        self.is_up = False
        self.stop_retry()

    def stop_retry(self) -> None:
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None

    def close(self) -> None:
        self.is_up = False
        if not self._settled.is_set():
            self.refusal = RefusedError("removed", "the tunnel was given up before it was up")
            self._settled.set()
        self.stop_retry()
        self.pool.close()
