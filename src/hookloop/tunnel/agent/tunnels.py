"""The tunnels of an agent: asked of the relay, in each session anew, and found by their names."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import count
from typing import Protocol

from hookloop.clock import Clock
from hookloop.errors import ConfigError, RefusedError
from hookloop.tunnel.wire.messages import Bind, Bound, Refused

from .backoff import LONGEST_SECONDS
from .config import TunnelConfig
from .observer import AgentObserver
from .tunnel import Tunnel

__all__ = ["TunnelSession", "Tunnels"]

logger = logging.getLogger("hookloop.agent")


class TunnelSession(Protocol):
    """What the tunnels need of their agent; both do nothing where there is no session."""

    def send_bind(self, bind: Bind) -> None: ...

    def send_unbind(self, name: str) -> None: ...


class Tunnels:
    """One refused tunnel does not end the others; they come and go while the agent runs."""

    def __init__(
        self,
        configs: Sequence[TunnelConfig],
        session: TunnelSession,
        observer: AgentObserver,
        clock: Clock,
    ) -> None:
        self._session = session
        self._observer = observer
        self._clock = clock
        self._refs = count(1)
        self._by_label = {each.label: self._new(each) for each in configs}
        self._first = self.all
        self.by_name: dict[str, Tunnel] = {}
        """Those the relay has given us, in this session."""

    @property
    def all(self) -> tuple[Tunnel, ...]:
        """Also those that were refused, in the order they were asked for."""
        return tuple(self._by_label.values())

    async def wait_settled(self) -> None:
        """Return once the relay has given or refused each of those there were at first."""
        for tunnel in self._first:
            await tunnel.wait_settled()

    def check_free(self, config: TunnelConfig) -> None:
        """Raise `ConfigError` where its label or its name is taken by another of them."""
        if config.label in self._by_label:
            raise ConfigError(f"the agent has a tunnel {config.label!r} already")
        if config.name is not None and config.name in self.by_name:
            raise ConfigError(f"another tunnel of the agent has the name {config.name!r}")

    def add(self, config: TunnelConfig) -> Tunnel:
        """Ask for one more, after `check_free`."""
        tunnel = self._by_label[config.label] = self._new(config)
        self._bind(tunnel)
        return tunnel

    def remove(self, label: str) -> None:
        """Give one back. Raises `ConfigError` where there is none of that label."""
        tunnel = self._by_label.pop(label, None)
        if tunnel is None:
            raise ConfigError(f"the agent has no tunnel {label!r}")
        if tunnel.is_up and tunnel.name is not None:
            self.by_name.pop(tunnel.name, None)
            self._session.send_unbind(tunnel.name)
        tunnel.close()
        self._observer.tunnel_removed(tunnel)

    # --- the session's life -----------------------------------------------------------------

    def bind_all(self) -> None:
        """A session has begun."""
        for tunnel in self.all:
            self._bind(tunnel)

    def give_back_all(self) -> None:
        """The agent leaves: whoever starts one of the same names next has them at once."""
        for tunnel in self.all:
            if tunnel.name is not None and not tunnel.is_given_up():
                self._session.send_unbind(tunnel.name)

    def session_lost(self) -> None:
        self.by_name.clear()
        for tunnel in self.all:
            tunnel.session_lost()

    def close(self) -> None:
        for tunnel in self.all:
            tunnel.close()

    # --- the relay answers ------------------------------------------------------------------

    def bound(self, bound: Bound) -> None:
        tunnel = self._of_ref(bound.ref)
        if tunnel is None:  # it was removed while the relay's answer was on its way
            self._session.send_unbind(bound.name)
            return
        tunnel.bound(bound)
        self.by_name[bound.name] = tunnel
        self._observer.tunnel_up(tunnel)

    def refused(self, refused: Refused) -> RefusedError | None:
        """Return the first refusal where now none is left of the tunnels there were at first."""
        tunnel = self._of_ref(refused.ref)
        if tunnel is None:
            return None
        is_final = tunnel.refused(refused)
        wait = None if is_final else LONGEST_SECONDS
        logger.info("tunnel refused label=%s code=%s", tunnel.label, refused.code)
        self._observer.tunnel_refused(tunnel, wait)
        if wait is not None:
            loop = asyncio.get_running_loop()
            tunnel.retry = loop.call_later(wait, self._bind, tunnel)
        elif self._first and all(map(Tunnel.is_given_up, self._first)):
            return self._first[0].refusal
        return None

    # --- inside -----------------------------------------------------------------------------

    def _new(self, config: TunnelConfig) -> Tunnel:
        return Tunnel(config, next(self._refs), self._clock)

    def _bind(self, tunnel: Tunnel) -> None:
        tunnel.stop_retry()
        if not tunnel.is_given_up():
            self._session.send_bind(tunnel.bind())

    def _of_ref(self, ref: int) -> Tunnel | None:
        return next((tunnel for tunnel in self.all if tunnel.ref == ref), None)
