"""How a person chooses what is kept of the traffic, and where its pages are."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.errors import ConfigError
from hookloop.exchange import CaptureSink, Exchange

from .requests_store import default_store

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from hookloop.inspector import CaptureStore, Recorder, Redaction
    from hookloop.inspector.pages import TunnelShown
    from hookloop.meter import Meter, Reading
    from hookloop.tunnel.agent import Agent, Tunnel

__all__ = [
    "CaptureMaxAge",
    "CaptureMaxBytes",
    "CaptureOption",
    "InspectOption",
    "InspectOptions",
    "Inspection",
    "RedactOption",
    "inspection",
]

OFF = "off"
MAX_BYTES = 512 * 1024 * 1024
MAX_AGE_SECONDS = 14 * 86400.0
DURATIONS_MAX = 4096  # that wait to be counted

InspectOption = Annotated[
    str | None,
    typer.Option(
        "--inspect",
        metavar="HOST:PORT|off",
        help="Where the inspector is; without it 127.0.0.1:4040 or the next free port.",
    ),
]
CaptureOption = Annotated[
    str | None,
    typer.Option(
        "--capture",
        envvar="HOOKLOOP_CAPTURES",
        metavar="FILE|memory",
        help="Where what passes is kept; without it, a file in your state folder.",
    ),
]
CaptureMaxBytes = Annotated[
    int, typer.Option(min=1_000_000, help="How much is kept: beyond it the oldest go.")
]
CaptureMaxAge = Annotated[float, typer.Option(min=1.0, help="For how many seconds it is kept.")]
RedactOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="header:NAME|query:NAME|body:REGEX",
        help="Take it out before anything is kept, as Authorization and cookies are; may be "
        "repeated. 'none' keeps those too.",
    ),
]


@dataclass(frozen=True, slots=True)
class InspectOptions:
    """What was chosen."""

    inspect: str | None = None
    capture: str | None = None
    max_bytes: int = MAX_BYTES
    max_age_seconds: float = MAX_AGE_SECONDS
    redact: Sequence[str] | None = None
    secrets: Sequence[str] | None = field(default=None, repr=False)
    """Signing secrets, for the doctor and for replays."""

    def labelled_secrets(self) -> dict[str, str]:
        return {f"secret {number}": one for number, one in enumerate(self.secrets or (), 1)}

    @property
    def is_off(self) -> bool:
        return self.inspect is not None and self.inspect.lower() == OFF


class Inspection:
    """The sink of one command: another one, and a recorder and a meter where it has them."""

    def __init__(
        self,
        other: CaptureSink,
        recorder: "Recorder | None" = None,
        meter: "_Meter | None" = None,
    ) -> None:
        self.url = ""
        """Where the pages are; empty where there are none."""
        self._sinks = [sink for sink in (other, meter, recorder) if sink is not None]
        self._recorder = recorder
        self._agent: Agent | None = None

    @property
    def keep_max(self) -> int:
        """Bytes of each body that an `Exchange` is to hold on to."""
        if self._recorder is None:
            return 0
        from hookloop.inspector.recorder import BODY_BYTES_MAX

        return BODY_BYTES_MAX

    def captured(self, exchange: Exchange) -> None:
        for sink in self._sinks:
            sink.captured(exchange)

    def dropped(self) -> int:
        return self._recorder.dropped() if self._recorder is not None else 0

    def watch(self, agent: "Agent") -> None:
        """Show the tunnels of *agent*."""
        self._agent = agent

    def tunnels(self) -> "Sequence[TunnelShown]":
        from hookloop.inspector.pages import TunnelShown

        if self._agent is None:
            return ()
        return tuple(
            TunnelShown(
                tunnel.label,
                tunnel.url or "",
                str(tunnel.config.upstream),
                tunnel.config.protocol,
                str(tunnel.refusal or "") if tunnel.url is None else "",
            )
            for tunnel in self._agent.tunnels
        )

    def open_tunnels(self) -> "Sequence[Tunnel]":
        """Return the agent's own."""
        return () if self._agent is None else self._agent.tunnels

    def latency_seconds(self) -> float | None:
        return None if self._agent is None else self._agent.statistics().latency_seconds

    def open_now(self) -> int:
        return 0 if self._agent is None else self._agent.statistics().exchanges_open


@asynccontextmanager
async def inspection(
    options: InspectOptions, other: CaptureSink, *, warn: Callable[[str], None]
) -> AsyncIterator[Inspection]:
    """
    Keep what passes and serve its pages for the length of a with-block; tell *other* as well.

    Raises `ConfigError` for what was asked for and cannot be had.
    """
    if options.is_off:
        yield Inspection(other)
        return
    from hookloop.clock import SystemClock
    from hookloop.errors import StoreError
    from hookloop.inspector import CaptureStore, Recorder, parse_redactions
    from hookloop.inspector.server import inspector_listener, running_inspector
    from hookloop.meter import Meter

    clock = SystemClock()
    redaction = parse_redactions(options.redact or ())
    with inspector_listener(options.inspect) as listener:
        path = None if options.capture == "memory" else Path(options.capture or default_store())
        settings = {"max_bytes": options.max_bytes, "max_age_seconds": options.max_age_seconds}
        try:
            store = CaptureStore(path, **settings)  # type: ignore[arg-type] # each of its own kind
        except (StoreError, ConfigError) as error:
            if options.capture is not None:
                raise ConfigError(str(error)) from None
            warn(f"{error}; what passes is kept in memory")
            store = CaptureStore(None, **settings)  # type: ignore[arg-type] # the same
        try:
            with Recorder(store, redaction=redaction, clock=clock) as recorder:
                meter = _Meter(Meter(clock.monotonic(), SystemRandom().random), clock.monotonic)
                made = Inspection(other, recorder, meter)
                pages = _pages(options, made, meter, store, redaction)
                async with running_inspector(listener, pages) as url:
                    made.url = url
                    yield made
        finally:
            store.close()


def _pages(
    options: InspectOptions,
    made: Inspection,
    meter: "_Meter",
    store: "CaptureStore",
    redaction: "Redaction",
) -> "list[BaseRoute]":
    """Return the pages, with those that replay."""
    from hookloop.clock import SystemClock
    from hookloop.inspector.pages import Inspected, inspector_pages
    from hookloop.inspector.replay_pages import Replays, replay_pages
    from hookloop.inspector.webhook_signature import can_sign

    from .known_secrets import known_secrets
    from .page_replays import PageReplays

    clock, secrets = SystemClock(), known_secrets(options.secrets or (), os.environ)
    sending = PageReplays(made.open_tunnels, store, redaction)
    inspected = Inspected(
        store=store,
        clock=clock,
        dropped=made.dropped,
        tunnels=made.tunnels,
        reading=lambda: meter.reading(made.open_now()),
        latency_seconds=made.latency_seconds,
        secrets=options.labelled_secrets(),
        has_replay=True,
        can_sign=lambda head: can_sign(head, secrets),
    )
    replays = Replays(store=store, clock=clock, send=sending.send, secrets=secrets)
    return [*replay_pages(replays), *inspector_pages(inspected)]


class _Meter:
    """Counts exchanges for the status page; durations wait until somebody looks."""

    def __init__(self, meter: "Meter", now: Callable[[], float]) -> None:
        self._meter = meter
        self._now = now
        self._count = 0
        self._durations: list[float] = []

    def captured(self, exchange: Exchange) -> None:
        self._count += 1
        self._durations.append(exchange.ended - exchange.started)
        if len(self._durations) >= DURATIONS_MAX:
            self._settle()

    def reading(self, open_now: int) -> "Reading":
        self._settle()
        return self._meter.reading(self._now(), open_now=open_now)

    def _settle(self) -> None:
        count, self._count = self._count, 0
        durations, self._durations = self._durations, []
        self._meter.ended(count, durations, self._now())
