"""`hookloop http`: a public URL for a local service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated

import typer

from hookloop.tunnel.wire.handshake import Carriage

from .catch_options import (
    CatchDirOption,
    CatchOption,
    CatchPathOption,
    CatchStatusOption,
    CatchTeller,
    catch_config,
)
from .console import running_console
from .console_log import LogFormat, LogLevel
from .console_options import (
    ConsoleOptions,
    JsonOption,
    LogFormatOption,
    LogLevelOption,
    LogOption,
    QrOption,
)
from .runner import reporting_errors, run
from .trust_options import CaFile, SkipVerify, trust_of

if TYPE_CHECKING:
    from hookloop.tunnel.agent.trust import Trust
    from hookloop.tunnel.catch.file import CatchConfig

__all__ = ["http"]

LOCAL_DOMAIN = "tun.localhost"


def http(
    upstream: Annotated[
        str, typer.Argument(help="The local service: its port, or host:port.", metavar="PORT")
    ],
    relay: Annotated[
        str | None,
        typer.Option(
            envvar="HOOKLOOP_RELAY",
            help="The relay's address. Without one, a relay is started on this machine.",
        ),
    ] = None,
    token: Annotated[
        str, typer.Option(envvar="HOOKLOOP_TOKEN", help="What the relay's owner gave you.")
    ] = "",
    name: Annotated[
        str | None, typer.Option(help="The tunnel's name: NAME.tun.example.com.")
    ] = None,
    via: Annotated[
        Carriage | None,
        typer.Option(
            help="How to reach the relay: its own upgrade, or WebSocket for proxies that pass "
            "nothing else. Without it, the one that passes."
        ),
    ] = None,
    ca_file: CaFile = None,
    insecure_skip_verify: SkipVerify = False,
    catch: CatchOption = False,
    catch_path: CatchPathOption = None,
    catch_status: CatchStatusOption = 202,
    catch_dir: CatchDirOption = None,
    qr: QrOption = False,
    log: LogOption = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = LogLevel.INFO,
    json: JsonOption = False,
) -> None:
    """Give a local service a public URL, and show each request that comes in."""
    with reporting_errors():
        trust = trust_of(ca_file, is_skipped=insecure_skip_verify)
        catching = catch_config(catch, catch_path, catch_status, catch_dir)
    shown = ConsoleOptions(log, LogFormat.JSON if json else log_format, log_level, qr)
    run(_http(upstream, relay, token, name, via, trust, catching, shown))


async def _http(
    upstream: str,
    relay: str | None,
    token: str,
    name: str | None,
    via: Carriage | None,
    trust: "Trust",
    catching: "CatchConfig | None",
    shown: ConsoleOptions,
) -> None:
    from hookloop.tunnel.agent import AgentConfig, TunnelConfig, running_agent
    from hookloop.tunnel.agent.config import parse_upstream

    target = parse_upstream(upstream)
    async with (
        running_console(shown) as console,
        _relay_or_own(relay, token) as (relay_url, relay_token, is_local),
    ):
        tunnels = (TunnelConfig(target, name, catch=catching),)
        config = AgentConfig(relay_url, relay_token, tunnels, via=via, trust=trust)
        console.connecting(relay_url)
        if is_local:
            console.note(
                "hint",
                "This URL is local: only programs on this machine can reach it. For a public "
                "one run `hookloop relay` on a server and pass --relay.",
            )
        async with running_agent(
            config, sink=console, observer=console, catch_observer=CatchTeller(console)
        ) as agent:
            console.watch(agent.statistics)
            await asyncio.Event().wait()


@asynccontextmanager
async def _relay_or_own(relay: str | None, token: str) -> AsyncIterator[tuple[str, str, bool]]:
    """Yield the relay's address, the token, and whether it is one of our own making."""
    if relay is not None:
        yield relay, token, False
        return
    from hookloop.tunnel.relay import RelayConfig, running_relay
    from hookloop.tunnel.relay.tokens import new_token

    own_token = new_token(SystemRandom())
    config = RelayConfig(domain=LOCAL_DOMAIN, tokens=(own_token,), drain_seconds=0.1)
    async with running_relay(config) as running:
        yield running.url, own_token, True
