"""What `hookloop ngrok start` runs: an agent, its console or log, and ngrok's local API."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, TypeVar

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError, HookloopError
from hookloop.exchange import Exchange
from hookloop.inspector import CaptureStore, Recorder
from hookloop.inspector.ngrok_api import ngrok_api
from hookloop.inspector.recorder import BODY_BYTES_MAX
from hookloop.inspector.tunnel_meters import TunnelMeters

from .console import AgentConsole, running_console
from .console_log import LogFormat, LogLevel
from .console_options import ConsoleOptions
from .ngrok_agent import NgrokAgent, running_ngrok_agent
from .ngrok_requests import StoredRequests
from .ngrok_settings import NgrokSettings
from .ngrok_web import bound_web, running_web
from .project_file import FILE_NAME, find_project_file, read_project

if TYPE_CHECKING:
    from hookloop.tunnel.agent import Tunnel
    from hookloop.tunnel.agent.options import TunnelOptions
    from hookloop.tunnel.agent.raw_forward import RawConnection

__all__ = ["ServingOptions", "serve"]

MEMORY_BYTES = 50 * 1024 * 1024  # as ngrok's inspect_db_size


@dataclass(frozen=True, slots=True)
class ServingOptions:
    """What was chosen, by options, the environment and files, in this order."""

    relay: str | None
    """None for one of our own, on this machine."""
    token: str = field(repr=False)
    shown: ConsoleOptions
    web_addr: str | None
    region: str | None

    @classmethod
    def of(
        cls,
        settings: NgrokSettings,
        authtoken: str | None,
        region: str | None,
        lines: tuple[str | None, str | None, str | None],
        environment: Mapping[str, str],
    ) -> "ServingOptions":
        """
        Return it. Raises `ConfigError` for what cannot be.

        The relay's address stands in HOOKLOOP_RELAY or in the nearest hookloop.toml; so does
        its token. ngrok's own, from wherever, is used only where neither has one.
        """
        relay = environment.get("HOOKLOOP_RELAY") or None
        token = environment.get("HOOKLOOP_TOKEN") or None
        path = find_project_file(Path.cwd())
        if path is not None and path.name == FILE_NAME and (relay is None or token is None):
            project = read_project(path, environment)
            relay, token = relay or project.relay, token or project.token
        token = token or authtoken or environment.get("NGROK_AUTHTOKEN") or settings.authtoken
        log, form, level = lines
        shown = ConsoleOptions(
            log or settings.log,
            _one_of(LogFormat, form or settings.log_format, "log format"),
            _one_of(LogLevel, level or settings.log_level, "log level") or LogLevel.INFO,
        )
        return cls(relay, token or "", shown, settings.web_addr, region)


async def serve(options: ServingOptions, tunnels: "Sequence[TunnelOptions]") -> None:
    """Open *tunnels*, serve the API, and return when cancelled."""
    async with running_console(options.shown) as console:
        try:
            await _serve(options, tunnels, console)
        except HookloopError as error:
            console.failed(str(error))  # whoever started us reads the log
            raise


async def _serve(
    options: ServingOptions, tunnels: "Sequence[TunnelOptions]", console: AgentConsole
) -> None:
    from hookloop.tunnel.agent import AgentConfig, running_agent
    from hookloop.tunnel.embedded import reached_relay

    def warn(text: str) -> None:
        console.note("warning", text)

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        listener = None if options.web_addr == "" else bound_web(options.web_addr, warn)
        if listener is not None:
            stack.enter_context(listener)
        if options.region:
            warn(f"the region {options.region} is not used: the relay is where it is")
        relay = await enter(reached_relay(options.relay, options.token))
        console.connecting(relay.url)
        meters = TunnelMeters(SystemClock(), SystemRandom().random)
        recorder = stack.enter_context(_memory())
        ears = _Ears(console, meters, recorder)
        running = running_agent(
            AgentConfig(relay.url, relay.token, ()),
            sink=ears,
            observer=ears,
            connection_ended=ears.connection_ended,
            keep_max=BODY_BYTES_MAX,
        )
        agent = await enter(running)
        console.watch(agent.statistics)
        shown_relay = "this machine" if relay.is_own else relay.url
        control = await enter(running_ngrok_agent(agent, shown_relay, meters, warn))
        ears.listens_for(control)
        if listener is not None:
            addr = await enter(
                running_web(listener, ngrok_api(control, StoredRequests(agent, recorder)))
            )
            console.web_interface(f"http://{addr}")
        for tunnel in tunnels:
            await control.open(tunnel)
        await asyncio.Event().wait()


@contextmanager
def _memory() -> Iterator[Recorder]:
    """As ngrok's agent: what it captured goes with it."""
    store = CaptureStore(max_bytes=MEMORY_BYTES)
    try:
        with Recorder(store) as recorder:
            yield recorder
    finally:
        store.close()


class _Ears:
    """Passes on what the agent tells: to the console, the meters and the API."""

    def __init__(self, console: AgentConsole, meters: TunnelMeters, recorder: Recorder) -> None:
        self._recorder = recorder
        self._console = console
        self._meters = meters
        self._control: NgrokAgent | None = None
        self._is_online = False

    def listens_for(self, control: NgrokAgent) -> None:
        self._control = control
        control.is_online = self._is_online

    def captured(self, exchange: Exchange) -> None:
        self._console.captured(exchange)
        self._meters.captured(exchange)
        if self._control is None or self._control.is_inspected(exchange):
            self._recorder.captured(exchange)

    def connection_ended(self, connection: "RawConnection") -> None:
        self._console.connection_ended(connection)
        self._meters.connection_ended(connection.tunnel, connection.seconds)

    def session_up(self) -> None:
        self._online(True)
        self._console.session_up()

    def session_down(self, reason: str, retry_seconds: float) -> None:
        self._online(False)
        self._console.session_down(reason, retry_seconds)

    def tunnel_up(self, tunnel: "Tunnel") -> None:
        self._console.tunnel_up(tunnel)

    def tunnel_refused(self, tunnel: "Tunnel", retry_seconds: float | None) -> None:
        self._console.tunnel_refused(tunnel, retry_seconds)

    def tunnel_removed(self, tunnel: "Tunnel") -> None:
        self._console.tunnel_removed(tunnel)

    def _online(self, is_online: bool) -> None:
        self._is_online = is_online
        if self._control is not None:
            self._control.is_online = is_online


_Choice = TypeVar("_Choice", LogFormat, LogLevel)


def _one_of(kind: type[_Choice], text: str | None, what: str) -> _Choice | None:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(each.value for each in kind)
        raise ConfigError(f"{text!r} is no {what}: use one of {known}") from None
