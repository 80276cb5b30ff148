"""Our agent as ngrok's local API sees it: tunnels that come and go while it runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from hookloop.errors import ConfigError, RefusedError, RemoteError
from hookloop.exchange import Exchange
from hookloop.inspector.ngrok_api import NotReadyError
from hookloop.inspector.ngrok_resources import TunnelView
from hookloop.inspector.tunnel_meters import TunnelMeters

from .ngrok_file import read_definition

if TYPE_CHECKING:
    from hookloop.tunnel.agent import Agent, Tunnel, TunnelConfig
    from hookloop.tunnel.agent.options import TunnelOptions

__all__ = ["NGROK_VERSION", "NgrokAgent", "running_ngrok_agent"]

NGROK_VERSION = "3.30.0"  # whose command line, API and log lines these are
UP_SECONDS = 10.0  # a relay that is there answers in one round trip


class NgrokAgent:
    """An `AgentControl`; use `running_ngrok_agent`."""

    def __init__(
        self, agent: "Agent", relay: str, meters: TunnelMeters, warn: Callable[[str], None]
    ) -> None:
        self.version = NGROK_VERSION
        self.relay = relay
        self.is_online = False
        """Whether there is a session: whoever observes the agent says so."""
        self._agent = agent
        self._meters = meters
        self._warn = warn
        self._held: dict[str, asyncio.Task[None]] = {}
        """By its label, each tunnel, with the folder that is served for it where it has one."""
        self._uninspected: set[str] = set()

    @property
    def latency_seconds(self) -> float | None:
        return self._agent.statistics().latency_seconds

    def tunnels(self) -> tuple[TunnelView, ...]:
        return tuple(self._view(tunnel) for tunnel in self._agent.tunnels if tunnel.url is not None)

    async def start(self, definition: Mapping[str, Any], *, is_endpoint: bool) -> TunnelView:
        if self._agent.statistics().sessions == 0:
            raise NotReadyError("there has been no session with the relay yet")
        options = read_definition(definition, is_endpoint=is_endpoint, warn=self._warn)
        if not options.label:
            raise ConfigError("Tunnel declaration must contain a 'name'")
        return await self.open(options, is_inspected=definition.get("inspect") is not False)

    async def open(self, options: "TunnelOptions", *, is_inspected: bool = True) -> TunnelView:
        """Open a tunnel, and return once callers reach it. Raises `ConfigError`, `RefusedError`."""
        label = options.label
        if label in self._held:
            raise ConfigError(f"the agent has a tunnel {label!r} already")
        up: asyncio.Future[Tunnel] = asyncio.get_running_loop().create_future()
        task = self._held[label] = asyncio.create_task(self._hold(options, up))
        task.add_done_callback(lambda done: self._ended(label, done))
        if not is_inspected:
            self._uninspected.add(label)
        try:
            async with asyncio.timeout(UP_SECONDS):
                return self._view(await up)
        except TimeoutError:
            why = f"the relay has not given it within {UP_SECONDS:g} s"
            raise RefusedError("timeout", why) from None
        finally:
            if not up.done() or up.cancelled() or up.exception() is not None:
                task.cancel()
                self._uninspected.discard(label)

    def stop(self, name: str) -> None:
        if name not in self._held:
            raise ConfigError(f"the agent has no tunnel {name!r}")
        self._agent.remove_tunnel(name)
        self._held.pop(name).cancel()
        self._uninspected.discard(name)

    def close(self) -> tuple["asyncio.Task[None]", ...]:
        """Begin to end all tunnels, and return what has to end."""
        held = tuple(self._held.values())
        for task in held:
            task.cancel()
        return held

    # --- what passes --------------------------------------------------------------------------

    def is_inspected(self, exchange: Exchange) -> bool:
        """Say whether the exchange may be kept: its tunnel may have been opened without."""
        if not self._uninspected:
            return True
        return self._label_of(exchange.tunnel) not in self._uninspected

    def _label_of(self, name: str) -> str:
        """Return what the agent calls the tunnel that has *name* at the relay."""
        return next((t.label for t in self._agent.tunnels if t.name == name), name)

    # --- inside -------------------------------------------------------------------------------

    def _ended(self, label: str, task: "asyncio.Task[None]") -> None:
        if self._held.get(label) is task:  # and no later tunnel has its label
            del self._held[label]

    async def _hold(self, options: "TunnelOptions", up: "asyncio.Future[Tunnel]") -> None:
        """Keep a tunnel open until cancelled; a folder has to be left by the task that came in."""
        from hookloop.tunnel.embedded import served

        try:
            async with served(options) as config:
                with self._added(config) as tunnel:
                    await tunnel.wait_up()
                    if not up.done():
                        up.set_result(tunnel)
                    await asyncio.Event().wait()
        except (ConfigError, RemoteError, OSError) as error:
            if not up.done():
                up.set_exception(error)

    def _added(self, config: "TunnelConfig") -> "_Added":
        return _Added(self._agent, config)

    def _view(self, tunnel: "Tunnel") -> TunnelView:
        config = tunnel.config
        is_http = config.protocol == "http"
        name = (tunnel.name or tunnel.label) if is_http else tunnel.label
        open_now = tunnel.statistics().exchanges_open
        upstream = str(config.upstream)
        return TunnelView(
            tunnel.label,
            tunnel.url or "",
            upstream if is_http else upstream.removeprefix("tcp://"),
            config.protocol,
            self._meters.connections(name, open_now=open_now),
            self._meters.exchanges(name),
            is_inspected=is_http and tunnel.label not in self._uninspected,
        )


class _Added:
    """A tunnel of the agent for the length of a block, unless it was removed before its end."""

    def __init__(self, agent: "Agent", config: "TunnelConfig") -> None:
        self._agent = agent
        self._tunnel = agent.add_tunnel(config)

    def __enter__(self) -> "Tunnel":
        return self._tunnel

    def __exit__(self, *_: object) -> None:
        if self._tunnel in self._agent.tunnels:
            self._agent.remove_tunnel(self._tunnel.label)


@asynccontextmanager
async def running_ngrok_agent(
    agent: "Agent", relay: str, meters: TunnelMeters, warn: Callable[[str], None]
) -> AsyncIterator[NgrokAgent]:
    """Lend *agent*, which runs, to ngrok's API for the length of a with-block."""
    control = NgrokAgent(agent, relay, meters, warn)
    try:
        yield control
    finally:
        await asyncio.gather(*control.close(), return_exceptions=True)
