"""
A tunnel inside your own program: in a test, a notebook or a script.

    async with hookloop.tunnel.connect(3000) as tunnel:
        print(tunnel.url)

    with hookloop.tunnel.connect(3000) as tunnel:  # the same without a loop of one's own
        print(tunnel.url)
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from random import SystemRandom
from types import TracebackType
from typing import Any

from hookloop.errors import ConfigError, HookloopError, RemoteError
from hookloop.exchange import CaptureSink, discard

from .agent import Agent, AgentConfig, QuietObserver, running_agent
from .agent.address import Folder, Upstream
from .agent.config import TunnelConfig
from .agent.guard import Guard
from .agent.options import TunnelOptions
from .agent.trust import Trust

__all__ = [
    "ConnectedTunnel",
    "Connection",
    "ReachedRelay",
    "connect",
    "reached_relay",
    "served",
]

LOCAL_DOMAIN = "tun.localhost"
START_SECONDS = 30.0  # a relay that is reachable takes one
ABORT_SECONDS = 0.1  # between two calls to a thread that may not be ready to hear the first
OWN_DRAIN_SECONDS = 0.1  # of a relay of our own: Ctrl+C must feel instant
OWN_TCP_PORTS = "20000-20999"  # tried from a random one on, so that two such relays get along


def connect(
    upstream: int | str,
    *,
    relay: str | None = None,
    token: str | None = None,
    name: str | None = None,
    host_header: str = "rewrite",
    origin: str | None = None,
    basic_auth: Sequence[str] = (),
    allow_cidr: Sequence[str] = (),
    deny_cidr: Sequence[str] = (),
    request_header_add: Sequence[str] = (),
    request_header_remove: Sequence[str] = (),
    response_header_add: Sequence[str] = (),
    response_header_remove: Sequence[str] = (),
    upstream_insecure: bool = False,
    upstream_ca: str | None = None,
    response_seconds: float = 300.0,
    guard: Guard | None = None,
    trust: Trust | None = None,
    sink: CaptureSink = discard,
    start_seconds: float = START_SECONDS,
) -> "Connection":
    """
    Return a tunnel to *upstream*, to be opened by ``with`` or ``async with``.

    *upstream* is what `hookloop http` takes: a port, an address, a socket or a folder; so
    are the options. Without *relay* and HOOKLOOP_RELAY one is started on this machine, whose
    URL only programs on this machine can reach.

    Raises `ConfigError` at once for settings that cannot work; on entering, `RefusedError` if
    the relay says no, and `RemoteError` if the tunnel is not up within *start_seconds*.
    """
    options = TunnelOptions(
        upstream=str(upstream),
        name=name,
        host_header=host_header,
        origin=origin,
        basic_auth=tuple(basic_auth),
        allow_cidr=tuple(allow_cidr),
        deny_cidr=tuple(deny_cidr),
        request_header_add=tuple(request_header_add),
        request_header_remove=tuple(request_header_remove),
        response_header_add=tuple(response_header_add),
        response_header_remove=tuple(response_header_remove),
        upstream_insecure=upstream_insecure,
        upstream_ca=upstream_ca,
        response_seconds=response_seconds,
        guard=guard,
    )
    relay = relay or os.environ.get("HOOKLOOP_RELAY") or None
    token = token or os.environ.get("HOOKLOOP_TOKEN") or ""
    if relay is not None:
        AgentConfig(relay, token, (options.config(Upstream("localhost", 1)),))  # to find faults now
    return Connection(options, relay, token, trust or Trust(), sink, start_seconds)


class ConnectedTunnel:
    """A tunnel that is up."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.url: str = agent.url or ""
        """Where callers reach the upstream; the same after every reconnect."""

    @property
    def is_up(self) -> bool:
        """Whether they reach it now, or the session is being opened again."""
        return all(tunnel.is_up for tunnel in self._agent.tunnels)

    def __repr__(self) -> str:
        return f"<ConnectedTunnel {self.url}>"


class Connection:
    """
    What `connect` returns: open it once, by ``with``, ``async with``, or `start` and `stop`.

    With ``async with`` the agent runs on the loop that is there; otherwise on one of its own
    in a thread, which has ended when the block has.
    """

    def __init__(
        self,
        options: TunnelOptions,
        relay: str | None,
        token: str,
        trust: Trust,
        sink: CaptureSink,
        start_seconds: float,
    ) -> None:
        self._options = options
        self._relay = relay
        self._token = token
        self._trust = trust
        self._sink = sink
        self._start_seconds = start_seconds
        self._is_used = False
        self._serving: asyncio.Future[None] | None = None
        self._thread: threading.Thread | None = None
        self._up: Future[ConnectedTunnel] = Future()
        self._ended: Future[None] = Future()
        self._stop: Callable[[], None] = _do_nothing
        """End `_serve` in order, once the tunnel is up."""
        self._abort: Callable[[], None] = _do_nothing
        """End it wherever it is."""

    # --- on the loop that is there ------------------------------------------------------------

    async def __aenter__(self) -> ConnectedTunnel:
        self._use()
        # A task of its own: fixtures are often left by another task than they were entered by.
        self._serving = asyncio.ensure_future(self._serve())
        up = asyncio.wrap_future(self._up)
        try:
            both: set[asyncio.Future[Any]] = {self._serving, up}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not up.done():
                up.cancel()
                await self._serving  # which raises why
            return await up
        except BaseException:
            await self._leave()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        failure = await self._leave()
        if failure is not None and error is None:
            raise failure

    async def _leave(self) -> BaseException | None:
        """End the task, and return what it failed by on the way, if it did."""
        serving = self._serving
        assert serving is not None  # noqa: S101  # __aenter__ came first
        self._stop()
        if not self._up.done():
            serving.cancel()
        await asyncio.wait({serving})
        return None if serving.cancelled() else serving.exception()

    # --- on a loop in a thread ----------------------------------------------------------------

    def __enter__(self) -> ConnectedTunnel:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except HookloopError:
            if error is None:
                raise

    def start(self) -> ConnectedTunnel:
        """Open the tunnel and return it, for where no block fits: the cells of a notebook."""
        self._use()
        # A daemon, so that a program whose `stop` was forgotten can end.
        self._thread = threading.Thread(target=self._run, name="hookloop-tunnel", daemon=True)
        self._thread.start()
        try:
            return self._up.result()
        except BaseException:
            # Ctrl+C too, and then the thread may be anywhere, even before its loop.
            while self._thread.is_alive():
                self._abort()
                self._thread.join(ABORT_SECONDS)
            raise

    def stop(self) -> None:
        """End what `start` began. Raises what ended the tunnel before that, if anything did."""
        if self._thread is None or not self._up.done():
            return
        self._stop()
        self._thread.join()
        self._ended.result()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except BaseException as error:  # handed to the thread that waits for it
            if not self._up.done():
                self._up.set_exception(error)
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    # --- both ---------------------------------------------------------------------------------

    def _use(self) -> None:
        if self._is_used:
            raise ConfigError("a connection is opened once: call hookloop.tunnel.connect again")
        self._is_used = True

    async def _serve(self) -> None:
        """Open the tunnel, tell `_up`, and keep it open until `_stop` is called."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        serving = asyncio.current_task()
        assert serving is not None  # noqa: S101  # for the type checker: we are in a coroutine
        self._stop = lambda: _call_soon(loop, stopped.set)
        self._abort = lambda: _call_soon(loop, serving.cancel)
        reasons = _Reasons()
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._start_seconds):
                    agent = await self._opened(stack, reasons)
            except TimeoutError:
                raise RemoteError(
                    f"the tunnel is not up after {self._start_seconds:g} s: {reasons.last}"
                ) from None
            self._up.set_result(ConnectedTunnel(agent))
            await stopped.wait()

    async def _opened(self, stack: AsyncExitStack, reasons: "_Reasons") -> Agent:
        enter = stack.enter_async_context
        reached = await enter(reached_relay(self._relay, self._token))
        tunnel = await enter(served(self._options))
        config = AgentConfig(reached.url, reached.token, (tunnel,), trust=self._trust)
        return await enter(running_agent(config, sink=self._sink, observer=reasons))


class _Reasons(QuietObserver):
    """Remembers why the last try failed."""

    last = "the relay has not answered"

    def session_down(self, reason: str, retry_seconds: float) -> None:  # noqa: ARG002  # an observer's
        self.last = reason


def _do_nothing() -> None:
    """There is nothing to end yet."""


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and with it what was to be stopped
        loop.call_soon_threadsafe(call)


# --- shared with the command line ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReachedRelay:
    """A relay to dial."""

    url: str
    token: str
    is_own: bool
    """Whether it was started here, for programs on this machine."""


@asynccontextmanager
async def reached_relay(url: str | None, token: str) -> AsyncIterator[ReachedRelay]:
    """Yield the relay at *url*, or one of our own on this machine where that is None."""
    if url is not None:
        yield ReachedRelay(url, token, is_own=False)
        return
    from .relay import RelayConfig, running_relay
    from .relay.raw_settings import RawSettings
    from .relay.tokens import new_token

    own_token = new_token(SystemRandom())
    config = RelayConfig(
        LOCAL_DOMAIN,
        (own_token,),
        drain_seconds=OWN_DRAIN_SECONDS,
        return_seconds=0.0,  # it is new, and nobody's names are on their way back
        raw=RawSettings(tcp_ports=OWN_TCP_PORTS),
    )
    async with running_relay(config) as running:
        yield ReachedRelay(running.url, own_token, is_own=True)


@asynccontextmanager
async def served(options: TunnelOptions) -> AsyncIterator[TunnelConfig]:
    """Yield the tunnel of *options*; where it leads to a folder, that is served meanwhile."""
    target = options.target()
    if not isinstance(target, Folder):
        yield options.config(target)
        return
    from .agent.folder import running_folder

    async with running_folder(target) as upstream:
        yield options.config(upstream)
