"""`hookloop demo`: the whole loop on this machine, every hop over a real socket."""

import asyncio
import os
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.clock import SystemClock
from hookloop.errors import ConfigError, HookloopError

from .announcer import Announcer
from .runner import run
from .trail import Failure, Trail

if TYPE_CHECKING:
    import stripe

    from hookloop.exchange import Exchange
    from hookloop.sandbox import AttemptEnded, AttemptStarted

__all__ = ["demo"]

START_SECONDS = 30.0  # for all five hops to be up; it takes about one, the rest is slow machines
FIRST_ANSWER_SECONDS = 20.0  # of these, for the app to answer anything at all
TRAVEL_SECONDS = 15.0  # for one event to be answered; it takes some milliseconds
PIPE_SECONDS = 2.0  # for what the handler printed to reach us after its answer has
APP_STOP_SECONDS = 3.0  # how long the app may take to end before it is killed
APP_LINES_MAX = 40  # of what the app said last, shown when a hop fails
TRAILS_MAX = 1000  # remembered while one plays on; older ones are forgotten
API_KEY = "sk_test_hookloopdemo"
WEBHOOK_PATH = "/webhooks/stripe"
EXAMPLE = "customers.py"


def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="End after one event; exit 0 only if its handler ran."),
    ] = False,
    app: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A file whose `app` is an ASGI application, to use in place of the example.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Show the whole loop: a customer edited in the sandbox reaches a handler on this machine."""
    chosen = (app or _example_file()).resolve()
    run(_demo(Announcer(as_json=json), chosen, once=once))


async def _demo(announcer: Announcer, app: Path, *, once: bool) -> int:
    watch = _Watch(announcer)
    try:
        async with asyncio.timeout(START_SECONDS) as patience, _loop(announcer, watch, app) as loop:
            patience.reschedule(None)
            code = await _edit_and_watch(announcer, watch, loop)
            if once:
                return code
            _invite(announcer, loop)
            watch.tells_all = True
            await asyncio.Event().wait()
    except TimeoutError:
        raise HookloopError(f"the loop was not up within {START_SECONDS:g} s") from None
    return 0


@dataclass(frozen=True, slots=True)
class _Loop:
    """All five hops, running."""

    sandbox_url: str
    tunnel_url: str
    client: "stripe.StripeClient"
    customer_id: str


@asynccontextmanager
async def _loop(announcer: Announcer, watch: "_Watch", app: Path) -> AsyncIterator[_Loop]:
    """Start sandbox, relay, agent and app, and register the endpoint; end them all on leaving."""
    import stripe

    from hookloop.sandbox import SandboxConfig, running_sandbox
    from hookloop.tunnel.agent import AgentConfig, TunnelConfig, running_agent
    from hookloop.tunnel.agent.config import Upstream
    from hookloop.tunnel.relay import RelayConfig, running_relay
    from hookloop.tunnel.relay.tokens import new_token

    announcer.note("hookloop demo: sandbox -> relay -> agent -> app -> handler\n")
    token = new_token(SystemRandom())
    relay_config = RelayConfig(domain="tun.localhost", tokens=(token,), drain_seconds=1.0)
    with _listening_socket() as app_socket:
        port = app_socket.getsockname()[1]
        async with (
            running_sandbox(SandboxConfig(port=0), observer=watch) as sandbox,
            running_relay(relay_config, sink=watch) as relay,
            running_agent(
                AgentConfig(relay.url, token, (TunnelConfig(Upstream("127.0.0.1", port)),)),
                sink=watch,
            ) as agent,
        ):
            tunnel_url = await agent.tunnels[0].wait_up()
            announcer.fact("sandbox", sandbox.url, "a Stripe-compatible API")
            announcer.fact("relay", relay.url, "the public side of the tunnel")
            announcer.fact("agent", f"{tunnel_url} -> 127.0.0.1:{port}")
            client = stripe.StripeClient(API_KEY, base_addresses={"api": sandbox.url})
            customer = await asyncio.to_thread(
                client.v1.customers.create, {"name": "Jenny Rosen", "email": "jenny@example.com"}
            )
            endpoint = await asyncio.to_thread(
                client.v1.webhook_endpoints.create,
                {"url": tunnel_url + WEBHOOK_PATH, "enabled_events": ["*"]},
            )
            announcer.fact("endpoint", f"{endpoint.id} -> {endpoint.url}")
            async with _running_app(app, app_socket, str(endpoint.secret), watch):
                announcer.fact("app", str(app))
                yield _Loop(sandbox.url, tunnel_url, client, customer.id)


def _listening_socket() -> socket.socket:
    """
    Bind the app's port here and hand the socket down.

    The port is free for certain, and callers may connect before the app is up:
    they wait in the kernel's queue instead of being refused.
    """
    listener = socket.socket()
    # uvicorn takes a socket it is handed for a Unix one and leaves Nagle's algorithm on, which
    # costs 40 ms an answer. Connections inherit this from their listener.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


@asynccontextmanager
async def _running_app(
    app: Path, listener: socket.socket, secret: str, watch: "_Watch"
) -> AsyncIterator[None]:
    """Run the app in a process of its own, as one runs it by hand."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "uvicorn", "--app-dir", str(app.parent)),
        *(f"{app.stem}:app", "--fd", str(listener.fileno()), "--log-level", "warning"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=[listener.fileno()],
        env={**os.environ, "STRIPE_WEBHOOK_SECRET": secret},
    )
    reading = asyncio.ensure_future(watch.read_app(process))
    ready = asyncio.ensure_future(_first_answer(listener))
    try:
        done, _ = await asyncio.wait(
            {reading, ready}, timeout=FIRST_ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        watch.app_is_silent = not done
        yield
    finally:
        ready.cancel()
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(APP_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


async def _first_answer(listener: socket.socket) -> None:
    """Return once the app answers anything, so that its start is not counted as a hop."""
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        writer.write(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await reader.read()
    finally:
        writer.close()


def _example_file() -> Path:
    """Return the demo's app: the wheel carries examples/, a checkout has it at its top."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_examples", package.parent.parent / "examples"):
        if (folder / EXAMPLE).is_file():
            return folder / EXAMPLE
    raise ConfigError(f"the example app {EXAMPLE} is missing from this installation: reinstall it")


async def _edit_and_watch(announcer: Announcer, watch: "_Watch", loop: _Loop) -> int:
    """Edit the customer, follow the event, and return the exit code."""
    outcome = await _outcome(announcer, watch, loop)
    if isinstance(outcome, Failure):
        said = list(watch.app_lines)
        announcer.happened(
            "failed", f"{outcome.who}: {outcome.why}", hop=outcome.who, app_output=said
        )
        for line in said:
            announcer.note(f"  app said: {line}")
        return 1
    announcer.happened(
        "handled",
        f"the handler ran with {outcome.event_id}, verified, and the sandbox lists it",
        id=outcome.event_id,
    )
    return 0


async def _outcome(announcer: Announcer, watch: "_Watch", loop: _Loop) -> Trail | Failure:
    """Return the trail of the edit's event, or the hop that failed it."""
    if watch.app_has_ended:
        return Failure("app", "it ended before the first request")
    if watch.app_is_silent:
        return Failure("app", f"it answered nothing within {FIRST_ANSWER_SECONDS:g} s")
    name = "Jenny Rosen-Ng"
    announcer.note(f'\nstripe.customers.update("{loop.customer_id}", {{"name": "{name}"}})\n')
    await asyncio.to_thread(loop.client.v1.customers.update, loop.customer_id, {"name": name})
    trail = await watch.first_trail()
    if trail is None:
        return Failure("sandbox", "it attempted no delivery")
    watch.tell(trail)
    if failure := trail.failure():
        return failure
    if not await _is_listed(loop, trail.event_id):
        return Failure("sandbox", f"it does not list {trail.event_id}")
    return trail


async def _is_listed(loop: _Loop, event_id: str) -> bool:
    listed = await asyncio.to_thread(loop.client.v1.events.list, {"type": "customer.updated"})
    return any(event.id == event_id for event in listed.data)


def _invite(announcer: Announcer, loop: _Loop) -> None:
    announcer.note(
        f"""
The loop stays up. From another terminal:

  curl {loop.sandbox_url}/v1/customers/{loop.customer_id} -u {API_KEY}: -d name=Ada
  curl {loop.sandbox_url}/v1/customers -u {API_KEY}: -d email=new@example.com
  curl {loop.tunnel_url}{WEBHOOK_PATH} -d 'not signed'     # the app answers 400

or from Python:

  client = stripe.StripeClient("{API_KEY}", base_addresses={{"api": "{loop.sandbox_url}"}})

Ctrl+C ends it.
"""
    )


class _Watch:
    """Hears of every hop and joins what it hears into trails, by the delivery's signature."""

    def __init__(self, announcer: Announcer) -> None:
        self.app_lines: deque[str] = deque(maxlen=APP_LINES_MAX)
        self.tells_all = False
        """Whether each trail is printed once it ends."""
        self._announcer = announcer
        self._clock = SystemClock()
        self._trails: dict[str, Trail] = {}
        self._changed = asyncio.Event()
        self.app_has_ended = False
        self.app_is_silent = False
        """Whether it runs, and did not answer our first question."""

    # --- sandbox: DeliveryObserver ------------------------------------------------------------

    def attempt_started(self, attempt: "AttemptStarted") -> None:
        trail = Trail(attempt.event_id, attempt.event_type, attempt.url, attempt.started)
        if len(self._trails) >= TRAILS_MAX:
            del self._trails[next(iter(self._trails))]
        self._trails[attempt.signature] = trail

    def attempt_ended(self, attempt: "AttemptEnded") -> None:
        trail = self._trails.get(attempt.signature)
        if trail is None:
            return
        trail.ended, trail.status, trail.error = attempt.ended, attempt.status, attempt.error
        self._changed.set()
        if self.tells_all:
            # The handler's lines come by a pipe: give them this moment to arrive.
            asyncio.get_running_loop().call_later(0.1, self.tell, trail)

    # --- relay and agent: CaptureSink ---------------------------------------------------------

    def captured(self, exchange: "Exchange") -> None:
        signature = (exchange.request.get(b"stripe-signature") or b"").decode("latin-1")
        trail = self._trails.get(signature)
        if trail is not None:
            setattr(trail, exchange.hop, exchange)
            self._changed.set()

    # --- app ----------------------------------------------------------------------------------

    async def read_app(self, process: asyncio.subprocess.Process) -> None:
        """Take the app's output, line by line, to its end."""
        assert process.stdout is not None  # noqa: S101  # asked for when it was started
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.app_lines.append(line)
            for trail in self._trails.values():
                if trail.event_id in line:
                    trail.handled.append((self._clock.monotonic(), line))
            self._changed.set()
        self.app_has_ended = True
        self._changed.set()

    # --- telling ------------------------------------------------------------------------------

    async def first_trail(self) -> Trail | None:
        """Return the first trail as far as it came, or None if no attempt was made."""
        await self._wait_until(lambda trail: trail.ended is not None, TRAVEL_SECONDS)
        if (trail := self._first) and trail.status and 200 <= trail.status < 300:
            await self._wait_until(lambda trail: bool(trail.handled), PIPE_SECONDS)
        return self._first

    @property
    def _first(self) -> Trail | None:
        return next(iter(self._trails.values()), None)

    async def _wait_until(self, is_so: Callable[[Trail], bool], seconds: float) -> None:
        """Wait until it is so of the first trail, the app has ended, or *seconds* have passed."""
        try:
            async with asyncio.timeout(seconds):
                while not (self.app_has_ended or (self._first and is_so(self._first))):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass  # the trail, or its absence, tells how far the event came

    def tell(self, trail: Trail) -> None:
        """Print a trail, hop by hop, in milliseconds from its start."""
        for hop in trail.hops():
            milliseconds = (hop.at - trail.started) * 1000
            self._announcer.hop(milliseconds, hop.who, hop.what)
