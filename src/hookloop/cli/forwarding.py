"""Holds tunnels up until the command is ended: what `hookloop http` and its like all do."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from .catch_options import CatchTeller
from .console import running_console
from .console_options import ConsoleOptions
from .inspect_options import InspectOptions, inspection
from .session_options import SessionOptions

if TYPE_CHECKING:
    from hookloop.tunnel.agent.options import TunnelOptions

__all__ = ["forward"]


async def forward(
    tunnels: "Sequence[TunnelOptions]",
    session: SessionOptions,
    shown: ConsoleOptions,
    *,
    warnings: Sequence[str] = (),
    inspected: InspectOptions | None = None,
) -> None:
    """Open *tunnels* in one session, show what passes, and return when cancelled."""
    from hookloop.tunnel.agent import AgentConfig, running_agent
    from hookloop.tunnel.embedded import reached_relay, served

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        console = await enter(running_console(shown))
        relay = await enter(reached_relay(session.relay, session.token))
        configs = [await enter(served(options)) for options in tunnels]
        config = AgentConfig(
            relay.url, relay.token, tuple(configs), via=session.via, trust=session.trust
        )
        for warning in warnings:
            console.note("warning", warning)
        console.connecting(relay.url)
        if relay.is_own:
            console.note(
                "hint",
                "This URL is local: only programs on this machine can reach it. For a public "
                "one run `hookloop relay` on a server and pass --relay.",
            )
        inspector = await enter(
            inspection(
                inspected or InspectOptions(inspect="off"),
                console,
                warn=lambda text: console.note("warning", text),
            )
        )
        if inspector.url:
            console.web_interface(inspector.url)
            console.watch_dropped(inspector.dropped)
        running = running_agent(
            config,
            sink=inspector,
            keep_max=inspector.keep_max,
            observer=console,
            catch_observer=CatchTeller(console),
            connection_ended=console.connection_ended,
        )
        agent = await enter(running)
        console.watch(agent.statistics)
        inspector.watch(agent)
        await asyncio.Event().wait()
